"""CSV files of any size as blocks of whole records, in bounded memory and with every row accounted.

A block is cut at a line end outside quotes. Its quotes prove whether it follows RFC 4180; if so,
polars reads it exactly as the standard library's csv module would, and its records were counted to
hold polars to it. From the first place where they do not, the standard library reads the rest of
the file, and its records are quoted anew, so that whoever parses blocks meets well-formed ones
only.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import dataclasses
import gzip
import io
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

import numpy as np
import polars as pl
import pyarrow as pa
from etils import epath
from isal import igzip, isal_zlib

from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_scan

BLOCK_BYTES = 24 << 20
# Why a record is no row of the table.
RAGGED = "more fields than the header"
UNCLOSED = "a quote that is never closed"

_MAX_HEADER = 1 << 20
# The csv module holds a field with four bytes a character, so this bounds it to half a gigabyte.
_MAX_FIELD = 128 << 20
_MAX_KEPT_FIELD = 40
_BAD_RECORD_BYTES = 500  # about what is remembered of one
_GZIP_MAGIC = b"\x1f\x8b"
# Polars takes a block that begins like this for compressed, or drops the byte-order mark.
_MISTAKEN = (b"x\x01", codecs.BOM_UTF8)
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_DAMAGED = (
    "is truncated or damaged (its gzip stream does not end as it should); download it again, or "
    "compare it with PhysioNet's SHA256SUMS.txt"
)


@dataclasses.dataclass(frozen=True)
class BadRecord:
    """A record that is no row of the table.

    Attributes:
        reason: `RAGGED` or `UNCLOSED`.
        line: the line of the file on which it begins.
        fields: its first fields, as many as the header has; "" for those that are too long to be
            identifiers.
    """

    reason: str
    line: int
    fields: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Block:
    """Whole records of a CSV file, well-formed UTF-8 and RFC 4180, without the header.

    Attributes:
        data: the records' bytes.
        first_line: the line of the file on which `data` begins (LF, CR and CRLF end lines).
        num_records: how many records `data` has; a blank line counts as one.
        lines: the line on which every record begins, where `data` is quoted anew; else None.
        bad: the records that were left out.
        repaired_bytes: bytes that were not UTF-8 and were read as Windows-1252.
        file_bytes: bytes of the file (compressed, if it is) that were read for it.
    """

    data: bytes
    first_line: int
    num_records: int
    lines: Sequence[int] | None = None
    bad: tuple[BadRecord, ...] = ()
    repaired_bytes: int = 0
    file_bytes: int = 0


@dataclasses.dataclass(frozen=True)
class Records:
    """A parsed block.

    Attributes:
        table: strings, "" for what is missing; a row for every record that is not bad.
        block: what it was parsed from.
    """

    table: pl.DataFrame
    block: Block

    def lines(self) -> pl.Series:
        """The line of the file on which every row of `table` begins."""
        if self.block.lines is not None:
            return pl.Series(self.block.lines, dtype=pl.Int64)
        ends = [
            self.table.select(
                pl.sum_horizontal(pl.all().str.count_matches(end, literal=True).cast(pl.Int64))
            ).to_series()
            for end in ("\n", "\r", "\r\n")
        ]
        following = (ends[0] + ends[1] - ends[2] + 1).cum_sum()
        return following.shift(1, fill_value=0) + self.block.first_line


@dataclasses.dataclass(frozen=True)
class _Header:
    names: list[str]
    lines: int  # of the file, up to and with the header
    rest: bytes  # read beyond it


@contextlib.contextmanager
def open_bytes(path: epath.Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, decompressing gzip; damage becomes a `UserError`."""
    try:
        with path.open("rb") as file:
            magic = file.read(2)
            file.seek(0)
            yield igzip.IGzipFile(fileobj=file) if magic == _GZIP_MAGIC else file
    except (EOFError, gzip.BadGzipFile, isal_zlib.error) as error:
        raise UserError(f"{path} {_DAMAGED}") from error
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; name an existing file") from error
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UserError(f"{path} cannot be read ({why}); check the file and its rights") from error


def is_utf16(head: bytes) -> bool:
    """Whether a file that begins like this has the byte-order mark of UTF-16 (or UTF-32)."""
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def refuse_utf16(path: epath.Path, head: bytes) -> None:
    """Raise a `UserError` if a file is UTF-16 text."""
    if is_utf16(head):
        raise UserError(
            f"{path} is UTF-16 text; write it as UTF-8, for example with "
            f"`iconv -f UTF-16 -t UTF-8 {path.name} > utf8-{path.name}` after unpacking it"
        )


def read_header(path: epath.Path) -> list[str]:
    """The column names of a CSV file, as written."""
    with open_bytes(path) as file:
        return _header_of(file, path).names


def record_blocks(path: epath.Path, block_bytes: int | None = None) -> Iterator[Block]:
    """Yield the records of a CSV or CSV.gz file in blocks of about `block_bytes`.

    Raises:
        UserError: the file is damaged, no text, or has a field of more than 128 MB.
    """
    done = 0
    with open_bytes(path) as file:
        header = _header_of(file, path)
        try:
            size = block_bytes or BLOCK_BYTES
            for block in _blocks(_pieces(file, header.rest, size), header, size):
                now = file_position(file)
                yield dataclasses.replace(block, file_bytes=now - done)
                done = now
        except csv.Error as error:
            raise UserError(
                f"{path} cannot be read as CSV ({error}); is a quote never closed? Write the file "
                "again with its texts quoted"
            ) from error


def file_position(file: IO[bytes]) -> int:
    """How far a file opened by `open_bytes` was read, in its own (compressed) bytes."""
    return file.fileobj.tell() if isinstance(file, gzip.GzipFile) else file.tell()


def parse_block(block: Block, names: list[str]) -> pl.DataFrame:
    """A block as a table of strings, "" for what is missing; no blank lines, no bad records."""
    return read_records(block, names).table


def read_records(block: Block, names: list[str]) -> Records:
    """Parse a block; every record of the standard library is a row or one of `block.bad`."""
    if block.lines is None:
        table = _parsed_as_it_is(block, names)
        if table is not None:
            return Records(table, block)
        block = _quoted_anew(block, len(names))
    table = _table(block.data, names)
    if table.height != len(block.lines):
        raise AssertionError(f"{len(block.lines)} records were read, {table.height} were parsed")
    return Records(table, block)


def to_utf8(data: bytes) -> tuple[bytes, int]:
    """Bytes as UTF-8, and how many were not and were read as Windows-1252."""
    if data.isascii() or _is_utf8(data):
        return data, 0
    text, repaired = _repaired(data.decode(errors="surrogateescape"))
    return text.encode(), repaired


def _is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8; Arrow asks without making a string of them."""
    offsets = pa.py_buffer(np.array([0, len(data)], np.int64))
    text = pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(data))
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _header_of(file: IO[bytes], path: epath.Path) -> _Header:
    """Read the first record that is no blank line."""
    head = file.read(_MAX_HEADER)
    refuse_utf16(path, head)
    body = head.removeprefix(codecs.BOM_UTF8)
    used: list[bytes] = []
    unclosed = False

    def lines() -> Iterator[str]:
        nonlocal unclosed
        for line in body.splitlines(keepends=True):
            used.append(line)
            yield to_utf8(line)[0].decode()
        unclosed = True

    csv.field_size_limit(_MAX_FIELD)
    names = next(filter(None, csv.reader(lines())), [])
    end = sum(map(len, used))
    if b"\0" in body[:end]:
        raise UserError(f"{path} is no CSV text: NUL bytes stand in its header; is it UTF-16?")
    if not names:
        raise UserError(f"{path} is empty, without even a header line; get the file again")
    if unclosed or (end == len(body) and file.read(1)):
        raise UserError(
            f"{path} has no header line that ends within {_MAX_HEADER:,} bytes; check that it is a "
            "CSV file and that the quotes of its first line are closed"
        )
    return _Header(names, len(used), body[end:])


def _pieces(file: IO[bytes], head: bytes, size: int) -> Iterator[bytes]:
    """What was read already and the rest of a file; nothing at the end."""
    for start in range(0, len(head), size):
        yield head[start : start + size]
    while more := file.read(size):
        yield more
    yield b""


def _blocks(pieces: Iterator[bytes], header: _Header, block_bytes: int) -> Iterator[Block]:
    pending, line = b"", header.lines + 1
    for more in pieces:
        data = pending + more
        records = csv_scan.scan(data, final=not more)
        if not records.conform or len(data) > _MAX_FIELD + block_bytes:
            rest = _Rest(itertools.chain([data], pieces))
            yield from _standard_blocks(rest, len(header.names), block_bytes, line)
            return
        pending = data[records.end :]
        if records.end:
            utf8, repaired = to_utf8(data[: records.end])
            yield Block(utf8, line, records.count, repaired_bytes=repaired)
            line += records.line_feeds + records.lone_returns


def _parsed_as_it_is(block: Block, names: list[str]) -> pl.DataFrame | None:
    """The table of a block; None when polars may not see what the standard library does."""
    if block.data.startswith(_MISTAKEN):
        return None
    try:
        table = _table(block.data, names)
    except pl.exceptions.PolarsError:  # a record with too many fields, or a first one with too few
        return None
    if table.select(pl.all_horizontal(pl.all().is_null()).any()).item():
        return None  # a blank line, which is no record, or a record of empty fields, which is one
    if table.height != block.num_records:
        return None
    return table.with_columns(pl.all().fill_null(""))


def _table(data: bytes, names: list[str]) -> pl.DataFrame:
    schema = dict.fromkeys(names, pl.String)
    if not data:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(io.BytesIO(data), has_header=False, schema=schema)


def _repaired(text: str) -> tuple[str, int]:
    """Text decoded with "surrogateescape": escaped bytes become Windows-1252, and are counted."""
    return _ESCAPED_BYTE.subn(
        lambda byte: bytes([ord(byte[0]) - 0xDC00]).decode("cp1252", errors="replace"), text
    )


class _Rest(io.RawIOBase):
    """Pieces of a file as a file."""

    def __init__(self, pieces: Iterable[bytes]):
        self._pieces = iter(pieces)
        self._piece = io.BytesIO()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not (got := self._piece.read(len(buffer))):
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = io.BytesIO(piece)
        buffer[: len(got)] = got
        return len(got)


class _Lines:
    """The lines of a text as the csv module wants them, numbered, with bytes repaired.

    Attributes:
        number: the line of the file that comes next.
        repaired: bytes that were read as Windows-1252 so far.
        ended: whether a line beyond the last was asked for.
    """

    def __init__(self, file: io.RawIOBase, number: int):
        buffered = io.BufferedReader(file, 1 << 20)
        self._text = io.TextIOWrapper(buffered, "utf-8", "surrogateescape", newline="")
        self.number = number
        self.repaired = 0
        self.ended = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(_MAX_FIELD)
        if not line:
            self.ended = True
            raise StopIteration
        if len(line) == _MAX_FIELD:
            raise csv.Error(f"line {self.number:,} is longer than {_MAX_FIELD:,} characters")
        self.number += 1
        if not line.isascii():
            line, repaired = _repaired(line)
            self.repaired += repaired
        return line


def _standard_blocks(
    file: io.RawIOBase, num_fields: int, block_bytes: float, first_line: int
) -> Iterator[Block]:
    """Read records with the standard library and quote them anew; bad ones are set aside."""
    csv.field_size_limit(_MAX_FIELD)
    lines = _Lines(file, first_line)
    reader = csv.reader(lines)
    while not lines.ended:
        yield _next_standard_block(reader, lines, num_fields, block_bytes)


def _next_standard_block(
    reader: Iterator[list[str]], lines: _Lines, num_fields: int, block_bytes: float
) -> Block:
    first_line = begins = lines.number
    repaired = lines.repaired
    out, rows, bad = io.StringIO(), [], []
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for record in reader:
        # The reader looks beyond the last line only for the end of a quoted field.
        reason = UNCLOSED if lines.ended else RAGGED if len(record) > num_fields else None
        if reason is not None:
            bad.append(BadRecord(reason, begins, _first_fields(record, num_fields)))
        elif record:
            writer.writerow(record + [""] * (num_fields - len(record)))
            rows.append(begins)
        begins = lines.number
        if out.tell() + len(bad) * _BAD_RECORD_BYTES >= block_bytes:
            break
    data = out.getvalue().encode()
    repaired = lines.repaired - repaired
    return Block(data, first_line, len(rows), rows, tuple(bad), repaired)


def _first_fields(record: list[str], count: int) -> tuple[str, ...]:
    """The fields that may be identifiers, so that no text is carried along."""
    return tuple(field if len(field) <= _MAX_KEPT_FIELD else "" for field in record[:count])


def _quoted_anew(block: Block, num_fields: int) -> Block:
    """The same block read by the standard library."""
    (anew,) = _standard_blocks(_Rest([block.data]), num_fields, math.inf, block.first_line)
    return anew
