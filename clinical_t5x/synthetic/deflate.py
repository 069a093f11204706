"""One gzip file from blocks that were compressed apart, so that many processes can share the work.

Each block is a raw deflate stream that ends on a byte boundary with a full flush; blocks written
one after the other between a gzip header and trailer are one valid gzip member (what pigz does). The
bytes depend on the blocks alone, never on how many processes made them.
"""

from __future__ import annotations

import functools
import struct
import zlib
from typing import BinaryIO, NamedTuple

LEVEL = 1  # text compresses about four to one at 100 MB/s


class Block(NamedTuple):
    """A compressed part: raw deflate bytes, CRC-32 and length of what was compressed."""

    data: bytes
    crc: int
    length: int


def compress(content: bytes) -> Block:
    """Compress one block."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = compressor.compress(content) + compressor.flush(zlib.Z_FULL_FLUSH)
    return Block(data, zlib.crc32(content), len(content))


class GzipWriter:
    """Writes a gzip file with a name and a comment in its header and no time stamp.

    Args:
        file: where to write; stays open.
        name: the FNAME field, the name of the uncompressed file (Latin-1).
        comment: the FCOMMENT field (Latin-1): what says that the content is synthetic.
    """

    def __init__(self, file: BinaryIO, *, name: str, comment: str):
        self._file, self._crc, self._length = file, 0, 0
        fields = name.encode("latin-1") + b"\0" + comment.encode("latin-1") + b"\0"
        flags = 0x08 | 0x10  # FNAME, FCOMMENT
        file.write(b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0" + b"\x04\xff" + fields)

    def write(self, content: bytes) -> None:
        """Compress `content` and append it."""
        self.append(compress(content))

    def append(self, block: Block) -> None:
        """Append a block that was compressed elsewhere."""
        self._file.write(block.data)
        self._crc = combine_crc32(self._crc, block.crc, block.length)
        self._length += block.length

    def finish(self) -> None:
        """Write the last, empty deflate block and the gzip trailer."""
        self._file.write(b"\x03\x00")
        self._file.write(struct.pack("<LL", self._crc, self._length & 0xFFFFFFFF))


def combine_crc32(first: int, second: int, second_length: int) -> int:
    """CRC-32 of A + B from crc(A), crc(B) and len(B).

    Appending n zero bytes to A is a linear map of its CRC over GF(2); the map of 2**k zero bytes
    is the k-th square of that of one byte (the method of zlib's crc32_combine).
    """
    exponent = 0
    while second_length:
        if second_length & 1:
            first = _apply(_zeros(exponent), first)
        second_length >>= 1
        exponent += 1
    return first ^ second


@functools.cache
def _zeros(exponent: int) -> tuple[int, ...]:
    """The 32 columns of the map that appends 2**exponent zero bytes."""
    if exponent:
        half = _zeros(exponent - 1)
        return tuple(_apply(half, column) for column in half)
    one_bit = (0xEDB88320, *(1 << k for k in range(31)))
    columns = one_bit
    for _ in range(3):  # 2, 4, 8 bits
        columns = tuple(_apply(columns, column) for column in columns)
    return columns


def _apply(columns: tuple[int, ...], vector: int) -> int:
    result = 0
    for column in columns:
        if not vector:
            break
        if vector & 1:
            result ^= column
        vector >>= 1
    return result
