"""One pass over every source: notes are read, checked, cleaned, tagged and set aside.

A batch of a source becomes one Parquet file of texts, with a row group for every output shard, and
small ones of metadata, n-gram sketches and premises found, on which `selection` decides. So no
later stage reads a raw file again, and none holds more than a shard of texts in memory.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from clinical_t5x.console import UserError
from clinical_t5x.corpus import deid_blanks, deid_tags, identity, readers
from clinical_t5x.corpus.cleaning import clean_whitespace, count_words
from clinical_t5x.corpus.premises import PremiseIndex
from clinical_t5x.corpus.sources import NoteSource
from clinical_t5x.corpus.words import mixed, words_of

PARTS = ("texts", "notes", "dropped", "sketches", "premises")
USABLE = "usable"
ERROR_FLAG, EMPTY_TEXT, NO_ID, NO_PATIENT = (
    "marked as error", "empty text", "no note id", "no patient id",
)  # fmt: skip

# A row's number says where it comes from: source, batch of the source, row of the batch.
_ROW_BITS, _BATCH_BITS = 24, 24


# Threads suffice: polars and numpy leave the interpreter free. Every one holds a few hundred MB.
_WORKERS = min(4, max(2, os.cpu_count() or 1))


@dataclasses.dataclass(frozen=True)
class StagingOptions:
    """What is done to every note.

    Attributes:
        deid: "tags" replaces de-identification marks, "keep" leaves them.
        keep_errors: keep notes that are marked as errors (the paper did).
        strict: raise at the first row that is no note.
        num_shards: how many shards the notes are dealt to.
        premises: MedNLI's premises, looked up in every note.
        sketch: sketch the notes by which patients of MIMIC-III and MIMIC-IV are matched.
    """

    deid: str = "tags"
    keep_errors: bool = False
    strict: bool = False
    num_shards: int = 16
    premises: PremiseIndex | None = None
    sketch: bool = False


@dataclasses.dataclass
class Counts:
    """What became of the rows of some batches.

    Attributes:
        rows: "usable" or the reason of not being so -> rows.
        deid_kinds: (kind, tag) of de-identification marks -> how many.
        repaired_bytes: bytes that were not UTF-8 and were read as Windows-1252.
    """

    rows: Counter[str] = dataclasses.field(default_factory=collections.Counter)
    deid_kinds: Counter[tuple[str, str]] = dataclasses.field(default_factory=collections.Counter)
    repaired_bytes: int = 0

    def add(self, other: Counts) -> None:
        """Count another batch's rows too."""
        self.rows.update(other.rows)
        self.deid_kinds.update(other.deid_kinds)
        self.repaired_bytes += other.repaired_bytes


def stage_source(
    source: NoteSource, number: int, directory: Path, options: StagingOptions, counts: Counts
) -> Iterator[int]:
    """Stage all notes of a source under `directory`; yields the file's bytes done as it goes.

    Args:
        source: what to read.
        number: its place among the sources, part of every row's number.
        directory: has the subdirectories `PARTS`.
        options: what to do to the notes.
        counts: added to.
    """
    waiting: collections.deque = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        try:
            for batch_number, unparsed in enumerate(readers.read_batches(source)):
                task = pool.submit(
                    stage_batch, unparsed, source, (number, batch_number), directory, options
                )
                waiting.append((unparsed.file_bytes, task))
                # A few batches in flight keep the cores busy and the memory bounded.
                while len(waiting) > _WORKERS:
                    yield _finish(waiting, counts)
            while waiting:
                yield _finish(waiting, counts)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _finish(waiting: collections.deque, counts: Counts) -> int:
    file_bytes, task = waiting.popleft()
    counts.add(task.result())
    return file_bytes


def stage_batch(
    unparsed: readers.Unparsed,
    source: NoteSource,
    place: tuple[int, int],
    directory: Path,
    options: StagingOptions,
) -> Counts:
    """Parse, check, clean and tag one batch and write its pieces.

    Args:
        unparsed: the batch.
        source: where it comes from.
        place: (source, batch) numbers.
        directory: has the subdirectories `PARTS`.
        options: what to do to the notes.

    Returns:
        What became of its rows.
    """
    batch = unparsed.parse()
    notes = _checked(batch.notes, source, place, keep_errors=options.keep_errors)
    if options.strict:
        _refuse_unusable(notes, batch, source)
    counts = Counts(collections.Counter(batch.unreadable), repaired_bytes=batch.repaired_bytes)
    for reason, rows in notes.get_column("dropped").value_counts().iter_rows():
        counts.rows[USABLE if reason is None else reason] += rows
    piece = f"{place[0]:03}-{place[1]:06}.parquet"
    dropped = notes.filter(pl.col("dropped").is_not_null())
    dropped = dropped.select("source", "note_id", "patient_id", reason="dropped")
    dropped.write_parquet(directory / "dropped" / piece)

    usable = notes.filter(pl.col("dropped").is_null()).drop("dropped", "is_error")
    usable, counts.deid_kinds = _without_marks(usable, source, options)
    _write_matches(usable, directory, piece, options)
    usable = usable.with_columns(
        num_words=count_words(pl.col("text")),
        text_hash=pl.col("text").str.to_lowercase().str.replace_all(r"\s+", " ").hash(seed=0),
        shard=pl.Series(_shards(usable.get_column("row").to_numpy(), options.num_shards)),
    )
    usable.drop("text").write_parquet(directory / "notes" / piece)
    _write_texts(usable, directory / "texts" / piece, options.num_shards)
    return counts


def _checked(
    notes: pl.DataFrame, source: NoteSource, place: tuple[int, int], *, keep_errors: bool
) -> pl.DataFrame:
    """Notes with clean fields, their row number, source and patient_id, and why they are no use."""
    first_row = (place[0] << (_ROW_BITS + _BATCH_BITS)) + (place[1] << _ROW_BITS)
    notes = notes.with_row_index("index").with_columns(
        pl.col("note_id", "patient", "category", "description").str.strip_chars(),
        clean_whitespace(pl.col("text")).alias("text"),
        row=pl.col("index").cast(pl.UInt64) + first_row,
        source=pl.lit(source.source),
    )
    if "note_id" not in source.columns and source.file_format != "txt":
        notes = notes.with_columns(note_id=pl.format(f"{place[1]}-{{}}", pl.col("index")))
    if not source.has_patients:
        notes = notes.with_columns(patient="note_id")
    reasons = pl.when(pl.col("note_id") == "").then(pl.lit(NO_ID))
    reasons = reasons.when(pl.col("patient") == "").then(pl.lit(NO_PATIENT))
    if not keep_errors:
        flagged = pl.col("is_error").str.strip_chars().is_in(["1", "1.0"])
        reasons = reasons.when(flagged).then(pl.lit(ERROR_FLAG))
    return notes.with_columns(
        patient_id=pl.concat_str("source", pl.lit("/"), "patient"),
        dropped=reasons.when(pl.col("text") == "").then(pl.lit(EMPTY_TEXT)),
    ).drop("index", "patient")


def _refuse_unusable(notes: pl.DataFrame, batch: readers.Batch, source: NoteSource) -> None:
    """The --strict rule: a row that cannot be a note ends the job (errors and blanks may be)."""
    reasons = [*batch.unreadable, *notes.get_column("dropped").drop_nulls().unique().to_list()]
    worst = [reason for reason in reasons if reason not in (ERROR_FLAG, EMPTY_TEXT)]
    if worst:
        raise UserError(
            f"{source.path} has a row that cannot be used: {worst[0]}; mend the file, or leave out "
            "--strict to drop and count such rows"
        )


def _without_marks(
    notes: pl.DataFrame, source: NoteSource, options: StagingOptions
) -> tuple[pl.DataFrame, Counter[tuple[str, str]]]:
    """Notes with their de-identification marks replaced, and how many of each kind there were."""
    if options.deid != "tags":
        return notes, collections.Counter()
    module = deid_blanks if source.deid == "blanks" else deid_tags
    texts, kinds = module.replace_in_column(notes.get_column("text"))
    return notes.with_columns(texts.alias("text")), kinds


def _write_matches(
    notes: pl.DataFrame, directory: Path, piece: str, options: StagingOptions
) -> None:
    """Write what notes are recognised by: sketches, and the premises that stand in them."""
    if options.premises is None and not options.sketch:
        return
    words = words_of(notes.get_column("text"))
    if options.premises is not None:
        texts, premises = options.premises.find(words)
        found = notes.select("patient_id")[texts].with_columns(premise=pl.Series(premises))
        found.unique().write_parquet(directory / "premises" / piece)
    if options.sketch:
        shared = notes.get_column("category").is_in(identity.SKETCHED_CATEGORIES).to_numpy()
        texts, grams = identity.sketches(words, shared)
        sketches = notes.select("source", "patient_id")[texts].with_columns(gram=pl.Series(grams))
        sketches.unique().write_parquet(directory / "sketches" / piece)


def _shards(rows: np.ndarray, num_shards: int) -> np.ndarray:
    """A shard for every row: a mixing hash of its number, the same on every machine."""
    return (mixed(rows) % np.uint64(num_shards)).astype(np.uint32)


def _write_texts(notes: pl.DataFrame, path: Path, num_shards: int) -> None:
    """Write row and text, one row group for every shard (empty ones too)."""
    table = notes.select("row", "text", "shard")
    parts = table.partition_by("shard", as_dict=True, include_key=False)
    empty = table.clear().drop("shard").to_arrow()
    with pq.ParquetWriter(path, empty.schema, compression="lz4") as writer:
        for shard in range(num_shards):
            part = parts.get((shard,))
            writer.write_table(empty if part is None else part.to_arrow())
