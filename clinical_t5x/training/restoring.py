"""Which checkpoints a configuration means, and the parameters in them.

A path may be a checkpoint of any layout (ours, T5X's, Hugging Face's) or a MODEL_DIR.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import jax
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.interop import layouts, native
from clinical_t5x.interop.source import CheckpointError
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.storage import absolute
from clinical_t5x.training import adapters, hosts
from clinical_t5x.training.config import RestoreCheckpointConfig
from clinical_t5x.training.imported import import_params, refuse_other_functions
from clinical_t5x.training.integrity import DamagedCheckpointError, read_position, read_tree
from clinical_t5x.training.retention import best_steps
from clinical_t5x.training.vocabularies import refuse_other_vocabulary

PREFIX = "checkpoint"

_log = logging.getLogger(__name__)


def checkpoint_steps(directory: Any) -> list[int]:
    """Steps of the finished checkpoints in a MODEL_DIR, oldest first."""
    return layouts.steps(directory)


def checkpoint_paths(paths: Sequence[str], mode: str) -> list[epath.Path]:
    """The checkpoint directories that a RestoreCheckpointConfig's paths and mode mean.

    A path may always be a checkpoint itself, of any layout; with mode 'latest', 'best' or 'all' it
    may be a MODEL_DIR.

    Raises:
      UserError: when a path does not exist, is no checkpoint, or holds none.
    """
    found = []
    for given in paths:
        in_turn = _in_turn(given, mode)
        found += reversed(in_turn) if mode == "all" else in_turn[:1]
    return found


def _in_turn(given: Any, mode: str) -> list[epath.Path]:
    """What a path means, the first choice first; the others are for when it is damaged.

    Raises:
      UserError: as `checkpoint_paths`.
    """
    path = absolute(given)
    if not path.exists():
        raise UserError(f"checkpoint {given} does not exist; give a checkpoint_N directory")
    if layouts.layout_of(path) is not None:
        return [path]
    steps = hosts.as_first_sees(checkpoint_steps(path))
    if mode == "specific":
        inside = f"; it holds {PREFIX}_{steps[-1]}: name that one" if steps else ""
        raise UserError(f"{given} is not a checkpoint directory{inside}")
    if not steps:
        raise UserError(
            f"{given} holds no checkpoint; give a MODEL_DIR that was trained, a T5X "
            "checkpoint, or a Hugging Face directory"
        )
    order = [step for step in best_steps(path) if step in steps] if mode == "best" else steps[::-1]
    if not order:
        raise UserError(f"{given} no longer holds a checkpoint that was evaluated; name another")
    return [path / f"{PREFIX}_{step}" for step in order]


def paths_to_restore(config: RestoreCheckpointConfig) -> list[str]:
    """What eval and infer restore one after the other.

    With modes 'latest' and 'best' a MODEL_DIR stays one, so that a whole checkpoint can be taken
    where the first choice is damaged.

    Raises:
      UserError: when no checkpoint is named, or one does not exist.
    """
    if not config.paths:
        raise UserError("CHECKPOINT_PATH is empty: name a MODEL_DIR or a checkpoint in it")
    found = checkpoint_paths(config.paths, config.mode)
    return config.paths if config.mode in ("latest", "best") else [str(path) for path in found]


def restore_params(
    path: Any,
    model: Any,
    partitioner: PjitPartitioner,
    *,
    mode: str = "latest",
    dtype: str | None = None,
) -> tuple[Any, int]:
    """Read a model's parameters, sharded as the partitioner says, and the step they are from.

    Args:
      path: A checkpoint of any layout (ours, T5X's, Hugging Face's), or a MODEL_DIR.
      model: Gives the names and shapes that are expected.
      partitioner: Says where the parameters go.
      mode: Of a MODEL_DIR, 'latest' takes the newest whole checkpoint and 'best' the best one by
        the metric that the run watched; 'specific' wants `path` to be a checkpoint itself.
      dtype: Cast to it; None keeps float32.

    Raises:
      UserError: when there is no checkpoint, it cannot be read, or belongs to another model.
    """
    return restore_params_and_path(path, model, partitioner, mode=mode, dtype=dtype)[:2]


def restore_params_and_path(
    path: Any,
    model: Any,
    partitioner: PjitPartitioner,
    *,
    mode: str = "latest",
    dtype: str | None = None,
) -> tuple[Any, int, epath.Path]:
    """As `restore_params`, and the checkpoint that was read."""
    problem: DamagedCheckpointError | None = None
    for directory in _in_turn(path, mode):
        if problem is not None:
            other = "the next best" if mode == "best" else "the one before"
            _log.warning("%s; taking %s", problem, other)
        try:
            if _is_as_trained(directory, model):
                params, step = _read_own(directory, model, partitioner)
            else:
                params, step = import_params(directory, model, partitioner)
        except DamagedCheckpointError as error:
            problem = error
            continue
        if dtype is not None:
            params = jax.tree.map(lambda array: array.astype(dtype), params)
        return params, step, directory
    raise UserError(f"{problem}; no other checkpoint lies beside it") from problem


def _is_as_trained(path: epath.Path, model: Any) -> bool:
    """Whether a checkpoint is ours and keeps its layers as the model does."""
    if layouts.layout_of(path) != layouts.NATIVE:
        return False
    if not hasattr(model, "config"):
        return True
    try:
        return native.is_stacked(path) == model.config.scan_layers
    except CheckpointError as error:
        raise DamagedCheckpointError(f"checkpoint {path} is unreadable ({error})") from error


def _read_own(path: epath.Path, model: Any, partitioner: PjitPartitioner) -> tuple[Any, int]:
    """Parameters of one of our checkpoints, and its step."""
    position = read_position(path)
    refuse_other_functions(path, position, model)
    refuse_other_vocabulary(path, position, model)
    saved = adapters.as_saved(model, position)
    abstract = adapters.placed(saved, partitioner)
    params = read_tree(path, "params", abstract, position["checksums"]["params"])
    return adapters.fitted(params, saved, model, partitioner), position["step"]


def provenance(path: epath.Path) -> dict[str, Any]:
    """What a checkpoint says of how it was made; nothing where its layout has no room for it."""
    return read_position(path) if layouts.layout_of(path) == layouts.NATIVE else {}
