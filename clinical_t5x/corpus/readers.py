"""Files of notes, whatever their format, as batches of notes in bounded memory.

A reader yields one callable for every batch: yielding reads bytes in order, calling parses them, so
that parsing can go on in other threads.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks
from clinical_t5x.corpus.sources import NOTE_COLUMNS, NoteSource, find_columns

RAGGED = "more fields than the header"
NOT_JSON = "not a JSON object"
_TXT_BATCH = 1000


@dataclasses.dataclass(frozen=True)
class Batch:
    """Some notes of a source.

    Attributes:
        notes: `NOTE_COLUMNS`, all strings, "" for missing values.
        unreadable: reason -> records that are no rows of `notes` at all.
        repaired_bytes: bytes that were not UTF-8.
    """

    notes: pl.DataFrame
    unreadable: Counter[str] = dataclasses.field(default_factory=collections.Counter)
    repaired_bytes: int = 0


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
    """Read a source in batches of some tens of megabytes."""
    return _READERS[source.file_format](source)


def column_names(path: epath.Path, file_format: str) -> list[str]:
    """The columns that a file of notes has."""
    if file_format == "csv":
        return csv_blocks.read_header(path)
    if file_format == "parquet":
        return list(_parquet(path).schema_arrow.names)
    if file_format == "jsonl":
        return list(_first_object(path))
    return ["id", "text"]


def text_files(directory: epath.Path) -> list[epath.Path]:
    """All .txt files under a directory, sorted."""
    found = []
    for path in directory.iterdir():
        if path.is_dir():
            found += text_files(path)
        elif path.name.endswith(".txt"):
            found.append(path)
    return sorted(found)


def _read_csv(source: NoteSource) -> Iterator[Unparsed]:
    header = csv_blocks.read_header(source.path)
    positions = find_columns(source, header)
    for block in csv_blocks.record_blocks(source.path):
        parse = functools.partial(_parse_csv, block, source, len(header), positions)
        yield Unparsed(block.file_bytes, parse)


def _parse_csv(
    block: csv_blocks.Block, source: NoteSource, num_fields: int, positions: dict[str, int]
) -> Batch:
    names = [str(position) for position in range(num_fields)]
    try:
        frame = csv_blocks.parse_block(block, names)
    except pl.exceptions.PolarsError:  # a record with too many fields
        block = csv_blocks.standard_block(block, num_fields)
        frame = csv_blocks.parse_block(block, names)
    columns = {note_column: str(position) for note_column, position in positions.items()}
    unreadable = collections.Counter({RAGGED: block.ragged} if block.ragged else {})
    return Batch(_as_notes(frame, source, columns), unreadable, block.repaired_bytes)


def _read_jsonl(source: NoteSource) -> Iterator[Unparsed]:
    names = list(_first_object(source.path))
    positions = find_columns(source, names)
    keys = {note_column: names[position] for note_column, position in positions.items()}
    for lines, file_bytes in _line_blocks(source.path):
        yield Unparsed(file_bytes, functools.partial(_parse_jsonl, lines, source, keys))


def _line_blocks(path: epath.Path) -> Iterator[tuple[bytes, int]]:
    done = 0
    with csv_blocks.open_bytes(path) as file:
        pending = b""
        while more := file.read(csv_blocks.BLOCK_BYTES):
            whole, newline, pending = (pending + more).rpartition(b"\n")
            now = csv_blocks.file_position(file)
            yield whole + newline, now - done
            done = now
        yield pending, csv_blocks.file_position(file) - done


def _parse_jsonl(lines: bytes, source: NoteSource, keys: dict[str, str]) -> Batch:
    values: dict[str, list[str]] = {note_column: [] for note_column in keys}
    unreadable: Counter[str] = collections.Counter()
    text = csv_blocks.decode(lines)
    for line in text.data.split(b"\n"):
        if not line.strip():
            continue
        record = _json_object(line)
        if record is None:
            unreadable[NOT_JSON] += 1
            continue
        for note_column, key in keys.items():
            values[note_column].append(_as_text(record.get(key)))
    frame = pl.DataFrame(values, schema=dict.fromkeys(keys, pl.String))
    columns = {note_column: note_column for note_column in keys}
    return Batch(_as_notes(frame, source, columns), unreadable, text.repaired_bytes)


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # JSON can escape half a surrogate pair, which no file can hold.
        return value.encode(errors="replace").decode()
    return json.dumps(value)


def _first_object(path: epath.Path) -> dict[str, Any]:
    with csv_blocks.open_bytes(path) as file:
        for line in file:
            if line.strip():
                record = _json_object(line)
                if record is None:
                    raise UserError(
                        f"{path} is not JSON lines: its first line is no JSON object; give one "
                        "object a line, or a .csv or .parquet file"
                    )
                return record
    return {}


def _parquet(path: epath.Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path.open("rb"))
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a readable Parquet file; write it again") from error


def _read_parquet(source: NoteSource) -> Iterator[Unparsed]:
    file = _parquet(source.path)
    names = list(file.schema_arrow.names)
    positions = find_columns(source, names)
    columns = {note_column: names[position] for note_column, position in positions.items()}
    for batch in file.iter_batches(1 << 14, columns=list(dict.fromkeys(columns.values()))):
        frame = pl.DataFrame(pa.Table.from_batches([batch]))
        parse = functools.partial(_parse_parquet, frame, source, columns)
        yield Unparsed(batch.nbytes, parse)


def _parse_parquet(frame: pl.DataFrame, source: NoteSource, columns: dict[str, str]) -> Batch:
    strings = frame.with_columns(pl.all().cast(pl.String).fill_null(""))
    return Batch(_as_notes(strings, source, columns))


def _read_txt(source: NoteSource) -> Iterator[Unparsed]:
    paths = text_files(source.path)
    if not paths:
        raise UserError(f"{source.path} has no .txt file; name a directory of them")
    for first in range(0, len(paths), _TXT_BATCH):
        some = paths[first : first + _TXT_BATCH]
        blocks = [csv_blocks.decode(path.read_bytes()) for path in some]
        parse = functools.partial(_parse_txt, some, blocks, source)
        yield Unparsed(sum(len(block.data) for block in blocks), parse)


def _parse_txt(
    paths: Sequence[epath.Path], blocks: Sequence[csv_blocks.Block], source: NoteSource
) -> Batch:
    ids = [path.relative_to(source.path).as_posix().removesuffix(".txt") for path in paths]
    texts = [block.data.decode() for block in blocks]
    frame = pl.DataFrame(
        {"note_id": ids, "text": texts}, schema={"note_id": pl.String, "text": pl.String}
    )
    notes = _as_notes(frame, source, {"note_id": "note_id", "text": "text"})
    return Batch(notes, repaired_bytes=sum(block.repaired_bytes for block in blocks))


def _as_notes(frame: pl.DataFrame, source: NoteSource, columns: dict[str, str]) -> pl.DataFrame:
    return frame.select(
        pl.col(columns[name]).alias(name)
        if name in columns
        else pl.lit(source.constants.get(name, "")).alias(name)
        for name in NOTE_COLUMNS
    )


_READERS = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet, "txt": _read_txt}
