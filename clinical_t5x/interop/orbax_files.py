"""One tree of arrays as Orbax stores it ("PyTree" item), read and written array by array.

Orbax's own handlers restore a tree at once; here no more than one array need be in memory. A tree
is a directory: `_METADATA` (JSON) says which arrays there are and how they are stored, the arrays
lie in an OCDBT database, or each in a directory of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.interop.source import CheckpointError, TensorInfo
from clinical_t5x.interop.zarr_arrays import ZarrStore
from clinical_t5x.storage import write_text_atomically

METADATA = "_METADATA"
COMMITTED = "commit_success.txt"
CHECKPOINT_METADATA = "_CHECKPOINT_METADATA"
PYTREE_HANDLER = "orbax.checkpoint._src.handlers.pytree_checkpoint_handler.PyTreeCheckpointHandler"
JSON_HANDLER = "orbax.checkpoint._src.handlers.json_checkpoint_handler.JsonCheckpointHandler"
_DICT_KEY = 2  # Orbax's code for a key of a dict


class OrbaxTree:
    """A tree of arrays in an Orbax directory.

    Attributes:
      directory: where it lies.
      infos: shape and dtype of every array, by its keys joined with "/".

    Raises:
      CheckpointError: it is damaged, incomplete, or written in a way that is not read here.
    """

    def __init__(self, directory: Any):
        self.directory = epath.Path(directory)
        metadata = read_json_object(self.directory / METADATA)
        leaves = leaf_keys(metadata, self.directory)
        self._names = {"/".join(keys): ".".join(keys) for keys in leaves}
        ocdbt = metadata.get("use_ocdbt")
        if ocdbt is None:
            ocdbt = (self.directory / "manifest.ocdbt").exists()
        self._store = ZarrStore(
            self.directory,
            ocdbt=bool(ocdbt),
            version=3 if metadata.get("use_zarr3") else 2,
            sparse=not metadata.get("store_array_data_equal_to_fill_value"),
        )
        infos = self._store.infos(self._names.values())
        self.infos: dict[str, TensorInfo] = {
            path: infos[name] for path, name in self._names.items()
        }

    def read(self, path: str, index: Any = ()) -> np.ndarray:
        """An array, or a part of it, in its own dtype.

        Raises:
          CheckpointError: it is damaged.
        """
        return self._store.read(self._names[path], index)

    def layer_is_apart(self, path: str) -> bool:
        """Whether one layer of a stacked array can be read without the others."""
        return self._store.layer_is_apart(self._names[path])


class OrbaxTreeWriter:
    """Writes a tree of arrays so that Orbax restores it; a context that is whole when left.

    Args:
      directory: is made; the caller sees to it that a part of it is never taken for the whole.
      infos: every array that will be written, by its keys joined with "/".
      stacked: names of arrays over layers, of which one layer at a time may be written.
    """

    def __init__(
        self, directory: Any, infos: Mapping[str, TensorInfo], stacked: Iterable[str] = ()
    ):
        self._directory = epath.Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._infos = dict(infos)
        store = ZarrStore(self._directory, ocdbt=True)
        dotted = {path.replace("/", "."): info for path, info in infos.items()}
        self._writer = store.create(dotted, {path.replace("/", ".") for path in stacked})

    def write(self, path: str, array: np.ndarray, layer: int | None = None) -> None:
        """Write an array, or one layer of a stacked one."""
        self._writer.write(path.replace("/", "."), array, layer)

    def __enter__(self) -> OrbaxTreeWriter:
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
        entries = {}
        for path, info in self._infos.items():
            keys = tuple(path.split("/"))
            entries[str(keys)] = {
                "key_metadata": [{"key": key, "key_type": _DICT_KEY} for key in keys],
                # numpy's, so that a restore without further word needs no device
                "value_metadata": {
                    "value_type": "np.ndarray",
                    "skip_deserialize": False,
                    "write_shape": list(info.shape),
                },
            }
        metadata = {
            "tree_metadata": entries,
            "use_ocdbt": True,
            "use_zarr3": False,
            "store_array_data_equal_to_fill_value": True,
            "custom_metadata": None,
        }
        write_text_atomically(self._directory / METADATA, json.dumps(metadata))
        write_committed(self._directory)


def write_committed(directory: epath.Path) -> None:
    """Mark an item or a checkpoint as whole, as Orbax does where directories cannot be renamed."""
    (directory / COMMITTED).write_text(f"Checkpoint commit was successful to {directory.name}")


def write_checkpoint_metadata(
    directory: epath.Path, handlers: Mapping[str, str], written: int
) -> None:
    """Say which items a checkpoint has.

    Args:
      directory: of the checkpoint.
      handlers: the item's name and the Python class that handles it, dotted.
      written: when, nanoseconds since 1970.
    """
    content = {
        "item_handlers": dict(handlers),
        "metrics": {},
        "performance_metrics": {},
        "init_timestamp_nsecs": written,
        "commit_timestamp_nsecs": written,
        "custom_metadata": {},
    }
    write_text_atomically(directory / CHECKPOINT_METADATA, json.dumps(content))


def read_json_object(path: epath.Path) -> dict[str, Any]:
    """A JSON object in a file of a checkpoint.

    Raises:
      CheckpointError: there is no such file, or something else in it.
    """
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} is incomplete: it has no {path.name}") from None
    except (OSError, ValueError) as error:  # undecodable bytes are a ValueError too
        raise CheckpointError(f"{path} cannot be read ({error})") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is damaged: a JSON object was expected")
    return value


def leaf_keys(metadata: Mapping[str, Any], directory: epath.Path) -> list[tuple[str, ...]]:
    """The keys of every array that `_METADATA` lists, in its order.

    Leaves without data (None, {}) are left out.

    Raises:
      CheckpointError: it is damaged.
    """
    try:
        return [
            tuple(str(key["key"]) for key in entry["key_metadata"])
            for entry in metadata["tree_metadata"].values()
            if not entry["value_metadata"].get("skip_deserialize")
        ]
    except (KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{directory / METADATA} is damaged") from None
