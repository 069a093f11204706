"""Files of notes, whatever their format, as batches of notes in bounded memory.

A reader yields one callable for every batch: yielding reads bytes in order, calling parses them, so
that parsing can go on in other threads.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks
from clinical_t5x.corpus.keys import key_of
from clinical_t5x.corpus.sources import NOTE_COLUMNS, NoteSource, find_columns

# Why a record is no note at all.
RAGGED, UNCLOSED = csv_blocks.RAGGED, csv_blocks.UNCLOSED
NOT_JSON = "not a JSON object"
UTF16 = "UTF-16 text"

_DETAIL_BLOCK_BYTES = 4 << 20  # whose tables take some tens of megabytes
_TXT_BATCH = 1000
_MAX_JSON_LINE = 256 << 20
_JSON_LINES_FOR_KEYS = 100
# What may be shown of a record that cannot be read: an identifier, and no word of a text.
_IDENTIFIER, _HAS_DIGIT = r"^[A-Za-z0-9_.-]{1,40}$", "[0-9]"
_EXAM_NAME, _BETWEEN_EXAMS = "exam_name", "; "


@dataclasses.dataclass(frozen=True)
class Batch:
    """Some notes of a source.

    Attributes:
        notes: `NOTE_COLUMNS`, all strings, "" for missing values.
        find_places: makes `places`.
        unreadable: the records that are no rows of `notes` at all: reason; as note_id the record's
            identifier if it has one that looks like one, otherwise its place; the patient's
            identifier likewise, or ""; and the number of its line (0 of a text file). No text.
        repaired_bytes: bytes that were not UTF-8.
    """

    notes: pl.DataFrame
    find_places: Callable[[], pl.Series]
    unreadable: pl.DataFrame = dataclasses.field(default_factory=lambda: _unreadable([]))
    repaired_bytes: int = 0

    @functools.cached_property
    def places(self) -> pl.Series:
        """Where each of `notes` stands in its file, worked out when it is asked for.

        "line 12" (on which it begins), "row 12" of a Parquet file; "" for text files, whose ids say
        it. It names the rows that have no id.
        """
        return self.find_places()


@dataclasses.dataclass(frozen=True)
class Unparsed:
    """A part of a source that has been read, and how to make notes of it.

    Attributes:
        file_bytes: how many bytes of the file it took.
        parse: makes the notes.
    """

    file_bytes: int
    parse: Callable[[], Batch]


def read_batches(source: NoteSource) -> Iterator[Unparsed]:
    """Read a source in batches of some tens of megabytes; one that has no rows is one batch."""
    found = False
    for unparsed in _READERS[source.file_format](source):
        found = True
        yield unparsed
    if not found:
        yield Unparsed(0, functools.partial(_empty_batch, source))


def column_names(path: epath.Path, file_format: str) -> list[str]:
    """The columns that a file of notes has."""
    if file_format == "csv":
        return csv_blocks.read_header(path)
    if file_format == "parquet":
        return list(_parquet(path).schema_arrow.names)
    if file_format == "jsonl":
        return _json_keys(path)
    return ["id", "text"]


def text_files(directory: epath.Path) -> list[epath.Path]:
    """All .txt files under a directory, sorted.

    Links are followed, but no directory is read twice, nor one above `directory`: links may lead
    in circles. A directory has its own path rather than that of a link to it.

    Raises:
        UserError: a link leads nowhere, or a name is not UTF-8.
    """
    found: list[epath.Path] = []
    walked = {os.fspath(above) for above in Path(_real_path(directory)).parents}
    directories, links = [directory], []
    while directories or links:
        here = directories.pop() if directories else links.pop(0)
        if (real := _real_path(here)) in walked:
            continue
        walked.add(real)
        for path in sorted(here.iterdir()):
            is_text = path.name.lower().endswith(".txt")
            if is_text and path.is_file():
                found.append(require_utf8_name(path))
            elif path.is_dir():
                (links if os.path.islink(path) else directories).append(path)
            elif is_text:
                raise UserError(f"{os.fspath(path)!r} is a link to no file; mend or remove it")
    return sorted(found)


def _real_path(path: epath.Path) -> str:
    """A path without links; a bucket has none."""
    return os.fspath(path) if "://" in os.fspath(path) else os.path.realpath(path)


def require_utf8_name(path: epath.Path) -> epath.Path:
    """The path, if it can be written into a document and a manifest.

    Raises:
        UserError: its name is not UTF-8.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"the name {os.fspath(path)!r} is not UTF-8; rename it") from error
    return path


def _empty_batch(source: NoteSource) -> Batch:
    return Batch(_as_notes(pl.DataFrame(), source, {}).clear(), _places("line", list))


def _read_csv(source: NoteSource) -> Iterator[Unparsed]:
    header = csv_blocks.read_header(source.path)
    positions = find_columns(source, header)
    exams = exam_names(source.details) if source.details is not None else None
    for block in csv_blocks.record_blocks(source.path):
        parse = functools.partial(_parse_csv, block, source, len(header), positions, exams)
        yield Unparsed(block.file_bytes, parse)


def _parse_csv(
    block: csv_blocks.Block,
    source: NoteSource,
    num_fields: int,
    positions: dict[str, int],
    exams: pl.DataFrame | None,
) -> Batch:
    records = csv_blocks.read_records(block, [str(position) for position in range(num_fields)])
    columns = {note_column: str(position) for note_column, position in positions.items()}
    notes = _as_notes(records.table, source, columns)
    if exams is not None:
        notes = _described_by_exams(notes, exams)
    unreadable = [_described(record, positions) for record in records.block.bad]
    return Batch(
        notes, _places("line", records.lines), _unreadable(unreadable), block.repaired_bytes
    )


def _described(record: csv_blocks.BadRecord, positions: dict[str, int]) -> tuple:
    """A row of `Batch.unreadable`. Whose it is matters: a benchmark may name it."""

    def field(column: str) -> str:
        position = positions.get(column, len(record.fields))
        return record.fields[position] if position < len(record.fields) else ""

    note_id = shown_id(field("note_id"), f"line {record.line}")
    return record.reason, note_id, shown_id(field("patient"), ""), record.line


def shown_id(field: str, place: str) -> str:
    """What a listing or a message may call a row: its id if that looks like one, else its place.

    In a row whose fields have slipped, a piece of the text may stand where the id should be.
    """
    field = field.strip()
    return field if re.search(_IDENTIFIER, field) and re.search(_HAS_DIGIT, field) else place


def is_identifier(column: pl.Expr) -> pl.Expr:
    """Where `shown_id` would show a column's value."""
    value = column.str.strip_chars()
    return value.str.contains(_IDENTIFIER) & value.str.contains(_HAS_DIGIT)


def _places(unit: str, numbers: Callable[[], pl.Series | Sequence[int]]) -> Callable:
    def find() -> pl.Series:
        return f"{unit} " + pl.Series("place", numbers(), dtype=pl.Int64).cast(pl.String)

    return find


def _unreadable(records: list[tuple]) -> pl.DataFrame:
    schema = {"reason": pl.String, "note_id": pl.String, "patient": pl.String, "number": pl.Int64}
    return pl.DataFrame(records, schema=schema, orient="row")


def exam_names(details: NoteSource) -> pl.DataFrame:
    """The examinations of a MIMIC-IV detail file, a row for every note that has some.

    The file has up to six million rows of (note_id, field_name, field_value, field_ordinal), of
    which about two fifths name an examination; numbers stand for ids and names in what is kept.

    Returns:
        key (of the note_id) and exams (the names in the order of their ordinals, "; " between).
    """
    header = csv_blocks.read_header(details.path)
    positions = find_columns(details, header)
    names = [str(position) for position in range(len(header))]
    schema = {"key": pl.UInt64, "ordinal": pl.Int32, "exams": pl.Categorical}
    found = [pl.DataFrame(schema=schema)]
    for block in csv_blocks.record_blocks(details.path, _DETAIL_BLOCK_BYTES):
        table = csv_blocks.read_records(block, names).table.select(
            pl.col(str(position)).str.strip_chars().alias(column)
            for column, position in positions.items()
        )
        found.append(
            table.filter(name=_EXAM_NAME)
            .filter(pl.col("value") != "", pl.col("note_id") != "")
            .select(
                key_of(pl.col("note_id")).alias("key"),
                pl.col("ordinal").cast(pl.Int32, strict=False),
                pl.col("value").cast(pl.Categorical).alias("exams"),
            )
        )
    table = pl.concat(found, rechunk=True).sort("key", "ordinal", maintain_order=True)
    key = pl.col("key")
    several = (key == key.shift(1, fill_value=0)) | (key == key.shift(-1, fill_value=0))
    joined = table.filter(several).group_by("key", maintain_order=True)
    joined = joined.agg(pl.col("exams").cast(pl.String).str.join(_BETWEEN_EXAMS))
    single = table.filter(~several).select("key", "exams")
    return pl.concat([single, joined.with_columns(pl.col("exams").cast(pl.Categorical))])


def _described_by_exams(notes: pl.DataFrame, exams: pl.DataFrame) -> pl.DataFrame:
    """Notes whose description is their examination; those without one keep theirs."""
    keys = notes.select(key=key_of(pl.col("note_id").str.strip_chars()))
    # The few exams that are needed first: a join with all of them would hash millions of keys.
    mine = exams.join(keys, on="key", how="semi").with_columns(pl.col("exams").cast(pl.String))
    names = keys.join(mine, on="key", how="left", maintain_order="left").get_column("exams")
    return notes.with_columns(description=pl.coalesce(names, "description"))


def _read_jsonl(source: NoteSource) -> Iterator[Unparsed]:
    names = _json_keys(source.path)
    positions = find_columns(source, names)
    keys = {note_column: names[position] for note_column, position in positions.items()}
    first_line = 1
    for lines, file_bytes in _line_blocks(source.path):
        parse = functools.partial(_parse_jsonl, lines, first_line, source, keys)
        yield Unparsed(file_bytes, parse)
        first_line += lines.count(b"\n")


def _line_blocks(path: epath.Path) -> Iterator[tuple[bytes, int]]:
    done = 0
    with csv_blocks.open_bytes(path) as file:
        pending = b""
        while more := file.read(csv_blocks.BLOCK_BYTES):
            whole, newline, pending = (pending + more).rpartition(b"\n")
            if len(pending) > _MAX_JSON_LINE:
                raise _not_json_lines(path, f"a line is longer than {_MAX_JSON_LINE:,} bytes")
            now = csv_blocks.file_position(file)
            yield whole + newline, now - done
            done = now
        yield pending, csv_blocks.file_position(file) - done


def _parse_jsonl(lines: bytes, first_line: int, source: NoteSource, keys: dict[str, str]) -> Batch:
    values: dict[str, list[str]] = {note_column: [] for note_column in keys}
    numbers, unreadable = [], []
    text, repaired_bytes = csv_blocks.to_utf8(lines)
    for number, line in enumerate(text.split(b"\n"), first_line):
        if not line.strip():
            continue
        record = _json_object(line)
        if record is None:
            unreadable.append((NOT_JSON, f"line {number}", "", number))
            continue
        numbers.append(number)
        for note_column, key in keys.items():
            values[note_column].append(_as_text(record.get(key)))
    frame = pl.DataFrame(values, schema=dict.fromkeys(keys, pl.String))
    columns = {note_column: note_column for note_column in keys}
    notes = _as_notes(frame, source, columns)
    return Batch(notes, _places("line", lambda: numbers), _unreadable(unreadable), repaired_bytes)


def _json_object(line: bytes) -> dict[str, Any] | None:
    """The object that a line of UTF-8 holds (after a byte-order mark, if it has one), or None."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _as_text(value: Any) -> str:
    if value is None or value != value:  # NaN, as pandas writes what is missing
        return ""
    # JSON can escape half a surrogate pair, which no file can hold.
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace").decode()


def _json_keys(path: epath.Path) -> list[str]:
    """The keys of a file's first objects, in the order in which they come."""
    keys: dict[str, None] = {}
    lines = objects = 0
    with csv_blocks.open_bytes(path) as file:
        while lines < _JSON_LINES_FOR_KEYS and (line := file.readline(_MAX_JSON_LINE)):
            csv_blocks.refuse_utf16(path, line)
            record = _json_object(csv_blocks.to_utf8(line)[0])
            lines += bool(line.strip())
            objects += record is not None
            keys |= dict.fromkeys(record or ())
    if not lines:
        raise UserError(f"{path} is empty; get the file again")
    if not objects:
        raise _not_json_lines(path, "none of its first lines is a JSON object")
    return list(keys)


def _not_json_lines(path: epath.Path, problem: str) -> UserError:
    return UserError(
        f"{path} is not JSON lines: {problem}; give one object a line, or a .csv or .parquet file"
    )


def _parquet(path: epath.Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path.open("rb"))
    except (pa.ArrowException, OSError) as error:
        raise _damaged_parquet(path) from error


def _damaged_parquet(path: epath.Path) -> UserError:
    return UserError(f"{path} is not a readable Parquet file; write it again")


def _read_parquet(source: NoteSource) -> Iterator[Unparsed]:
    file = _parquet(source.path)
    names = list(file.schema_arrow.names)
    positions = find_columns(source, names)
    columns = {note_column: names[position] for note_column, position in positions.items()}
    first_row = 1
    try:
        for batch in file.iter_batches(1 << 14, columns=list(dict.fromkeys(columns.values()))):
            parse = functools.partial(_parse_parquet, batch, first_row, source, columns)
            yield Unparsed(batch.nbytes, parse)
            first_row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _damaged_parquet(source.path) from error


def _parse_parquet(
    batch: pa.RecordBatch, first_row: int, source: NoteSource, columns: dict[str, str]
) -> Batch:
    strings, repaired_bytes = {}, 0
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            strings[name], repaired = _as_strings(column)
        except (pl.exceptions.PolarsError, pa.ArrowException) as error:
            raise UserError(
                f"{source.path} has a column {name!r} of type {column.type}, which is no text; map "
                "another one with --columns"
            ) from error
        repaired_bytes += repaired
    numbers = range(first_row, first_row + batch.num_rows)
    notes = _as_notes(pl.DataFrame(strings), source, columns)
    return Batch(notes, _places("row", lambda: numbers), repaired_bytes=repaired_bytes)


def _as_strings(column: pa.Array) -> tuple[pl.Series, int]:
    """A column of any plain type as text, and how many bytes were not UTF-8."""
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if any(is_text(column.type) for is_text in texts):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            column = column.cast(pa.binary())
    series = pl.Series(column)
    if series.dtype.is_float():
        series = series.fill_nan(None)
    if series.dtype != pl.Binary:
        return series.cast(pl.String).fill_null(""), 0
    pairs = [csv_blocks.to_utf8(value or b"") for value in series]
    decoded = pl.Series([value.decode() for value, _ in pairs], dtype=pl.String)
    return decoded, sum(repaired for _, repaired in pairs)


def _read_txt(source: NoteSource) -> Iterator[Unparsed]:
    paths = text_files(source.path)
    if not paths:
        raise UserError(f"{source.path} has no .txt file; name a directory of them")
    some: dict[epath.Path, bytes] = {}
    file_bytes = 0
    for path in paths:
        with csv_blocks.open_bytes(path) as file:
            some[path] = file.read()
        file_bytes += len(some[path])
        if len(some) == _TXT_BATCH or file_bytes >= csv_blocks.BLOCK_BYTES:
            yield Unparsed(file_bytes, functools.partial(_parse_txt, some, source))
            some, file_bytes = {}, 0
    yield Unparsed(file_bytes, functools.partial(_parse_txt, some, source))


def _parse_txt(files: dict[epath.Path, bytes], source: NoteSource) -> Batch:
    ids, texts, unreadable, repaired_bytes = [], [], [], 0
    for path, data in files.items():
        note_id = path.relative_to(source.path).as_posix()[: -len(".txt")]
        if csv_blocks.is_utf16(data):
            unreadable.append((UTF16, note_id, "", 0))
            continue
        text, repaired = csv_blocks.to_utf8(data)
        ids.append(note_id)
        texts.append(text.decode("utf-8-sig"))
        repaired_bytes += repaired
    frame = pl.DataFrame(
        {"note_id": ids, "text": texts}, schema={"note_id": pl.String, "text": pl.String}
    )
    notes = _as_notes(frame, source, {"note_id": "note_id", "text": "text"})
    no_places = functools.partial(pl.Series, "place", [""] * len(ids), dtype=pl.String)
    return Batch(notes, no_places, _unreadable(unreadable), repaired_bytes)


def _as_notes(frame: pl.DataFrame, source: NoteSource, columns: dict[str, str]) -> pl.DataFrame:
    return frame.select(
        pl.col(columns[name]).alias(name)
        if name in columns
        else pl.lit(source.constants.get(name, "")).alias(name)
        for name in NOTE_COLUMNS
    )


_READERS = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet, "txt": _read_txt}
