"""One pass over every source: notes are read, checked, cleaned, tagged and set aside.

A block of a source becomes one Parquet file of texts, with a row group for every output shard, and
one of metadata, on which `selection` decides. So no later stage reads a raw file again, and none
holds more than a block or a shard of texts in memory.
"""

from __future__ import annotations

import collections
import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks, deid_tags
from clinical_t5x.corpus.cleaning import clean_whitespace, count_words
from clinical_t5x.corpus.sources import NOTE_COLUMNS, NoteSource, check_columns

ROW_BITS, BLOCK_BITS = 24, 20  # a row's number: source, block of the source, row of the block
ERROR_FLAG, EMPTY_TEXT, NO_ID, NO_PATIENT, RAGGED = (
    "marked as error", "empty text", "no note id", "no patient id", "more fields than the header",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class StagingOptions:
    """What is done to every note.

    Attributes:
        deid: "tags" replaces de-identification marks, "keep" leaves them.
        keep_errors: keep notes that are flagged as errors (the paper did).
        strict: raise at the first unusable row.
        num_shards: how many shards the notes are dealt to.
    """

    deid: str = "tags"
    keep_errors: bool = False
    strict: bool = False
    num_shards: int = 16


@dataclasses.dataclass
class Staged:
    """What a pass over sources left: counts, and where the pieces lie.

    Attributes:
        rows: source label -> reason or "kept" -> rows.
        deid_kinds: kind of de-identification mark -> how many.
        repaired_bytes: source label -> bytes that were not UTF-8.
    """

    rows: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)
    deid_kinds: Counter[str] = dataclasses.field(default_factory=collections.Counter)
    repaired_bytes: Counter[str] = dataclasses.field(default_factory=collections.Counter)


def stage_source(
    source: NoteSource, number: int, directory: Path, options: StagingOptions, staged: Staged
) -> Iterator[int]:
    """Stage all notes of a source under `directory`; yields the bytes read as it goes."""
    header = csv_blocks.read_header(source.path)
    positions = check_columns(source, header)
    counts = staged.rows.setdefault(source.label, collections.Counter())
    for block_number, block in enumerate(csv_blocks.record_blocks(source.path)):
        first_row = (number << (ROW_BITS + BLOCK_BITS)) + (block_number << ROW_BITS)
        block, frame = _parsed(block, header)
        if options.strict and block.ragged:
            raise UserError(f"{source.path}: a record has {RAGGED} (--strict)")
        notes = _as_notes(frame, source, positions, first_row)
        piece = f"{number:02}-{block_number:06}.parquet"
        kinds = stage_notes(notes, source, options, directory, piece, counts)
        staged.deid_kinds.update(kinds)
        staged.repaired_bytes[source.label] += block.repaired_bytes
        counts.update({RAGGED: block.ragged} if block.ragged else {})
        yield len(block.data)


def _parsed(block: csv_blocks.Block, header: list[str]) -> tuple[csv_blocks.Block, pl.DataFrame]:
    names = [str(position) for position in range(len(header))]
    try:
        return block, csv_blocks.parse_block(block, names)
    except pl.exceptions.PolarsError:
        block = csv_blocks.standard_block(block, len(header))
        return block, csv_blocks.parse_block(block, names)


def _as_notes(
    frame: pl.DataFrame, source: NoteSource, positions: dict[str, int], first_row: int
) -> pl.DataFrame:
    """The note columns of a block, with the running number `row`."""
    columns = [
        pl.col(str(positions[name])).alias(name)
        if name in positions
        else pl.lit(source.constants.get(name, "")).alias(name)
        for name in NOTE_COLUMNS
    ]
    return (
        frame.select(columns)
        .with_row_index("index")
        .select((pl.col("index").cast(pl.UInt64) + first_row).alias("row"), *NOTE_COLUMNS)
    )


def stage_notes(
    notes: pl.DataFrame,
    source: NoteSource,
    options: StagingOptions,
    directory: Path,
    piece: str,
    counts: Counter[str],
) -> Counter[str]:
    """Clean a table of notes and write its texts and metadata as `piece`; counts rows by fate."""
    notes = notes.with_columns(
        pl.col("note_id", "patient", "category", "description").str.strip_chars(),
        clean_whitespace(pl.col("text")).alias("text"),
    ).with_columns(dropped=_unusable(keep_errors=options.keep_errors))
    if options.strict:
        _refuse_unusable(notes, source)
    for reason, count in notes.get_column("dropped").value_counts().iter_rows():
        counts["kept" if reason is None else reason] += count
    kept = notes.filter(pl.col("dropped").is_null())
    kinds: Counter[str] = collections.Counter()
    if options.deid == "tags" and source.deid == "tags":
        texts, kinds = deid_tags.replace_tags_in_column(kept.get_column("text"))
        kept = kept.with_columns(texts.alias("text"))
    kept = kept.with_columns(
        num_words=count_words(pl.col("text")),
        text_hash=pl.col("text").str.to_lowercase().str.replace_all(r"\s+", " ").hash(seed=0),
        shard=pl.Series(_shards(kept.get_column("row").to_numpy(), options.num_shards)),
    )
    _write_texts(kept, directory / "texts" / piece, options.num_shards)
    metadata = kept.drop("text", "dropped", "is_error", "patient").with_columns(
        source=pl.lit(source.source),
        patient_id=f"{source.source}/" + kept.get_column("patient"),
    )
    metadata.write_parquet(directory / "notes" / piece)
    dropped = notes.filter(pl.col("dropped").is_not_null())
    dropped.select(
        "note_id",
        pl.lit(source.source).alias("source"),
        pl.concat_str(pl.lit(f"{source.source}/"), pl.col("patient")).alias("patient_id"),
        "dropped",
    ).write_parquet(directory / "dropped" / piece)
    return kinds


def _unusable(*, keep_errors: bool) -> pl.Expr:
    """The first reason that makes a row no note, or null."""
    reasons = pl.when(pl.col("note_id") == "").then(pl.lit(NO_ID))
    reasons = reasons.when(pl.col("patient") == "").then(pl.lit(NO_PATIENT))
    if not keep_errors:
        reasons = reasons.when(pl.col("is_error").str.strip_chars().is_in(["1", "1.0"])).then(
            pl.lit(ERROR_FLAG)
        )
    return reasons.when(pl.col("text") == "").then(pl.lit(EMPTY_TEXT))


def _refuse_unusable(notes: pl.DataFrame, source: NoteSource) -> None:
    bad = notes.filter(pl.col("dropped").is_in([NO_ID, NO_PATIENT]))
    if not bad.is_empty():
        number, reason = bad.row(0, named=True)["row"], bad.row(0, named=True)["dropped"]
        place = (number & ((1 << ROW_BITS) - 1)) + 1
        raise UserError(f"{source.path}: record {place:,} of its block has {reason} (--strict)")


def _shards(rows: np.ndarray, num_shards: int) -> np.ndarray:
    """A shard for every row: a mixing hash of its number, the same on every machine."""
    return (mixed(rows) % np.uint64(num_shards)).astype(np.uint32)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a fixed pseudo-random permutation of 64-bit numbers."""
    with np.errstate(over="ignore"):
        x = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def _write_texts(notes: pl.DataFrame, path: Path, num_shards: int) -> None:
    """Write row and text, one row group for every shard (empty ones too)."""
    table = notes.select("row", "text", "shard")
    parts = table.partition_by("shard", as_dict=True, include_key=False)
    empty = table.clear().drop("shard").to_arrow()
    with pq.ParquetWriter(path, empty.schema, compression="lz4") as writer:
        for shard in range(num_shards):
            part = parts.get((shard,))
            writer.write_table(empty if part is None else part.to_arrow())
