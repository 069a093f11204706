"""Our own checkpoints, read and written tensor by tensor, without a model or a device.

`checkpoint_N/params` and `checkpoint_N/optimizer` are Orbax trees, `checkpoint_N/position` is JSON:
the step, the network's configuration, a checksum of every array, and what training keeps there
(see `training.checkpoints`). A checkpoint without `optimizer` is one to begin from, not to resume.
With `scan_layers` the layers of a stack share one array; here they appear one by one.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.interop import orbax_files, t5x_names
from clinical_t5x.interop.adafactor_memory import AdafactorMemory, memory_of
from clinical_t5x.interop.merged import MergedAdapters, has_adapters
from clinical_t5x.interop.source import (
    CheckpointError,
    TensorInfo,
    TensorSource,
    config_from_shapes,
)
from clinical_t5x.interop.stacked_tree import Place, StackedTree, write_stacked
from clinical_t5x.interop.t5x_checkpoint import checkpoint_directory
from clinical_t5x.interop.tensor_files import weight_dtype
from clinical_t5x.models.config import T5Config
from clinical_t5x.storage import whole_directory, write_text_atomically

PARAMS, OPTIMIZER, POSITION = "params", "optimizer", "position"
_POSITION_FILE = "metadata"  # Orbax's name inside the item
_STATE = "opt_state/"
_COUNT = "opt_state/count"


def recognises(path: Any) -> bool:
    """Whether `path` is one of our checkpoints (not a MODEL_DIR)."""
    return (epath.Path(path) / PARAMS).is_dir()


def is_stacked(path: Any) -> bool:
    """Whether one of our checkpoints keeps the layers of a stack in one array.

    Raises:
      CheckpointError: it is damaged.
    """
    metadata = orbax_files.read_json_object(epath.Path(path) / PARAMS / orbax_files.METADATA)
    return any("layers" in keys for keys in orbax_files.leaf_keys(metadata, epath.Path(path)))


def read_position(path: Any) -> dict[str, Any]:
    """What was saved with a checkpoint beside its arrays.

    Raises:
      CheckpointError: it is missing or damaged.
    """
    file = epath.Path(path) / POSITION / _POSITION_FILE
    position = orbax_files.read_json_object(file)
    step, sums = position.get("step"), position.get("checksums")
    if not isinstance(step, int) or step < 0 or not isinstance(sums, dict):
        raise CheckpointError(f"{file} is damaged: step or checksums are missing")
    return position


class NativeSource:
    """One of our checkpoints; see `source.TensorSource` for what every source has.

    Arrays are compared with their checksums when they are read.

    Attributes:
      position: what was saved with it, without the checksums.
      stacked: whether it keeps the layers of a stack in one array.
      assumed: fields of the configuration that neither shapes nor the position tell.
      adapted: whether it has low-rank adapters; they are merged when kernels are read.
    """

    kind = "clinical_t5x"

    def __init__(self, path: Any, **known: Any):
        directory = epath.Path(path)
        self.path = str(path)
        position = read_position(directory)
        self._sums = position.pop("checksums")
        self.position: dict[str, Any] = position
        self.step: int = position["step"]
        self.assumed = () if position.get("config") else ("mlp_activations",)
        tree = orbax_files.OrbaxTree(directory / PARAMS)
        stored = StackedTree(tree, self._expected(PARAMS))
        self.stacked = stored.stacked
        self.adapted = has_adapters(stored)
        self._params = self._merged(stored) if self.adapted else stored
        self.infos = self._params.infos
        self.config = self._config(known)
        for name, info in self.infos.items():
            weight_dtype(path, name, info.dtype)

    def read(self, name: str) -> np.ndarray:
        """One parameter, by its T5X name."""
        return self._params.read(name)

    def _merged(self, stored: StackedTree) -> MergedAdapters:
        saved = self.position.get("config")
        if not saved:
            raise CheckpointError(f"{self.path} has adapters and does not say how strong they are")
        try:
            return MergedAdapters(stored, _config_of(saved, {}))
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{self.path}: {error}") from None

    @property
    def optimizer(self) -> AdafactorMemory | None:
        """Adafactor's memory, or None where there is none, another optimizer's, or adapters'."""
        directory = epath.Path(self.path) / OPTIMIZER
        if self.adapted or not directory.exists():
            return None
        tree = orbax_files.OrbaxTree(directory)
        if _COUNT not in tree.infos:
            return None
        memory = StackedTree(tree, self._expected(OPTIMIZER), prefix=_STATE, leave_out=("count",))
        theirs = {_memory_name(name): name for name in memory.infos}
        return memory_of(
            {name: memory.infos[ours] for name, ours in theirs.items()},
            self.infos,
            lambda name: memory.read(theirs[name]),
            int(tree.read(_COUNT)),
        )

    def _expected(self, item: str) -> Mapping[str, int]:
        sums = self._sums.get(item, {})
        return sums if isinstance(sums, dict) else {}

    def _config(self, known: Mapping[str, Any]) -> T5Config:
        """The configuration that was saved, or what the shapes say; checked against the shapes."""
        shapes = {name: info.shape for name, info in self.infos.items()}
        try:
            inferred = config_from_shapes(shapes, **known)
            saved = self.position.get("config")
            plain = {**known, "lora_rank": 0}  # adapters are merged
            config = inferred if saved is None else _config_of(saved, plain)
            t5x_names.check_named(shapes, t5x_names.t5x_shapes(config))
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{self.path}: {error}") from None
        return config


def open_native(path: Any, **known: Any) -> NativeSource:
    """Open one of our checkpoints.

    Args:
      path: the directory `checkpoint_N`.
      **known: fields of `T5Config` that are known otherwise.

    Raises:
      CheckpointError: it is damaged, incomplete, or not of a T5.
    """
    if not recognises(path):
        raise CheckpointError(f"{path} is no checkpoint of ours: it has no {PARAMS}")
    return NativeSource(path, **known)


def config_to_save(config: T5Config) -> dict[str, Any]:
    """A configuration as the position keeps it, JSON."""
    return dataclasses.asdict(config)


def _config_of(saved: Any, known: Mapping[str, Any]) -> T5Config:
    """The configuration that a position keeps, unrolled; fields of other releases are left out."""
    names = {field.name for field in dataclasses.fields(T5Config)} - {"scan_layers"}
    fields = {name: value for name, value in dict(saved).items() if name in names}
    return T5Config(**fields | dict(known))


def _memory_name(name: str) -> str:
    """From "v_row/encoder/layers_0/mlp/wo/kernel" to T5X's order, the field last."""
    field, _, parameter = name.partition("/")
    return f"{parameter}/{field}"


def write_native(
    source: TensorSource,
    directory: Any,
    *,
    step: int | None = None,
    scan_layers: bool = False,
    dtype: str | None = None,
    position: Mapping[str, Any] | None = None,
    with_optimizer: bool = True,
    overwrite: bool = False,
    on_tensor: Callable[[str], None] | None = None,
) -> epath.Path:
    """Write a checkpoint that training begins from, with no more than one tensor in memory.

    Args:
      source: gives the parameters.
      directory: `.../checkpoint_N`, or a directory that gets one inside.
      step: instead of the source's.
      scan_layers: keep the layers of a stack in one array.
      dtype: of the parameters; None keeps the source's.
      position: further JSON values to keep; by default what the source kept.
      with_optimizer: keep the source's Adafactor memory, where it has one.
      overwrite: replace a checkpoint of this step.
      on_tensor: called with each parameter's name when it is written.

    Returns:
      The checkpoint's directory. It appears when it is whole.

    Raises:
      CheckpointError: the source is damaged.
      FileExistsError: there is a checkpoint and it is not to be replaced.
    """
    step = source.step if step is None else step
    target, step = checkpoint_directory(directory, step)
    config = dataclasses.replace(source.config, scan_layers=scan_layers)
    memory = getattr(source, "optimizer", None) if with_optimizer else None
    record = {
        **(getattr(source, "position", {}) if position is None else position),
        "step": step,
        "config": config_to_save(config),
    }
    # what a run that goes on from here asks for; T5X counts its optimizer's updates from step 0
    for key, value in (("first_step", 0), ("initialisation", "pretrained")):
        record.setdefault(key, value)
    record.setdefault("parameters_from", source.path)
    infos = {
        name: info if dtype is None else TensorInfo(info.shape, dtype)
        for name, info in source.infos.items()
    }
    with whole_directory(target, overwrite=overwrite) as partial:
        sums = {
            PARAMS: write_stacked(
                partial / PARAMS,
                infos,
                lambda name: _place(name, config),
                _read_all(source, on_tensor),
            )
        }
        if memory is not None:
            sums[OPTIMIZER] = _write_memory(partial / OPTIMIZER, memory, config)
        _write_rest(partial, record | {"checksums": {OPTIMIZER: {}} | sums})
    return target


def _read_all(
    source: TensorSource, on_tensor: Callable[[str], None] | None
) -> Iterator[tuple[str, np.ndarray]]:
    for name in source.infos:
        yield name, source.read(name)
        if on_tensor is not None:
            on_tensor(name)


def _place(name: str, config: T5Config, prefix: str = "") -> Place:
    keys, layer = t5x_names.our_path(name, config)
    return prefix + "/".join(keys), layer


def _write_memory(
    directory: epath.Path, memory: AdafactorMemory, config: T5Config
) -> dict[str, int]:
    """Write Adafactor's memory as `training.optimizer` has it; returns its checksums."""

    def place(name: str) -> Place:
        if name == _COUNT:
            return _COUNT, None
        parameter, _, field = name.rpartition("/")
        return _place(parameter, config, f"{_STATE}{field}/")

    def arrays() -> Iterator[tuple[str, np.ndarray]]:
        yield _COUNT, np.asarray(memory.updates, np.int32)
        for name in memory.infos:
            yield name, memory.read(name)

    infos = {_COUNT: TensorInfo((), "int32"), **memory.infos}
    return write_stacked(directory, infos, place, arrays())


def _write_rest(directory: epath.Path, position: Mapping[str, Any]) -> None:
    """Write the position, and which items there are."""
    (directory / POSITION).mkdir()
    text = json.dumps(position, ensure_ascii=False)
    write_text_atomically(directory / POSITION / _POSITION_FILE, text)
    orbax_files.write_committed(directory / POSITION)
    items = [item for item in (OPTIMIZER, PARAMS, POSITION) if (directory / item).exists()]
    handlers = {
        item: orbax_files.JSON_HANDLER if item == POSITION else orbax_files.PYTREE_HANDLER
        for item in items
    }
    orbax_files.write_checkpoint_metadata(directory, handlers, time.time_ns())
    orbax_files.write_committed(directory)
