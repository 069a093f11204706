"""Flax's `.msgpack` files as a `TensorFile`: the structure is scanned once, numbers stay on disk.

A file is a nested map; an array is an extension of type 1 that holds a list of shape, dtype and
bytes, and an array of more than a gibibyte is a map of flat pieces. Names are joined by "/".
"""

from __future__ import annotations

import dataclasses
import math
import struct
from typing import Any, BinaryIO

import numpy as np
from etils import epath

from clinical_t5x.interop import tensor_files
from clinical_t5x.interop.source import CheckpointError, TensorInfo

_DEEPEST = 32
_LONGEST_STRING = 1 << 20
_ARRAY = 1  # the extension's type
_PIECES = "__msgpack_chunked_array__"
# What follows a first byte: how many bytes of length.
_STRINGS = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xC4: 1, 0xC5: 2, 0xC6: 4}
_LISTS, _MAPS = {0xDC: 2, 0xDD: 4}, {0xDE: 2, 0xDF: 4}
_EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


@dataclasses.dataclass(frozen=True)
class _Piece:
    """An array, or a flat piece of one, and where its bytes are."""

    shape: tuple[int, ...]
    dtype: str
    start: int
    length: int


class FlaxFile:
    """A file of `flax.serialization`, as transformers' Flax models were saved.

    Raises:
      CheckpointError: the file is truncated, damaged, or holds anything but named arrays.
    """

    def __init__(self, path: epath.Path):
        self._file = path
        self.path = str(path)
        with path.open("rb") as file:
            tree = _Scanner(file, tensor_files.file_size(path), self.path).scan()
        self._pieces: dict[str, list[_Piece]] = {}
        self.infos: dict[str, TensorInfo] = {}
        self._flatten(tree, "")
        if not self.infos:
            raise CheckpointError(f"{path} holds no arrays")

    def _flatten(self, node: Any, name: str) -> None:
        if isinstance(node, _Piece):
            self._add(name, node.shape, [node])
        elif isinstance(node, dict) and _PIECES in node:
            shape, pieces = _in_order(node.get("shape")), _in_order(node.get("chunks"))
            fits = all(isinstance(piece, _Piece) for piece in pieces) and pieces
            if not fits or not all(type(size) is int and size >= 0 for size in shape):
                raise CheckpointError(f"{self.path} is damaged (at {name})")
            self._add(name, tuple(shape), pieces)
        elif isinstance(node, dict):
            for key, value in node.items():
                self._flatten(value, f"{name}/{key}" if name else str(key))
        else:
            raise CheckpointError(f"{self.path} holds more than arrays (at {name or 'its top'})")

    def _add(self, name: str, shape: tuple[int, ...], pieces: list[_Piece]) -> None:
        entries = sum(math.prod(piece.shape) for piece in pieces)
        if entries != math.prod(shape) or name in self.infos:
            raise CheckpointError(f"{self.path} is damaged (at {name})")
        self.infos[name] = TensorInfo(shape, pieces[0].dtype)
        self._pieces[name] = pieces

    def read(self, name: str) -> np.ndarray:
        """The whole tensor as stored."""
        info, pieces = self.infos[name], self._pieces[name]
        dtype = tensor_files.weight_dtype(self.path, name, info.dtype)
        if len(pieces) == 1:
            data = tensor_files.read_range(self._file, pieces[0].start, pieces[0].length)
            return np.frombuffer(data, dtype).reshape(info.shape)
        array = np.empty(info.size, dtype)
        position = 0
        for piece in pieces:
            data = tensor_files.read_range(self._file, piece.start, piece.length)
            part = np.frombuffer(data, dtype)
            array[position : position + len(part)] = part
            position += len(part)
        return array.reshape(info.shape)

    def is_same_memory(self, name: str, other: str) -> bool:
        """Never: each array has bytes of its own."""
        return False


def _in_order(numbered: Any) -> list[Any]:
    """The values of a map with keys "0", "1", ... in that order; empty for anything else."""
    if not isinstance(numbered, dict):
        return []
    wanted = [str(i) for i in range(len(numbered))]
    return [numbered[key] for key in wanted] if set(wanted) == set(numbered) else []


class _Scanner:
    """Reads msgpack's structure from a file and steps over the bytes of arrays."""

    def __init__(self, file: BinaryIO, size: int, path: str):
        self._file = file
        self._size = size
        self._path = path

    def scan(self) -> Any:
        tree = self._value(0)
        if self._file.tell() != self._size:
            self._refuse("something follows its end")
        return tree

    def _refuse(self, why: str) -> None:
        raise CheckpointError(f"{self._path} is no msgpack file of Flax, or damaged: {why}")

    def _bytes(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise CheckpointError(f"{self._path} is truncated; fetch it again")
        return data

    def _number(self, width: int) -> int:
        return int.from_bytes(self._bytes(width), "big")

    def _value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            self._refuse("it is nested too deeply")
        first = self._bytes(1)[0]
        if first <= 0x7F:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _NUMBERS:
            form = _NUMBERS[first]
            return struct.unpack(form, self._bytes(struct.calcsize(form)))[0]
        if first <= 0x8F or first in _MAPS:
            return self._map(first & 0x0F if first <= 0x8F else self._number(_MAPS[first]), depth)
        if first <= 0x9F or first in _LISTS:
            count = first & 0x0F if first <= 0x9F else self._number(_LISTS[first])
            return [self._value(depth + 1) for _ in self._counted(count)]
        if first <= 0xBF or first in _STRINGS:
            return self._string(first & 0x1F if first <= 0xBF else self._number(_STRINGS[first]))
        return self._extension(first)

    def _counted(self, count: int) -> range:
        """As many turns as the file says, unless it is too short for that."""
        if count > self._size - self._file.tell():
            raise CheckpointError(f"{self._path} is truncated; fetch it again")
        return range(count)

    def _map(self, count: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in self._counted(count):
            key = self._value(depth + 1)
            if not isinstance(key, str) or key in found:
                self._refuse("a name is no text, or occurs twice")
            found[key] = self._value(depth + 1)
        return found

    def _string(self, length: int) -> str:
        if length > _LONGEST_STRING:
            self._refuse("a name is too long")
        try:
            return self._bytes(length).decode()
        except UnicodeDecodeError:
            self._refuse("a name is no text")

    def _extension(self, first: int) -> _Piece:
        if first in _FIXED_EXTENSIONS:
            length = _FIXED_EXTENSIONS[first]
        elif first in _EXTENSIONS:
            length = self._number(_EXTENSIONS[first])
        else:
            self._refuse(f"unknown byte {first:#x}")
        if self._number(1) != _ARRAY:
            self._refuse("an extension that is no array")
        end = self._file.tell() + length
        if end > self._size:
            raise CheckpointError(f"{self._path} is truncated; fetch it again")
        return self._array(end)

    def _array(self, end: int) -> _Piece:
        if self._bytes(1)[0] != 0x93:
            self._refuse("an array without shape, dtype and numbers")
        shape, dtype = self._value(_DEEPEST - 1), self._value(_DEEPEST - 1)
        first = self._bytes(1)[0]
        if first not in _STRINGS and not 0xA0 <= first <= 0xBF:
            self._refuse("an array without numbers")
        length = first & 0x1F if first <= 0xBF else self._number(_STRINGS[first])
        start = self._file.tell()
        good = isinstance(shape, list) and isinstance(dtype, str) and start + length == end
        if not good or not all(type(size) is int and size >= 0 for size in shape):
            self._refuse("an array's shape, dtype and numbers do not fit")
        width = tensor_files.WEIGHT_DTYPES.get(dtype)
        if width is not None and math.prod(shape) * width.itemsize != length:
            self._refuse("an array's shape and numbers do not fit")
        self._file.seek(end)
        return _Piece(tuple(shape), dtype, start, length)
