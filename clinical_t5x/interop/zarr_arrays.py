"""Arrays in the zarr format, as Orbax and T5X keep them: read and written one by one.

Both keep every array under a name of its own in one store: a directory, or an OCDBT database in a
directory. Only plain arrays with the compressors that these libraries use are read; nothing in a
file is executed, and a name never leads out of the store.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorstore as ts

from clinical_t5x.interop.source import CheckpointError, TensorInfo

_NAME = re.compile(r"[\w+-]+(\.[\w+-]+)*")
_DTYPES = {"<f4": "float32", "<f2": "float16", "<f8": "float64", "<i4": "int32", "<i8": "int64"}
_DTYPES |= {name: name for name in ("bfloat16", *_DTYPES.values())}
_COMPRESSORS = ("zstd", "gzip", "zlib", "blosc", "bz2")
_CODECS = (*_COMPRESSORS, "sharding_indexed", "bytes", "transpose", "crc32c")
# A chunk is decoded whole, so that it bounds what is held beside an array.
_CHUNK_BYTES = 8 << 20
# Written arrays are waited for when so much is under way.
_PENDING_BYTES = 32 << 20
_PARALLEL = 4


class ZarrStore:
    """Named zarr arrays in a directory, each read when it is asked for.

    Args:
      directory: the store; may be a bucket's (`gs://...`).
      ocdbt: whether it is an OCDBT database instead of a directory for each array.
      version: 2 or 3, of the zarr format.
      sparse: whether a chunk that is absent means zeros; otherwise it is damage.
    """

    def __init__(self, directory: Any, *, ocdbt: bool, version: int = 2, sparse: bool = False):
        self._directory = os.fspath(directory)
        self._ocdbt, self._version, self._sparse = ocdbt, version, sparse
        # No chunk is kept after it was read; the database's index is.
        self._context = ts.Context(
            {
                "cache_pool": {"total_bytes_limit": 0},
                "cache_pool#index": {"total_bytes_limit": 100_000_000},
                "data_copy_concurrency": {"limit": _PARALLEL},
                "file_io_concurrency": {"limit": _PARALLEL},
            }
        )

    def infos(self, names: Iterable[str]) -> dict[str, TensorInfo]:
        """Shape and dtype of each array.

        Raises:
          CheckpointError: one is missing, of a dtype or compressor that is not read here, or the
            store is damaged.
        """
        names = list(names)
        for name in names:
            if not _NAME.fullmatch(name):
                raise CheckpointError(f"{self._directory}: {name!r} is no name of an array")
        file = ".zarray" if self._version == 2 else "zarr.json"
        found = {}
        try:
            root = ts.KvStore.open(self._kvstore(""), context=self._context).result()
            reads = {name: root.read(f"{name}/{file}") for name in names}
            for name, read in reads.items():
                found[name] = read.result()
        except ValueError as error:
            raise CheckpointError(
                f"{self._directory} cannot be read: it is damaged or incomplete ({_first(error)})"
            ) from None
        missing = [name for name, read in found.items() if read.state != "value"]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise CheckpointError(
                f"{self._directory} is incomplete: no array {', '.join(missing[:3])}{more}"
            )
        return {name: self._info(name, read.value) for name, read in found.items()}

    def _info(self, name: str, text: bytes) -> TensorInfo:
        try:
            metadata = json.loads(text)
            shape = tuple(int(size) for size in metadata["shape"])
            if self._version == 2:
                dtype, codecs = metadata["dtype"], [(metadata["compressor"] or {}).get("id")]
                plain = metadata.get("filters") is None
            else:
                dtype, codecs = metadata["data_type"], _codec_names(metadata["codecs"])
                plain = True
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CheckpointError(f"{self._directory}: {name} has damaged metadata") from None
        if not plain or not isinstance(dtype, str) or dtype not in _DTYPES:
            raise CheckpointError(f"{self._directory}: {name} has dtype {dtype!r}, not a number's")
        unknown = [codec for codec in codecs if codec is not None and codec not in _CODECS]
        if unknown:
            raise CheckpointError(f"{self._directory}: {name} is compressed by {unknown[0]!r}")
        return TensorInfo(shape, _DTYPES[dtype])

    def open(self, name: str) -> ts.TensorStore:
        """The stored array, for reading parts of it."""
        spec = {
            "driver": "zarr" if self._version == 2 else "zarr3",
            "kvstore": self._kvstore(name),
            "fill_missing_data_reads": self._sparse,
        }
        try:
            return ts.open(spec, open=True, read=True, context=self._context).result()
        except ValueError as error:
            raise self._damaged(name, error) from None

    def read(self, name: str, index: Any = ()) -> np.ndarray:
        """An array, or the part of it that `index` selects (an int, slices)."""
        stored = self.open(name)
        try:
            return np.asarray(stored[index].read().result())
        except (ValueError, IndexError) as error:
            raise self._damaged(name, error) from None

    def layer_is_apart(self, name: str) -> bool:
        """Whether one entry of the first dim can be read without reading the others."""
        return self.open(name).chunk_layout.read_chunk.shape[0] == 1

    def create(self, infos: Mapping[str, TensorInfo], stacked: Iterable[str] = ()) -> ArrayWriter:
        """Make room for arrays and return what writes them.

        Args:
          infos: every array that will be written, by name.
          stacked: names of those whose first dim counts layers: each layer is stored apart.
        """
        stacked = set(stacked)
        opened = {}
        for name, info in infos.items():
            lead = 1 if name in stacked else None
            itemsize = 2 if info.dtype == "bfloat16" else np.dtype(info.dtype).itemsize
            spec = {
                "driver": "zarr",
                "kvstore": self._kvstore(name, writing=True),
                "dtype": info.dtype,
                "metadata": {
                    "shape": list(info.shape),
                    "chunks": list(_chunk_shape(info.shape, itemsize, lead)),
                    "compressor": self._compressor(),
                },
                "store_data_equal_to_fill_value": True,
            }
            opened[name] = ts.open(spec, create=True, delete_existing=True, context=self._context)
        return ArrayWriter({name: future.result() for name, future in opened.items()})

    def _compressor(self) -> dict[str, Any]:
        """What Orbax takes in a database, and T5X in directories."""
        return {"id": "zstd" if self._ocdbt else "gzip", "level": 1}

    def _kvstore(self, name: str, *, writing: bool = False) -> dict[str, Any]:
        inside = f"{name}/" if name else ""
        base = base_kvstore(self._directory)
        if not self._ocdbt:
            return base | {"path": base["path"] + inside}
        spec = {"driver": "ocdbt", "base": base, "path": inside, "cache_pool": "cache_pool#index"}
        if writing:
            # As Orbax writes: few large nodes, small values inside them, one manifest.
            spec["config"] = {
                "max_inline_value_bytes": 1024,
                "max_decoded_node_bytes": 100_000_000,
                "manifest_kind": "single",
            }
            spec["assume_config"] = True
        return spec

    def _damaged(self, name: str, error: Exception) -> CheckpointError:
        return CheckpointError(f"{self._directory}: {name} is damaged ({_first(error)})")


class ArrayWriter:
    """Writes arrays, the last of them while the next is prepared; what is under way is bounded."""

    def __init__(self, opened: Mapping[str, ts.TensorStore]):
        self._opened = opened
        self._pending: list[tuple[Any, np.ndarray]] = []

    def write(self, name: str, array: np.ndarray, layer: int | None = None) -> None:
        """Write an array, or one layer of a stacked one; it must not be changed afterwards."""
        store = self._opened[name] if layer is None else self._opened[name][layer]
        if tuple(store.shape) != array.shape or store.dtype.numpy_dtype != array.dtype:
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}, room was made for "
                f"{store.dtype.name}{list(store.shape)}"
            )
        under_way = sum(pending.nbytes for _, pending in self._pending)
        if self._pending and under_way + array.nbytes > _PENDING_BYTES:
            self.wait()
        future = store.write(array, can_reference_source_data_indefinitely=True)
        self._pending.append((future, array))

    def metadata(self, name: str) -> dict[str, Any]:
        """Shape, chunks and compressor of an array, as a TensorStore spec has them."""
        metadata = self._opened[name].spec().to_json()["metadata"]
        return {key: metadata[key] for key in ("chunks", "compressor", "shape")}

    def wait(self) -> None:
        """Return when everything is stored."""
        for future, _ in self._pending:
            future.result()
        self._pending.clear()
        _return_free_memory()

    def abandon(self) -> None:
        """Return when nothing is under way any more, whatever became of it."""
        for future, _ in self._pending:
            with contextlib.suppress(Exception):  # another error is on its way already
                future.result()
        self._pending.clear()


def _return_free_memory() -> None:
    """Give back what the C library keeps for each thread that compressed: hundreds of megabytes."""
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def base_kvstore(directory: Any) -> dict[str, Any]:
    """TensorStore's way to a directory: local, or in a bucket (`gs://BUCKET/...`)."""
    text = os.fspath(directory).rstrip("/")
    bucket = re.fullmatch(r"gs://([^/]+)(?:/(.*))?", text)
    if bucket:
        inside = f"{bucket[2]}/" if bucket[2] else ""
        return {"driver": "gcs", "bucket": bucket[1], "path": inside}
    return {"driver": "file", "path": os.path.abspath(text) + "/"}


def _chunk_shape(shape: tuple[int, ...], itemsize: int, lead: int | None) -> tuple[int, ...]:
    """Chunks of whole rows, none larger than the bound unless a single row is.

    Zarr's metadata has no chunks of size 0: a dim's chunk is at least 1.
    """
    if not shape:
        return ()
    if lead is not None and len(shape) > 1:
        return (lead, *_chunk_shape(shape[1:], itemsize, None))
    row = max(1, math.prod(shape[1:]) * itemsize)
    rows = max(1, min(shape[0], _CHUNK_BYTES // row))
    return (rows, *(max(1, size) for size in shape[1:]))


def _codec_names(codecs: list[Mapping[str, Any]]) -> list[str]:
    names = []
    for codec in codecs:
        names.append(codec["name"])
        names += _codec_names(codec.get("configuration", {}).get("codecs", []))
    return names


def _first(error: Exception) -> str:
    """The cause in TensorStore's words, without its list of source lines."""
    return str(error).split(" [", 1)[0].strip()[:300]
