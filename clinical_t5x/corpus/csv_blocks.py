"""CSV files of any size as blocks of whole records, in bounded memory and with every row accounted.

A block is cut at a line end outside quotes. The positions of its quote characters prove whether it
follows RFC 4180; if so, polars reads it exactly as the standard library's csv module would. From
the first place where they do not, the standard library reads the rest of the file, and its records
are quoted anew, so that whoever parses blocks meets well-formed ones only.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import dataclasses
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np
import polars as pl
from etils import epath

from clinical_t5x.console import UserError

BLOCK_BYTES = 32 << 20
_MAX_HEADER = 1 << 20
_QUOTE, _COMMA, _LF, _CR = b'",\n\r'
_GZIP_MAGIC = b"\x1f\x8b"
_WINDOWS_FALLBACK = "clinical_t5x.windows1252"


@dataclasses.dataclass(frozen=True)
class Block:
    """Whole records of a CSV file, well-formed UTF-8 and RFC 4180, without the header.

    Attributes:
        data: the records' bytes.
        repaired_bytes: bytes that were not UTF-8 and were read as Windows-1252.
        ragged: records left out for having more fields than the header.
        file_bytes: bytes of the file (compressed, if it is) that were read for it.
    """

    data: bytes
    repaired_bytes: int = 0
    ragged: int = 0
    file_bytes: int = 0


@contextlib.contextmanager
def open_bytes(path: epath.Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, decompressing gzip; damage becomes a `UserError`."""
    try:
        with path.open("rb") as file:
            magic = file.read(2)
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if magic == _GZIP_MAGIC else file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path} is truncated or damaged (its gzip stream does not end as it should); "
            "download it again, or compare it with PhysioNet's SHA256SUMS.txt"
        ) from error
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; name an existing file") from error


def read_header(path: epath.Path) -> list[str]:
    """The column names of a CSV file, as written."""
    with open_bytes(path) as file:
        return _header_of(file)


def record_blocks(path: epath.Path, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield the records of a CSV or CSV.gz file in blocks of about `block_bytes`."""
    done = 0
    with open_bytes(path) as file:
        header = _header_of(file)
        for block in _blocks(file, len(header), block_bytes):
            now = file_position(file)
            yield dataclasses.replace(block, file_bytes=now - done)
            done = now


def file_position(file: IO[bytes]) -> int:
    """How far a file opened by `open_bytes` was read, in its own (compressed) bytes."""
    return file.fileobj.tell() if isinstance(file, gzip.GzipFile) else file.tell()


def _blocks(file: IO[bytes], num_fields: int, block_bytes: int) -> Iterator[Block]:
    pending = b""
    while True:
        more = file.read(block_bytes)
        data = pending + more
        end = _last_record_end(data, final=not more)
        if end is None or (end == 0 and len(data) > 4 * block_bytes):
            yield from _standard_blocks(data, file, num_fields, block_bytes)
            return
        pending = data[end:]
        if end:
            yield decode(data[:end])
        if not more:
            return


def parse_block(block: Block, names: list[str]) -> pl.DataFrame:
    """A block as a table of strings, "" for what is missing, blank lines left out.

    Raises:
        polars.exceptions.ComputeError: a record has more fields than `names`; `standard_block`
            reads such a block.
    """
    schema = dict.fromkeys(names, pl.String)
    if not block.data.strip():
        return pl.DataFrame(schema=schema)
    frame = pl.read_csv(io.BytesIO(block.data), has_header=False, schema=schema)
    blank_line = pl.all_horizontal(pl.all().is_null())
    return frame.filter(~blank_line).with_columns(pl.all().fill_null(""))


def standard_block(block: Block, num_fields: int) -> Block:
    """The same block without its ragged records, read by the standard library."""
    blocks = _standard_blocks(block.data, io.BytesIO(), num_fields, len(block.data))
    parts = list(blocks)
    return Block(
        data=b"".join(part.data for part in parts),
        repaired_bytes=block.repaired_bytes,
        ragged=block.ragged + sum(part.ragged for part in parts),
    )


def _header_of(file: IO[bytes]) -> list[str]:
    line = file.readline(_MAX_HEADER)
    while line.count(b'"') % 2 and (more := file.readline(_MAX_HEADER)):
        line += more  # a quoted name with a line end in it
    text = line.removeprefix(codecs.BOM_UTF8).decode(errors="replace")
    return next(csv.reader(io.StringIO(text, newline="")), [])


def _last_record_end(data: bytes, *, final: bool) -> int | None:
    """How many bytes of `data` are whole records; None when its quoting breaks RFC 4180."""
    buffer = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(buffer == _QUOTE)
    end = len(data) if final else _end_outside_quotes(data, quotes)
    if final and len(quotes) % 2:
        return None
    quotes = quotes[: np.searchsorted(quotes, end)]
    conforms = _quotes_conform(buffer, quotes, end) and _line_ends_conform(data, buffer, quotes)
    return end if conforms else None


def _end_outside_quotes(data: bytes, quotes: np.ndarray) -> int:
    """One past the last line end that has an even number of quotes before it, or 0."""
    end = len(data)
    inside = len(quotes) % 2 == 1
    for index in range(len(quotes) - 1, -2, -1):
        quote = int(quotes[index]) if index >= 0 else -1
        if not inside:
            line_end = data.rfind(b"\n", quote + 1, end)
            if line_end >= 0:
                return line_end + 1
        end, inside = max(quote, 0), not inside
    return 0


def _quotes_conform(buffer: np.ndarray, quotes: np.ndarray, end: int) -> bool:
    """Whether every quote opens, closes or doubles where RFC 4180 allows it.

    Counted from a record's start, even quotes open a field (or are the second of a doubled pair),
    odd ones close it (or are the first of a pair).
    """
    if not len(quotes):
        return True
    opening, closing = quotes[0::2], quotes[1::2]
    before = np.where(opening > 0, buffer[opening - 1], _LF)
    doubled = np.zeros(len(opening), bool)
    doubled[1:] = opening[1:] == closing[: len(opening) - 1] + 1
    opens_well = (before == _COMMA) | (before == _LF) | doubled
    after = np.where(closing + 1 < end, buffer[np.minimum(closing + 1, end - 1)], _LF)
    closes_well = (after == _COMMA) | (after == _LF) | (after == _CR) | (after == _QUOTE)
    return bool(opens_well.all() and closes_well.all())


def _line_ends_conform(data: bytes, buffer: np.ndarray, quotes: np.ndarray) -> bool:
    """Whether no lone CR stands outside quotes; for the standard library it would end a record."""
    if data.count(b"\r") == data.count(b"\r\n"):
        return True
    returns = np.flatnonzero(buffer[:-1] == _CR)
    lone = returns[buffer[returns + 1] != _LF]
    return bool((np.searchsorted(quotes, lone) % 2 == 1).all())


def decode(data: bytes) -> Block:
    """Bytes as a block of UTF-8; those that are not are read as Windows-1252 and counted."""
    if data.isascii():
        return Block(data)
    try:
        data.decode()
    except UnicodeDecodeError:
        text = data.decode(errors=_WINDOWS_FALLBACK)
        strict = data.decode(errors="ignore").encode()
        return Block(text.encode(), repaired_bytes=len(data) - len(strict))
    return Block(data)


def _windows_fallback(error: UnicodeError) -> tuple[str, int]:
    broken = error.object[error.start : error.end]
    return broken.decode("cp1252", errors="replace"), error.end


codecs.register_error(_WINDOWS_FALLBACK, _windows_fallback)


class _Rest(io.RawIOBase):
    """What was read already, followed by the rest of a file."""

    def __init__(self, head: bytes, file: IO[bytes]):
        self._parts = [io.BytesIO(head), file]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while self._parts:
            if got := self._parts[0].read(len(buffer)):
                buffer[: len(got)] = got
                return len(got)
            self._parts.pop(0)
        return 0


def _standard_blocks(
    head: bytes, file: IO[bytes], num_fields: int, block_bytes: int
) -> Iterator[Block]:
    """Read records with the standard library and quote them anew; ragged ones are counted."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    rest = io.BufferedReader(_Rest(head, file), 1 << 20)
    text = io.TextIOWrapper(rest, "utf-8", _WINDOWS_FALLBACK, newline="")
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    ragged = 0
    for record in csv.reader(text):
        if len(record) > num_fields:
            ragged += 1
        elif record:
            writer.writerow(record + [""] * (num_fields - len(record)))
        if out.tell() >= block_bytes:
            yield Block(out.getvalue().encode(errors="replace"), ragged=ragged)
            out.seek(0)
            out.truncate()
            ragged = 0
    yield Block(out.getvalue().encode(errors="replace"), ragged=ragged)
