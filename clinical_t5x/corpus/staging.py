"""One pass over every source: notes are read, checked, cleaned, tagged and set aside.

A batch of a source becomes one file of texts, with a part for every output shard, and small Parquet
files of what later decisions stand on: metadata, MinHash signatures, n-gram sketches, premises
and n-grams of the benchmarks. So no later stage reads a raw file again, and none holds more than a
shard of texts in memory. A batch's counts are written last: a batch that has them is whole and is
not done again when preparation is restarted.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.corpus import (
    csv_blocks,
    deid_blanks,
    deid_tags,
    digest,
    identity,
    readers,
    staged_parts,
    threads,
)
from clinical_t5x.corpus.cleaning import clean_column
from clinical_t5x.corpus.duplicates.signatures import signatures
from clinical_t5x.corpus.duplicates.staged_lanes import write_lanes
from clinical_t5x.corpus.keys import key_of, time_of
from clinical_t5x.corpus.metadata import COLUMNS
from clinical_t5x.corpus.overlap import BenchmarkGrams, hits_of, write_hits
from clinical_t5x.corpus.premises import PremiseIndex
from clinical_t5x.corpus.sources import NoteSource
from clinical_t5x.corpus.words import (
    LETTERS_AND_DIGITS,
    NOT_BLANK,
    count_words,
    mixed,
    without_marks,
    words_of,
)

PARTS = (
    "texts", "notes", "patients", "dropped", "signatures", "sketches", "premises", "overlap",
    "counts",
)  # fmt: skip
_FORMAT = 2  # of the pieces; to be raised when what they hold changes
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
        premises: MedNLI's premises, looked up in every note; None if there are none.
        benchmarks: the benchmarks' n-grams, looked up in every note; None likewise.
        sketch: sketch the notes by which patients of MIMIC-III and MIMIC-IV are matched.
        compare: hash the texts, by which exact duplicates are found.
        sign: write the signatures by which near-duplicates are found.
        compress: compress the texts, which is slower and takes half the room.
    """

    deid: str = "tags"
    keep_errors: bool = False
    strict: bool = False
    num_shards: int = 16
    premises: PremiseIndex | None = None
    benchmarks: BenchmarkGrams | None = None
    sketch: bool = False
    compare: bool = True
    sign: bool = True
    compress: bool = False


@dataclasses.dataclass
class Counts:
    """What became of the rows of some batches.

    Attributes:
        rows: "usable" or the reason of not being so -> rows.
        deid_kinds: (kind, tag) of de-identification marks -> how many.
        repaired_bytes: bytes that were not UTF-8 and were read as Windows-1252.
        text_bytes: UTF-8 bytes of the usable rows' clean texts.
    """

    rows: Counter[str] = dataclasses.field(default_factory=collections.Counter)
    deid_kinds: Counter[tuple[str, str]] = dataclasses.field(default_factory=collections.Counter)
    repaired_bytes: int = 0
    text_bytes: int = 0

    def add(self, other: Counts) -> None:
        """Count another batch's rows too."""
        self.rows.update(other.rows)
        self.deid_kinds.update(other.deid_kinds)
        self.repaired_bytes += other.repaired_bytes
        self.text_bytes += other.text_bytes

    def to_json(self) -> dict:
        """These counts as JSON has them."""
        kinds = [[*kind, count] for kind, count in sorted(self.deid_kinds.items())]
        return {**vars(self), "deid_kinds": kinds}

    @classmethod
    def from_json(cls, content: dict) -> Counts:
        """The counts that `to_json` wrote."""
        kinds = {(kind, tag): count for kind, tag, count in content["deid_kinds"]}
        return cls(**content | {"rows": Counter(content["rows"]), "deid_kinds": Counter(kinds)})


def engine() -> dict:
    """What else than files and options decides the staged pieces."""
    return {
        "pieces": _FORMAT,
        "polars": pl.__version__,  # keys are its hashes
        "block_bytes": csv_blocks.BLOCK_BYTES,
    }


def piece_name(source: int, batch: int) -> str:
    """What the files of a batch are called; names sort as rows do."""
    return f"{source:03}-{batch:06}"


def piece_of(row: int) -> str:
    """What the files of the batch are called that a row number comes from."""
    return piece_name(*divmod(row >> _ROW_BITS, 1 << _BATCH_BITS))


def pieces_of(rows: np.ndarray) -> Iterator[tuple[str, slice]]:
    """The batches that ascending row numbers come from: a batch's name, and where its rows are."""
    batches = rows >> np.uint64(_ROW_BITS)
    first = np.flatnonzero(np.diff(batches, prepend=batches[:1] + np.uint64(1)))
    stops = np.append(first, len(rows))[1:]
    for start, stop in zip(first.tolist(), stops.tolist(), strict=True):
        yield piece_of(int(rows[start])), slice(start, stop)


def make_parts(directory: Path) -> None:
    """Make the subdirectories that pieces are written to."""
    for part in PARTS:
        (directory / part).mkdir(parents=True, exist_ok=True)


def stage_source(
    source: NoteSource, number: int, directory: Path, options: StagingOptions, counts: Counts
) -> Iterator[int]:
    """Stage all notes of a source under `directory`; yields the file's bytes done as it goes.

    Args:
        source: what to read.
        number: its place among the sources, part of every row's number.
        directory: has the subdirectories `PARTS`; batches that are whole there stay.
        options: what to do to the notes.
        counts: added to.
    """

    def stage(numbered: tuple[int, readers.Unparsed]) -> tuple[int, Counts]:
        batch, unparsed = numbered
        found = stage_batch(unparsed, source, (number, batch), directory, options)
        return unparsed.file_bytes, found

    batches = enumerate(readers.read_batches(source))
    for file_bytes, found in threads.in_order(stage, batches, _WORKERS):
        counts.add(found)
        yield file_bytes


def stage_batch(
    unparsed: readers.Unparsed,
    source: NoteSource,
    place: tuple[int, int],
    directory: Path,
    options: StagingOptions,
) -> Counts:
    """Parse, check, clean and tag one batch and write its pieces, unless it is whole already.

    Args:
        unparsed: the batch.
        source: where it comes from.
        place: (source, batch) numbers.
        directory: has the subdirectories `PARTS`.
        options: what to do to the notes.

    Returns:
        What became of its rows.
    """
    piece = piece_name(*place)
    done = directory / "counts" / f"{piece}.json"
    if done.exists():
        return Counts.from_json(json.loads(done.read_text()))
    batch = unparsed.parse()
    notes = _checked(batch.notes, source, place, keep_errors=options.keep_errors)
    if options.strict:
        _refuse_unusable(notes, batch, source)
    unreadable = collections.Counter(batch.unreadable.get_column("reason"))
    counts = Counts(unreadable, repaired_bytes=batch.repaired_bytes)
    usable = notes.filter(pl.col("dropped").is_null()).drop("dropped", "is_error")
    usable, counts.deid_kinds = _without_marks(usable, source, options)
    usable, notes = _without_empty(usable, notes)
    for reason, rows in notes.get_column("dropped").value_counts().iter_rows():
        counts.rows[USABLE if reason is None else reason] += rows
    _dropped(notes, batch, source).write_parquet(directory / "dropped" / f"{piece}.parquet")

    usable = _with_metadata(usable, options.num_shards, compare=options.compare)
    _write_matches(usable, directory, piece, options)
    texts = _texts(usable)
    counts.text_bytes = int(texts.get_column("text").str.len_bytes().sum())
    metadata = usable.select(*COLUMNS, "note_id").hstack(digest.hashes_of(texts))
    metadata.write_parquet(directory / "notes" / f"{piece}.parquet")
    patients = usable.select("patient", "patient_id").unique("patient", maintain_order=True)
    patients.write_parquet(directory / "patients" / f"{piece}.parquet")
    path = directory / "texts" / f"{piece}{staged_parts.SUFFIX}"
    staged_parts.write(texts, path, "shard", options.num_shards, compress=options.compress)
    storage.write_json_atomically(done, counts.to_json())
    return counts


def _checked(
    notes: pl.DataFrame, source: NoteSource, place: tuple[int, int], *, keep_errors: bool
) -> pl.DataFrame:
    """Notes with clean fields, their row number, source and patient_id, and why they are no use."""
    first_row = (place[0] << (_ROW_BITS + _BATCH_BITS)) + (place[1] << _ROW_BITS)
    notes = notes.with_row_index("index").with_columns(
        pl.col("note_id", "patient", "category", "description").str.strip_chars(),
        clean_column(notes.get_column("text")),
        row=pl.col("index").cast(pl.UInt64) + first_row,
        source=pl.lit(source.source),
    )
    # Manifest and report list the categories: where fields have slipped, none is better than text.
    category = pl.col("category")
    is_text = (category.str.len_chars() > 60) | (category.str.count_matches(r"\s+") > 5)
    notes = notes.with_columns(category=pl.when(is_text).then(pl.lit("")).otherwise(category))
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


def _dropped(notes: pl.DataFrame, batch: readers.Batch, source: NoteSource) -> pl.DataFrame:
    """The rows that are no notes, without text: source, note_id, patient_id and reason.

    A row without an id has its place in the file in its stead; so has one without a patient whose
    id looks like none, as its fields may have slipped.
    """
    slipped = (pl.col("dropped") == NO_PATIENT) & ~readers.is_identifier(pl.col("note_id"))
    unnamed = (pl.col("note_id") == "") | slipped.fill_null(value=False)
    if notes.select(unnamed.any()).item():
        notes = notes.with_columns(note_id=pl.when(unnamed).then(batch.places).otherwise("note_id"))
    rows = notes.filter(pl.col("dropped").is_not_null())
    whose = pl.concat_str(pl.lit(f"{source.source}/"), "patient")
    records = batch.unreadable.with_columns(
        source=pl.lit(source.source),
        patient_id=pl.when(pl.col("patient") == "").then(pl.lit("")).otherwise(whose),
    )
    columns = ("source", "note_id", "patient_id", "reason")
    return pl.concat([rows.rename({"dropped": "reason"}).select(columns), records.select(columns)])


def _refuse_unusable(notes: pl.DataFrame, batch: readers.Batch, source: NoteSource) -> None:
    """The --strict rule: a row that cannot be a note ends the job (errors and blanks may be)."""
    worst = batch.unreadable.select("number", "reason", "note_id").rows()
    for row, reason in enumerate(notes.get_column("dropped")):
        if reason not in (None, ERROR_FLAG, EMPTY_TEXT):
            note_id, place = notes.get_column("note_id")[row], batch.places[row]
            number = int(place.rpartition(" ")[2] or 0)
            worst.append((number, reason, readers.shown_id(note_id, place)))
            break
    if worst:
        _, reason, where = min(worst)
        raise UserError(
            f"{source.path} has a row that cannot be used: {where}: {reason}; mend the file, or "
            "leave out --strict to drop and count such rows"
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


def _without_empty(usable: pl.DataFrame, notes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both tables after notes whose text was nothing but empty marks have become empty texts."""
    is_empty = ~pl.col("text").str.contains(r"\S")
    rows = usable.filter(is_empty).get_column("row")
    if rows.is_empty():
        return usable, notes
    dropped = pl.when(pl.col("row").is_in(rows.implode())).then(pl.lit(EMPTY_TEXT))
    return usable.filter(~is_empty), notes.with_columns(dropped=dropped.otherwise("dropped"))


def _with_metadata(notes: pl.DataFrame, num_shards: int, *, compare: bool) -> pl.DataFrame:
    """Notes with the numbers that decisions are made on (`metadata.COLUMNS`)."""
    texts = notes.get_column("text")
    if compare:
        tokens = words_of(texts, NOT_BLANK)
        text_hashes, num_words = tokens.whole_texts(), tokens.lengths
    else:
        text_hashes, num_words = np.zeros(len(texts), np.uint64), count_words(texts, NOT_BLANK)
    when = pl.when(pl.col("charttime") == "").then("chartdate").otherwise("charttime")
    return notes.with_columns(
        note=key_of(pl.col("note_id")),
        patient=key_of(pl.col("patient_id")),
        author=key_of(pl.col("author").str.strip_chars()),
        charted=time_of(when),
        stored=time_of(pl.col("storetime")),
        text_hash=pl.Series(text_hashes),
        num_words=pl.Series(num_words.astype(np.uint32)),
        shard=pl.Series(_shards(notes.get_column("row").to_numpy(), num_shards)),
        charttime_key=key_of(pl.col("charttime")),
        when=when,
    ).rename({"charttime": "charttime_text", "charttime_key": "charttime"})


def _write_matches(
    notes: pl.DataFrame, directory: Path, piece: str, options: StagingOptions
) -> None:
    """Write what notes are recognised by: signatures, sketches, premises and n-grams in them."""
    look_up = options.premises is not None or options.benchmarks is not None or options.sketch
    if not (options.sign or look_up):
        return
    texts = without_marks(notes.get_column("text"))
    if options.sign:
        lanes = signatures(words_of(texts, LETTERS_AND_DIGITS, marks_are_out=True))
        write_lanes(directory / "signatures" / piece, lanes)
    if not look_up:
        return
    words = words_of(texts, marks_are_out=True)
    if options.premises is not None:
        places, premises = options.premises.find(words)
        found = notes.select("patient")[places]
        found = found.with_columns(premise=pl.Series(premises.astype(np.uint32)))
        found.unique().write_parquet(directory / "premises" / f"{piece}.parquet")
    if options.benchmarks is not None:
        for size, hits in hits_of(notes, words, options.benchmarks).items():
            write_hits(hits, directory / "overlap", size, piece, compress=options.compress)
    if options.sketch:
        shared = notes.get_column("category").is_in(identity.SKETCHED_CATEGORIES).to_numpy()
        places, grams = identity.sketches(words, shared)
        sketches = notes.select("patient", in_iv=pl.col("source") == "mimic-iv")[places]
        sketches = sketches.with_columns(gram=pl.Series(grams)).unique()
        sketches.write_parquet(directory / "sketches" / f"{piece}.parquet")


def _shards(rows: np.ndarray, num_shards: int) -> np.ndarray:
    """A shard for every row: a mixing hash of its number, the same on every machine."""
    return (mixed(rows) % np.uint64(num_shards)).astype(np.uint32)


def _texts(notes: pl.DataFrame) -> pl.DataFrame:
    """Notes as documents, persons left aside."""
    return notes.select(
        "row", "source", "note_id", "patient_id", "category", "description", "text", "num_words",
        "shard", charttime="when",
    )  # fmt: skip
