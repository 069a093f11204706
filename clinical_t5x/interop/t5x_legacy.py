"""T5X's legacy layout: a msgpack file, and a zarr directory for each large array beside it.

The file `checkpoint` is `{version: 3, optimizer: {target, state}}`. A leaf is the array itself, in
flax's encoding, or says where it is stored (`{driver: zarr, kvstore: {path: 'target.a.b/'}, ...}`).
Only numbers are taken out of the file, and only directories beside it are opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgpack
import numpy as np
from etils import epath

from clinical_t5x.interop.source import CheckpointError, TensorInfo
from clinical_t5x.interop.zarr_arrays import ZarrStore

LEGACY_FILE = "checkpoint"
_VERSION = 3
_OLDEST_VERSION = 2
_MAX_FILE_BYTES = 4 << 30
_MAX_DEPTH = 32
_ARRAY, _SCALAR = 1, 3  # flax's codes for what msgpack itself does not have
_DTYPES = ("float32", "bfloat16", "float16", "float64", "int32", "int64", "uint32", "bool")
_STORES = ("file", "gfile", "gcs")  # where T5X may have written; read is what lies beside the file
_TARGET = "target"
_WHOLE_FIELDS = ("m", "v")  # of Adafactor's memory, as large as the parameter


class LegacyTree:
    """The arrays of a legacy checkpoint.

    Attributes:
      infos: shape and dtype of every array, by its keys joined with "/", below `optimizer`.

    Raises:
      CheckpointError: it is damaged, incomplete, or refers to something outside.
    """

    def __init__(self, directory: Any):
        directory = epath.Path(directory)
        self._file = directory / LEGACY_FILE
        content = _read_file(self._file)
        if not isinstance(content.get("optimizer"), dict):
            raise CheckpointError(f"{self._file} is no checkpoint of T5X: it has no 'optimizer'")
        version = content.get("version")
        if not isinstance(version, int) or version < _OLDEST_VERSION:
            raise CheckpointError(
                f"{self._file} has version {version!r}; T5X reads {_OLDEST_VERSION} and later"
            )
        self._inline: dict[str, np.ndarray] = {}
        self._stored: dict[str, str] = {}
        said = {}
        for path, leaf in _leaves(content["optimizer"], (), self._file):
            if isinstance(leaf, dict):
                self._stored[path], said[path] = self._stored_name(path, leaf)
            elif isinstance(leaf, np.ndarray):
                self._inline[path] = leaf
            elif isinstance(leaf, int | float):
                self._inline[path] = np.asarray(leaf)
            else:
                raise CheckpointError(f"{self._file}: {path} is a {type(leaf).__name__}")
        self._store = ZarrStore(directory, ocdbt=False)
        self.infos: dict[str, TensorInfo] = {
            path: TensorInfo(array.shape, array.dtype.name) for path, array in self._inline.items()
        }
        found = self._store.infos(self._stored.values())
        for path, name in self._stored.items():
            if said[path] is not None and said[path] != found[name].shape:
                raise CheckpointError(
                    f"{directory}: {path} is {found[name].shape} in {name}/.zarray, but "
                    f"{said[path]} in {LEGACY_FILE}"
                )
            self.infos[path] = found[name]

    def read(self, path: str) -> np.ndarray:
        """An array in its own dtype.

        Raises:
          CheckpointError: it is damaged.
        """
        if path in self._inline:
            return self._inline[path]
        return self._store.read(self._stored[path])

    def _stored_name(
        self, path: str, spec: Mapping[str, Any]
    ) -> tuple[str, tuple[int, ...] | None]:
        """The directory that a TensorStore spec names, and the shape that it gives."""
        store = spec["kvstore"]
        if not isinstance(store, dict) or spec["driver"] != "zarr":
            raise CheckpointError(f"{self._file}: {path} is stored by {spec['driver']!r}, not zarr")
        if store.get("driver") not in _STORES:
            raise CheckpointError(f"{self._file}: {path} lies in {store.get('driver')!r}, not here")
        name = store.get("path", spec.get("path"))  # older TensorStores had it outside
        name = name.rstrip("/") if isinstance(name, str) else ""
        if not name or "/" in name or "\\" in name or name.startswith("."):
            raise CheckpointError(
                f"{self._file}: {path} is said to lie in {name!r}, which is not beside the file"
            )
        metadata = spec["metadata"]
        shape = metadata.get("shape") if isinstance(metadata, dict) else None
        if shape is None:
            return name, None
        try:
            return name, tuple(int(size) for size in shape)
        except (TypeError, ValueError):
            raise CheckpointError(f"{self._file}: {path} has the shape {shape!r}") from None


class LegacyTreeWriter:
    """Writes the arrays of a legacy checkpoint; a context that is whole when left.

    Args:
      directory: exists; the caller sees to it that a part of it is never taken for the whole.
      infos: every array that will be written, by its keys joined with "/".
    """

    def __init__(self, directory: Any, infos: Mapping[str, TensorInfo]):
        self._directory = epath.Path(directory)
        self._stored = {
            path: path.replace("/", ".") for path, info in infos.items() if _is_apart(path, info)
        }
        store = ZarrStore(directory, ocdbt=False)
        self._writer = store.create({name: infos[path] for path, name in self._stored.items()})
        self._infos = infos
        self._tree: dict[str, Any] = {}

    def write(self, path: str, array: np.ndarray) -> None:
        """Write an array."""
        if path not in self._stored:
            self._put(path, msgpack.ExtType(_ARRAY, _pack_array(array)))
            return
        self._writer.write(self._stored[path], array)
        info = self._infos[path]
        spec = {
            "driver": "zarr",
            "dtype": info.dtype,
            "kvstore": {"driver": "file", "path": f"{self._stored[path]}/"},
            "metadata": self._writer.metadata(self._stored[path]),
        }
        self._put(path, spec)

    def __enter__(self) -> LegacyTreeWriter:
        """Nothing more than the object."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish, or after an error only wait for what is under way."""
        if kind is None:
            self._finish()
        else:
            self._writer.abandon()

    def _finish(self) -> None:
        self._writer.wait()
        content = msgpack.packb({"version": _VERSION, "optimizer": self._tree}, use_bin_type=True)
        (self._directory / LEGACY_FILE).write_bytes(content)

    def _put(self, path: str, leaf: Any) -> None:
        tree = self._tree
        *parents, last = path.split("/")
        for key in parents:
            tree = tree.setdefault(key, {})
        tree[last] = leaf


def _is_apart(path: str, info: TensorInfo) -> bool:
    """Whether T5X keeps an array outside the file: all that is as large as a parameter."""
    if path.startswith(f"{_TARGET}/"):
        return True
    return path.rpartition("/")[2] in _WHOLE_FIELDS and info.size > 1


def _read_file(path: epath.Path) -> dict[str, Any]:
    try:
        if path.stat().length > _MAX_FILE_BYTES:
            raise CheckpointError(f"{path} is too large for a file that points to arrays")
        content = msgpack.unpackb(path.read_bytes(), ext_hook=_unpack_ext, strict_map_key=True)
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} is incomplete: it has no {path.name}") from None
    except (ValueError, OSError, TypeError, msgpack.UnpackException) as error:
        cause = str(error) or type(error).__name__
        raise CheckpointError(f"{path} is damaged or no msgpack file ({cause})") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is no checkpoint of T5X: it holds no map")
    return content


def _unpack_ext(code: int, data: bytes) -> np.ndarray:
    """An array in flax's encoding: (shape, dtype's name, bytes)."""
    if code not in (_ARRAY, _SCALAR):
        raise ValueError(f"it holds something of type {code}, which is no array")
    shape, dtype, content = msgpack.unpackb(data)
    if dtype not in _DTYPES:
        raise ValueError(f"it holds an array of dtype {dtype!r}")
    info = TensorInfo(tuple(int(size) for size in shape), dtype)
    if min(info.shape, default=0) < 0 or info.size * info.numpy_dtype.itemsize != len(content):
        raise ValueError("an array's bytes do not fit its shape")
    return np.frombuffer(content, info.numpy_dtype).reshape(info.shape)


def _pack_array(array: np.ndarray) -> bytes:
    return msgpack.packb((array.shape, array.dtype.name, array.tobytes()), use_bin_type=True)


def _leaves(
    tree: Mapping[str, Any], keys: tuple[str, ...], file: epath.Path
) -> Iterator[tuple[str, Any]]:
    """Paths and leaves: arrays, numbers, and dicts that say where an array is stored."""
    if len(keys) > _MAX_DEPTH:
        raise CheckpointError(f"{file} is damaged: it is nested too deeply")
    for key, value in tree.items():
        if not isinstance(key, str) or "/" in key:
            raise CheckpointError(f"{file} is damaged: {key!r} is no name")
        is_spec = isinstance(value, dict) and {"driver", "kvstore", "metadata"} <= set(value)
        if isinstance(value, dict) and not is_spec:
            yield from _leaves(value, (*keys, key), file)
        elif value is not None:  # what no optimizer touches
            yield "/".join((*keys, key)), value
