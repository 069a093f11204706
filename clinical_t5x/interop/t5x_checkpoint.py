"""Checkpoints of Google's T5X, both of its layouts, read and written tensor by tensor.

Orbax (today's default): `checkpoint_N/state` is an Orbax tree `{target, state: {step,
param_states}}`. Legacy (as published by Google): `checkpoint_N/checkpoint` is a msgpack file, and
the arrays are zarr directories beside it; see `t5x_legacy`. Parameters lie under `target/` by T5X's
names, Adafactor's memory under `state/param_states/`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from etils import epath

from clinical_t5x.interop import orbax_files, t5x_names
from clinical_t5x.interop.adafactor_memory import AdafactorMemory, empty_memory, memory_of
from clinical_t5x.interop.source import (
    CheckpointError,
    TensorInfo,
    TensorSource,
    config_from_shapes,
)
from clinical_t5x.interop.t5x_legacy import LEGACY_FILE, LegacyTree, LegacyTreeWriter
from clinical_t5x.interop.tensor_files import weight_dtype
from clinical_t5x.models.config import T5Config
from clinical_t5x.storage import whole_directory

LAYOUTS = ("orbax", "legacy")
_STEP_DIRECTORY = re.compile(r"checkpoint_(\d+)")
_TARGET, _STATES, _STEP = "target/", "state/param_states/", "state/step"


class _Tree(Protocol):
    """What both layouts offer: named arrays."""

    infos: Mapping[str, TensorInfo]

    def read(self, path: str) -> np.ndarray: ...


class T5XSource:
    """A checkpoint of T5X; see `source.TensorSource` for what every source has.

    Attributes:
      layout: "orbax" or "legacy".
      assumed: fields of the configuration that neither shapes nor files tell.
      optimizer: Adafactor's memory, or None where the checkpoint has none (or another
        optimizer's).
    """

    assumed = ("mlp_activations",)

    def __init__(self, path: Any, tree: _Tree, layout: str, known: Mapping[str, Any]):
        self.path = str(path)
        self.layout = layout
        self.kind = f"T5X, {'Orbax' if layout == 'orbax' else 'msgpack and zarr'}"
        self._tree = tree
        self.infos = _below(tree.infos, _TARGET)
        for name, info in self.infos.items():
            weight_dtype(path, name, info.dtype)
        self.step = self._read_step()
        shapes = {name: info.shape for name, info in self.infos.items()}
        try:
            self.config: T5Config = config_from_shapes(shapes, **known)
            t5x_names.check_named(shapes, t5x_names.t5x_shapes(self.config))
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from None
        self.optimizer: AdafactorMemory | None = memory_of(
            _below(tree.infos, _STATES),
            self.infos,
            lambda name: tree.read(_STATES + name),
            self.step or 0,
        )

    def read(self, name: str) -> np.ndarray:
        """One parameter, by its T5X name."""
        return self._tree.read(_TARGET + name)

    def _read_step(self) -> int | None:
        if _STEP not in self._tree.infos:
            return None
        step = self._tree.read(_STEP)
        if step.size != 1 or step.dtype.kind not in "iu" or int(step.reshape(())) < 0:
            raise CheckpointError(f"{self.path}: its step is damaged")
        return int(step.reshape(()))


def recognises(path: Any) -> bool:
    """Whether `path` is one checkpoint of T5X (not a MODEL_DIR)."""
    return layout_of(path) is not None


def layout_of(path: Any) -> str | None:
    """The layout of T5X that `path` is a checkpoint in: "orbax", "legacy", or None."""
    path = epath.Path(path)
    if (path / "state" / orbax_files.METADATA).exists():
        return "orbax"
    return "legacy" if (path / LEGACY_FILE).is_file() else None


def open_t5x(path: Any, **known: Any) -> T5XSource:
    """Open a checkpoint of T5X, of either layout.

    Args:
      path: the directory `checkpoint_N`.
      **known: fields of `T5Config` that are known otherwise; the checkpoint does not say which
        function the gate of the MLP has, and GELU is assumed.

    Raises:
      CheckpointError: it is damaged, incomplete, or not of a T5.
    """
    path = epath.Path(path)
    layout = layout_of(path)
    if layout is None:
        raise CheckpointError(
            f"{path} is no checkpoint of T5X: it has neither state/{orbax_files.METADATA} nor a "
            f"file named {LEGACY_FILE}"
        )
    tree = orbax_files.OrbaxTree(path / "state") if layout == "orbax" else LegacyTree(path)
    return T5XSource(path, tree, layout, known)


def checkpoint_directory(directory: Any, step: int | None) -> tuple[epath.Path, int]:
    """Where a checkpoint that someone wants in `directory` is written, and its step.

    T5X finds a checkpoint by its name. So a directory that is not named `checkpoint_N` gets one
    inside.

    Args:
      directory: `.../checkpoint_N`, or the directory that will hold it.
      step: what the parameters have seen; None where nobody knows: the name says it, or 0.

    Raises:
      CheckpointError: the name says another step.
    """
    directory = epath.Path(directory)
    named = _STEP_DIRECTORY.fullmatch(directory.name)
    if named is None:
        return directory / f"checkpoint_{step or 0}", step or 0
    if step is not None and step != int(named[1]):
        raise CheckpointError(
            f"{directory} is named for step {int(named[1])}, but the parameters have seen {step}: "
            f"name it checkpoint_{step}"
        )
    return directory, int(named[1])


def write_t5x(
    source: TensorSource,
    directory: Any,
    *,
    step: int | None = None,
    layout: str = "orbax",
    dtype: str | None = None,
    optimizer: AdafactorMemory | None = None,
    overwrite: bool = False,
    on_tensor: Callable[[str], None] | None = None,
) -> epath.Path:
    """Write a checkpoint that T5X restores, with no more than one tensor in memory.

    Args:
      source: gives the parameters.
      directory: `.../checkpoint_N`, or a directory that gets one inside.
      step: instead of the source's.
      layout: "orbax" or "legacy".
      dtype: of the parameters; None keeps each tensor's.
      optimizer: instead of the source's memory. Where there is none, T5X gets an empty one, so
        that it restores and trains on.
      overwrite: replace a checkpoint of this step.
      on_tensor: called with each parameter's name when it is written.

    Returns:
      The checkpoint's directory. It appears when it is whole.

    Raises:
      CheckpointError: the source is damaged.
      FileExistsError: there is a checkpoint and it is not to be replaced.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r}: choose from {', '.join(LAYOUTS)}")
    step = source.step if step is None else step
    target, step = checkpoint_directory(directory, step)
    memory = optimizer or getattr(source, "optimizer", None) or empty_memory(source.infos)
    infos = {_TARGET + name: _stored(info, dtype) for name, info in source.infos.items()}
    infos |= {_STATES + name: info for name, info in memory.infos.items()}
    infos[_STEP] = TensorInfo((), "int32")
    with whole_directory(target, overwrite=overwrite) as partial:
        with _writer(partial, infos, layout) as writer:
            for path, array in _arrays(source, memory, step):
                writer.write(path, np.asarray(array, infos[path].numpy_dtype, order="C"))
                if on_tensor is not None and path.startswith(_TARGET):
                    on_tensor(path.removeprefix(_TARGET))
        if layout == "orbax":
            _write_checkpoint_files(partial)
    return target


def _writer(
    directory: epath.Path, infos: Mapping[str, TensorInfo], layout: str
) -> orbax_files.OrbaxTreeWriter | LegacyTreeWriter:
    if layout == "orbax":
        return orbax_files.OrbaxTreeWriter(directory / "state", infos)
    return LegacyTreeWriter(directory, infos)


def _write_checkpoint_files(directory: epath.Path) -> None:
    """What T5X has beside the state: an empty data set's item, and the list of items."""
    data = directory / "dataset"
    data.mkdir()
    orbax_files.write_committed(data)
    handlers = {
        "dataset": "t5x.checkpoints.DatasetCheckpointHandler",
        "state": orbax_files.PYTREE_HANDLER,
    }
    orbax_files.write_checkpoint_metadata(directory, handlers, time.time_ns())
    orbax_files.write_committed(directory)


def _arrays(
    source: TensorSource, memory: AdafactorMemory, step: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Everything that a checkpoint holds, one array after the other."""
    for name in source.infos:
        yield _TARGET + name, source.read(name)
    for name in memory.infos:
        yield _STATES + name, memory.read(name)
    yield _STEP, np.asarray(step, np.int32)


def _stored(info: TensorInfo, dtype: str | None) -> TensorInfo:
    return info if dtype is None else TensorInfo(info.shape, dtype)


def _below(infos: Mapping[str, TensorInfo], prefix: str) -> dict[str, TensorInfo]:
    """The entries under a prefix, without it."""
    return {
        path.removeprefix(prefix): info for path, info in infos.items() if path.startswith(prefix)
    }
