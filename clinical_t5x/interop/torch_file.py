"""PyTorch's `.bin` files as a `TensorFile`, without PyTorch.

Since version 1.6 PyTorch writes a zip archive: a pickle that says which tensor lies in which entry,
and the numbers, uncompressed. Before, it wrote four pickles and then the numbers. Both are read in
place, tensor by tensor.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.interop import tensor_files
from clinical_t5x.interop.source import CheckpointError, TensorInfo
from clinical_t5x.interop.tensor_pickle import StorageRecord, TensorRecord, read_pickle

_LARGEST_PICKLE = 1 << 28  # bytes
_OLD_MAGIC = 0x1950A86A20F9469CFC6C
_OLD_PROTOCOL = 1001
_LOCAL_HEADER = 30  # bytes of a zip entry's header before its name
_ITEM_BYTES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "int8": 1, "uint8": 1, "bool": 1}


class TorchFile:
    """A file that `torch.save` wrote from a dict of tensors.

    Args:
      path: the file.
      shown_as: its name in messages, when it is a temporary copy.

    Raises:
      CheckpointError: the file is damaged, or holds anything but tensors.
    """

    def __init__(self, path: epath.Path, shown_as: str | None = None):
        self._file = path
        self.path = shown_as or str(path)
        self._crcs: dict[str, int] = {}
        self._starts: dict[str, int] = {}
        with path.open("rb") as file:
            try:
                if zipfile.is_zipfile(file):
                    table = self._read_archive(file)
                else:
                    table = self._read_old(file)
            except CheckpointError:
                raise
            except Exception as error:  # zipfile raises a dozen kinds on damaged archives
                raise CheckpointError(
                    f"{self.path} is damaged ({type(error).__name__}); fetch it again"
                ) from None
        self._tensors = self._only_tensors(table)
        self.infos = {
            name: TensorInfo(tensor.shape, tensor.storage.dtype)
            for name, tensor in self._tensors.items()
        }
        self._check_bounds(tensor_files.file_size(path))

    def _read_archive(self, file: Any) -> Any:
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            tables = [name for name in entries if name.count("/") == 1 and _ends(name, "data.pkl")]
            if len(tables) != 1 or len(entries) != len(archive.infolist()):
                raise CheckpointError(f"{self.path} is a zip archive, but not one of torch.save")
            root = tables[0].removesuffix("data.pkl")
            if f"{root}constants.pkl" in entries:
                raise CheckpointError(
                    f"{self.path} holds a program (TorchScript); save its state dict instead"
                )
            order = entries.get(f"{root}byteorder")
            if order is not None and self._content(file, order) != b"little":
                raise CheckpointError(f"{self.path} was written with bytes in big-endian order")
            if entries[tables[0]].file_size > _LARGEST_PICKLE:
                raise CheckpointError(f"{self.path} has a table of tensors that is too large")
            table = read_pickle(io.BytesIO(self._content(file, entries[tables[0]])), self.path)
            for name, entry in entries.items():
                if name.startswith(f"{root}data/"):
                    key = name.removeprefix(f"{root}data/")
                    self._starts[key] = self._start(file, entry)
                    self._crcs[key] = entry.CRC
        return table

    def _content(self, file: Any, entry: zipfile.ZipInfo) -> bytes:
        """A small entry's bytes. PyTorch can be told to write no checksums; they are zero then."""
        file.seek(self._start(file, entry))
        content = file.read(entry.file_size)
        if len(content) != entry.file_size or entry.CRC not in (0, zlib.crc32(content)):
            raise CheckpointError(f"{self.path} is damaged (wrong checksum); fetch it again")
        return content

    def _start(self, file: Any, entry: zipfile.ZipInfo) -> int:
        """Where in the file an entry's bytes begin."""
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise CheckpointError(f"{self.path} was packed anew; save it with torch.save again")
        file.seek(entry.header_offset)
        header = file.read(_LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise CheckpointError(f"{self.path} is damaged; fetch it again")
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        return entry.header_offset + _LOCAL_HEADER + lengths

    def _read_old(self, file: Any) -> Any:
        file.seek(0)
        if read_pickle(file, self.path) != _OLD_MAGIC:
            raise CheckpointError(f"{self.path} is no file of torch.save, or is truncated")
        protocol, system = read_pickle(file, self.path), read_pickle(file, self.path)
        if protocol != _OLD_PROTOCOL or not system.get("little_endian", False):
            raise CheckpointError(f"{self.path} is of an unknown form of torch.save")
        table = read_pickle(file, self.path)
        storages = {tensor.storage.key: tensor.storage for tensor in _tensors_in(table)}
        for key in read_pickle(file, self.path):
            size_bytes = file.read(8)
            if len(size_bytes) < 8:
                raise CheckpointError(f"{self.path} is truncated; fetch it again")
            size = int.from_bytes(size_bytes, "little")
            storage = storages.get(str(key))
            if storage is None or storage.size != size:
                raise CheckpointError(f"{self.path} is damaged: its tables disagree")
            self._starts[storage.key] = file.tell()
            file.seek(size * _item_bytes(storage), io.SEEK_CUR)
        return table

    def _only_tensors(self, table: Any) -> dict[str, TensorRecord]:
        if not isinstance(table, dict) or not table:
            raise CheckpointError(f"{self.path} holds no dict of tensors")
        for name, value in table.items():
            if not isinstance(name, str) or not isinstance(value, TensorRecord):
                raise CheckpointError(
                    f"{self.path} holds more than tensors ({str(name)[:80]!r}); save the model's "
                    "state dict alone"
                )
        return table

    def _check_bounds(self, size: int) -> None:
        """Refuse tensors that reach beyond their storage, and storages beyond the file."""
        for name, tensor in self._tensors.items():
            storage = tensor.storage
            start = self._starts.get(storage.key)
            if start is None or start + storage.size * _item_bytes(storage) > size:
                raise CheckpointError(f"{self.path} is truncated: {name} has no numbers")
            if tensor.offset + _extent(tensor) > storage.size:
                raise CheckpointError(f"{self.path} is damaged: {name} exceeds its storage")

    def read(self, name: str) -> np.ndarray:
        """The whole tensor as stored."""
        tensor = self._tensors[name]
        storage = tensor.storage
        dtype = tensor_files.weight_dtype(self.path, name, storage.dtype)
        extent = _extent(tensor)
        start = self._starts[storage.key] + tensor.offset * dtype.itemsize
        data = tensor_files.read_range(self._file, start, extent * dtype.itemsize)
        whole = tensor.offset == 0 and extent == storage.size
        if whole and self._crcs.get(storage.key, 0) not in (0, zlib.crc32(data)):
            raise CheckpointError(f"{self.path} is damaged: wrong checksum of {name}")
        strides = [stride * dtype.itemsize for stride in tensor.strides]
        return np.ndarray(tensor.shape, dtype, data, strides=strides)

    def is_same_memory(self, name: str, other: str) -> bool:
        """Whether both names are of the same entries of one storage."""
        return self._tensors[name] == self._tensors[other]


def _extent(tensor: TensorRecord) -> int:
    """Entries from a tensor's first to its last."""
    if 0 in tensor.shape:
        return 0
    steps = zip(tensor.shape, tensor.strides, strict=True)
    return 1 + sum((size - 1) * stride for size, stride in steps)


def _item_bytes(storage: StorageRecord) -> int:
    return _ITEM_BYTES.get(storage.dtype, 2)


def _tensors_in(table: Any) -> list[TensorRecord]:
    values = table.values() if isinstance(table, dict) else ()
    return [value for value in values if isinstance(value, TensorRecord)]


def _ends(name: str, ending: str) -> bool:
    return name.split("/")[-1] == ending
