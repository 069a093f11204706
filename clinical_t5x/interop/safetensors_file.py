"""Safetensors: eight bytes of length, a JSON header of names, shapes and places, then numbers.

Read and written here tensor by tensor, from and to local files and buckets alike. The format's own
library writes a file from all tensors at once, which a large model does not leave memory for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.interop import tensor_files
from clinical_t5x.interop.source import CheckpointError, TensorInfo

_LARGEST_HEADER = 100_000_000  # bytes, the format's own limit
_ALIGNMENT = 8  # bytes; the header is padded with blanks to it
_BLOCK_ENTRIES = 1 << 22
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2}
_CODES = {name: code for code, name in _DTYPES.items()}


class SafetensorsFile:
    """A `.safetensors` file as a `TensorFile`; its header is checked whole when it is opened.

    Raises:
      CheckpointError: the file is truncated or its header is not as the format says.
    """

    def __init__(self, path: epath.Path):
        self._file = path
        self.path = str(path)
        self.infos: dict[str, TensorInfo] = {}
        self._starts: dict[str, tuple[int, int]] = {}
        header, data_start = self._header()
        for name, entry in header.items():
            if name != "__metadata__":
                self._add(name, entry, data_start)
        end = self._check_places(data_start)
        size = tensor_files.file_size(path)
        if end != size:
            what = "truncated" if end > size else "longer than its header says"
            raise CheckpointError(f"{path} is {what} ({size:,} bytes, not {end:,}); fetch it again")

    def _header(self) -> tuple[dict[str, Any], int]:
        size = tensor_files.file_size(self._file)
        length = int.from_bytes(tensor_files.read_range(self._file, 0, min(8, size)), "little")
        if size < 8 or length > min(size - 8, _LARGEST_HEADER):
            raise CheckpointError(f"{self._file} is truncated, or no safetensors file")
        try:
            header = json.loads(
                tensor_files.read_range(self._file, 8, length), object_pairs_hook=_without_repeats
            )
        except (ValueError, RecursionError):
            raise CheckpointError(f"{self._file} has a damaged header") from None
        if not isinstance(header, dict):
            raise CheckpointError(f"{self._file} has a damaged header")
        return header, 8 + length

    def _add(self, name: str, entry: Any, data_start: int) -> None:
        """Take a tensor of the header in."""
        try:
            code, shape = entry["dtype"], tuple(entry["shape"])
            first, last = entry["data_offsets"]
            numbers = (*shape, first, last)
            known = all(type(number) is int and number >= 0 for number in numbers)
            fits = known and last - first == math.prod(shape) * _BYTES.get(code, 1)
        except (TypeError, KeyError, ValueError):
            fits = False
        if not fits:
            raise CheckpointError(f"{self._file} has a damaged header (at {name!r})")
        self.infos[name] = TensorInfo(shape, _DTYPES.get(code, code))
        self._starts[name] = data_start + first, last - first

    def _check_places(self, end: int) -> int:
        """Refuse overlaps and holes, which the format forbids; returns where the last one ends."""
        # Of tensors that start at one place the empty ones come first: they take no room.
        for name, (start, length) in sorted(self._starts.items(), key=lambda item: item[1]):
            if start != end:
                what = "overlaps another tensor" if start < end else "leaves a hole before it"
                raise CheckpointError(
                    f"{self._file} has a damaged header ({name!r} {what}); fetch it again"
                )
            end += length
        return end

    def read(self, name: str) -> np.ndarray:
        """The whole tensor as stored."""
        info = self.infos[name]
        dtype = tensor_files.weight_dtype(self.path, name, info.dtype)
        data = tensor_files.read_range(self._file, *self._starts[name])
        return np.frombuffer(data, dtype).reshape(info.shape)

    def is_same_memory(self, name: str, other: str) -> bool:
        """Whether both names are of the same bytes."""
        return self._starts[name] == self._starts[other]


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def write_safetensors(
    path: epath.Path, infos: Mapping[str, TensorInfo], read: Callable[[str], np.ndarray]
) -> None:
    """Write a file tensor by tensor.

    Args:
      path: the file; it is made or replaced.
      infos: shape and dtype of every tensor, in the order in which they are written.
      read: gives the tensor of a name, with just that shape; it is cast to that dtype.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, info in infos.items():
        end = position + nbytes(info)
        header[name] = {
            "dtype": _CODES[info.dtype],
            "shape": list(info.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, info in infos.items():
            dtype = tensor_files.WEIGHT_DTYPES[info.dtype]
            for block in _blocks(read(name)):
                file.write(np.ascontiguousarray(block, dtype).reshape(-1).view(np.uint8).data)


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of an array, some at a time, so that no second copy of a large one is made."""
    rows = max(1, _BLOCK_ENTRIES * len(array) // max(1, array.size))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def nbytes(info: TensorInfo) -> int:
    """Size of a tensor's numbers in bytes."""
    return info.size * tensor_files.WEIGHT_DTYPES[info.dtype].itemsize
