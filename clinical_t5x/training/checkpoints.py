"""Checkpoints: written by Orbax while training goes on, whole or absent, checked when read.

A checkpoint is a directory `checkpoint_<step>` with three parts: `params`, `optimizer` and
`position` (JSON: the step, seeds, batch size and data manifest that the state belongs to, and a
checksum of every array). Orbax writes into a temporary directory and renames it, so that a killed
process leaves either a whole checkpoint or none; the checksums tell a damaged one from a whole one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.interop import layouts, native
from clinical_t5x.interop.source import CheckpointError
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.storage import absolute
from clinical_t5x.training import adapters
from clinical_t5x.training import state as states
from clinical_t5x.training.config import RestoreCheckpointConfig
from clinical_t5x.training.imported import import_params, refuse_other_functions

_log = logging.getLogger(__name__)

_PREFIX = "checkpoint"
_ITEMS = ("params", "optimizer", "position")
_SHOWN = 5
_SHOWN_DIGITS = 12  # of a hash

# What must agree for a run to go on bit for bit, and the setting that restores the agreement.
_POSITION_CURES = {
    "seed": "RANDOM_SEED",
    "data_seed": "train/utils.DatasetConfig.seed",
    "global_batch_size": "BATCH_SIZE",
    "manifest_hash": "the data or its options (task, feature lengths, packing, vocabulary)",
}


class DamagedCheckpointError(Exception):
    """A checkpoint that cannot be read, or whose arrays are not those that were saved."""


class CheckpointStore:
    """The checkpoints of one MODEL_DIR.

    Args:
      directory: MODEL_DIR; made at the first save.
      keep: How many of the newest stay; None keeps all.
      dtype: Parameters are stored in it. float32 continues bit for bit.
    """

    def __init__(self, directory: Any, *, keep: int | None = None, dtype: str = "float32"):
        self.directory = absolute(directory)  # Orbax takes no other
        self._keep = keep
        self._dtype = jnp.dtype(dtype)
        self._opened: ocp.CheckpointManager | None = None

    @property
    def _manager(self) -> ocp.CheckpointManager:
        if self._opened is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._opened = ocp.CheckpointManager(
                self.directory,
                options=ocp.CheckpointManagerOptions(
                    step_prefix=_PREFIX,
                    max_to_keep=self._keep,
                    cleanup_tmp_directories=True,
                ),
                item_names=_ITEMS,
            )
        return self._opened

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, oldest first."""
        return checkpoint_steps(self.directory)

    def latest_step(self) -> int | None:
        """The newest checkpoint's step, or None."""
        steps = self.steps()
        return steps[-1] if steps else None

    def path(self, step: int) -> epath.Path:
        """Where the checkpoint of `step` lies."""
        return self.directory / f"{_PREFIX}_{step}"

    def save(self, state: states.TrainState, position: Mapping[str, Any]) -> None:
        """Begin to write `state`; returns when the arrays may be changed, not when it is done.

        Args:
          state: The state; its step names the checkpoint.
          position: JSON values that a resumed run is compared with (`refuse_other_position`).
        """
        step = int(state.step)
        optimizer = {"opt_state": state.opt_state}
        record = {
            **position,
            "step": step,
            "checksums": {
                "params": checksums(state.params) if self._dtype == jnp.float32 else {},
                "optimizer": checksums(optimizer),
            },
        }
        cast = jax.tree.map(lambda _: ocp.SaveArgs(dtype=self._dtype), state.params)
        self._manager.save(
            step,
            args=ocp.args.Composite(
                params=ocp.args.PyTreeSave(state.params, save_args=cast),
                optimizer=ocp.args.PyTreeSave(optimizer),
                position=ocp.args.JsonSave(record),
            ),
            force=True,
        )

    def wait(self) -> None:
        """Return when everything that was begun is on disk."""
        if self._opened is not None:
            self._opened.wait_until_finished()

    def close(self) -> None:
        """Finish what is being written and release threads."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def restore_latest(
        self, abstract: states.TrainState, position: Mapping[str, Any]
    ) -> tuple[states.TrainState, dict[str, Any]] | None:
        """The newest whole checkpoint and its position, or None when there is none.

        A damaged checkpoint is reported, set aside as `damaged_checkpoint_<step>`, and the one
        before is taken.

        Args:
          abstract: Shapes and shardings to restore onto; any mesh will do.
          position: This run's; must agree with the checkpoint's.

        Raises:
          UserError: when the checkpoint belongs to another model, seed, batch size or data.
        """
        for step in reversed(self.steps()):
            path = self.path(step)
            try:
                found = read_position(path)
                refuse_other_position(path, found, position)
                adapters.refuse_other(path, found, position)
                return self._restore(path, abstract, found), found
            except DamagedCheckpointError as error:
                aside = self.directory / f"damaged_{path.name}"
                if aside.exists():
                    aside.rmtree()
                path.rename(aside)
                if self._opened is not None:
                    self._opened.reload()
                _log.warning("%s; set aside as %s, taking the one before", error, aside.name)
        return None

    def _restore(
        self, path: epath.Path, abstract: states.TrainState, found: Mapping[str, Any]
    ) -> states.TrainState:
        sums = found["checksums"]
        params = _read_tree(path, "params", abstract.params, sums["params"])
        optimizer = _read_tree(
            path, "optimizer", {"opt_state": abstract.opt_state}, sums["optimizer"]
        )
        step = jax.device_put(jnp.asarray(found["step"], jnp.int32), abstract.step.sharding)
        return states.TrainState(step, params, optimizer["opt_state"])


def checkpoint_steps(directory: Any) -> list[int]:
    """Steps of the finished checkpoints in a MODEL_DIR, oldest first."""
    return layouts.steps(directory)


def checkpoint_paths(paths: Sequence[str], mode: str) -> list[epath.Path]:
    """The checkpoint directories that a RestoreCheckpointConfig's paths and mode mean.

    A path may always be a checkpoint itself, of any layout; with mode 'latest' or 'all' it may be a
    MODEL_DIR.

    Raises:
      UserError: when a path does not exist, is no checkpoint, or holds none.
    """
    found = []
    for given in paths:
        path = absolute(given)
        if not path.exists():
            raise UserError(f"checkpoint {given} does not exist; give a checkpoint_N directory")
        if layouts.layout_of(path) is not None:
            found.append(path)
            continue
        steps = checkpoint_steps(path)
        if mode == "specific":
            inside = f"; it holds {_PREFIX}_{steps[-1]}: name that one" if steps else ""
            raise UserError(f"{given} is not a checkpoint directory{inside}")
        if not steps:
            raise UserError(
                f"{given} holds no checkpoint; give a MODEL_DIR that was trained, a T5X "
                "checkpoint, or a Hugging Face directory"
            )
        chosen = steps if mode == "all" else steps[-1:]
        found += [path / f"{_PREFIX}_{step}" for step in chosen]
    return found


def paths_to_restore(config: RestoreCheckpointConfig) -> list[str]:
    """What eval and infer restore one after the other.

    With mode 'latest' a MODEL_DIR stays one, so that its newest whole checkpoint can be taken.

    Raises:
      UserError: when no checkpoint is named, or one does not exist.
    """
    if not config.paths:
        raise UserError("CHECKPOINT_PATH is empty: name a MODEL_DIR or a checkpoint in it")
    found = checkpoint_paths(config.paths, config.mode)
    return config.paths if config.mode == "latest" else [str(path) for path in found]


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
      path: A checkpoint of any layout (ours, T5X's, Hugging Face's), or a MODEL_DIR (its newest
        whole checkpoint is taken).
      model: Gives the names and shapes that are expected.
      partitioner: Says where the parameters go.
      mode: 'latest', or 'specific' when `path` must be a checkpoint itself.
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
    directories = checkpoint_paths([str(path)], "specific" if mode == "specific" else "all")
    problem: DamagedCheckpointError | None = None
    for directory in reversed(directories):
        if problem is not None:
            _log.warning("%s; taking the one before", problem)
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
    saved = adapters.as_saved(model, position)
    abstract = adapters.placed(saved, partitioner)
    params = _read_tree(path, "params", abstract, position["checksums"]["params"])
    return adapters.fitted(params, saved, model, partitioner), position["step"]


def provenance(path: epath.Path) -> dict[str, Any]:
    """What a checkpoint says of how it was made; nothing where its layout has no room for it."""
    return read_position(path) if layouts.layout_of(path) == layouts.NATIVE else {}


def refuse_unresumable(directory: Any) -> None:
    """Refuse a MODEL_DIR whose newest checkpoint is one to begin from, not to go on from.

    Raises:
      UserError: naming the setting that takes it.
    """
    steps = checkpoint_steps(directory)
    if not steps:
        return
    path = epath.Path(directory) / f"{_PREFIX}_{steps[-1]}"
    cure = f"begin from it with INITIAL_CHECKPOINT_PATH = '{path}' and another MODEL_DIR"
    if layouts.layout_of(path) == layouts.T5X:
        raise UserError(
            f"{path} is a checkpoint of Google's T5X, which no run here goes on: {cure}"
        )
    if (path / "params").exists() and not (path / "optimizer").exists():
        with contextlib.suppress(DamagedCheckpointError):
            if not read_position(path)["checksums"].get("optimizer"):
                raise UserError(f"{path} has parameters and no optimizer memory: {cure}")


def read_position(path: epath.Path) -> dict[str, Any]:
    """The position that was saved with a checkpoint.

    Raises:
      DamagedCheckpointError: when it is missing or unreadable.
    """
    try:
        with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
            position = reader.restore(path / "position")
    except Exception as error:
        raise DamagedCheckpointError(f"checkpoint {path} is unreadable (no position)") from error
    if not {"step", "checksums"} <= set(position or ()):
        raise DamagedCheckpointError(f"checkpoint {path} is unreadable (position incomplete)")
    return position


def refuse_other_position(
    path: epath.Path, found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Refuse to go on from a checkpoint of other data, seeds or batch size, in one line.

    What the checkpoint does not tell is not compared: it was converted from a layout without a
    position.
    """
    for key, cure in _POSITION_CURES.items():
        if key in wanted and key in found and found[key] != wanted[key]:
            there, here = (str(value)[:_SHOWN_DIGITS] for value in (found[key], wanted[key]))
            raise UserError(
                f"{path} was made with {key} = {there}, this run has {key} = {here}: restore "
                f"{cure}, or choose another MODEL_DIR"
            )


@jax.jit
def _leaf_checksum(array: jax.Array) -> jax.Array:
    """A sum of bits weighted by position, modulo 2**32: exact, so the same on every mesh."""
    width = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[array.dtype.itemsize]
    bits = jax.lax.bitcast_convert_type(array, width).astype(jnp.uint32)
    weights = jnp.uint32(1)
    for dim, size in enumerate(array.shape):
        place = jax.lax.broadcasted_iota(jnp.uint32, array.shape, dim)
        weights = weights * jnp.uint32(2 * size + 1) + place
    return jnp.sum(bits * (2 * weights + 1), dtype=jnp.uint32)


def checksums(tree: Any) -> dict[str, int]:
    """A 32-bit checksum of every array, by name."""
    # One program at a time: on pretended CPU devices, sums over devices that are under way at once
    # can take all threads and wait for each other for ever.
    return {
        _name(path): int(jax.device_get(_leaf_checksum(leaf)))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _read_tree(path: epath.Path, item: str, abstract: Any, expected: Mapping[str, int]) -> Any:
    """Restore one item onto the shardings of `abstract` and compare checksums."""
    handler = ocp.PyTreeCheckpointHandler()
    try:
        with ocp.Checkpointer(handler) as reader:
            saved = reader.metadata(path / item).item_metadata.tree
    except Exception as error:
        raise DamagedCheckpointError(f"checkpoint {path} is unreadable ({item})") from error
    _refuse_other_shapes(path, saved, abstract)
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            tree = reader.restore(
                path / item,
                args=ocp.args.PyTreeRestore(
                    item=abstract,
                    restore_args=ocp.checkpoint_utils.construct_restore_args(abstract),
                ),
            )
        found = checksums(tree) if expected else {}
    except Exception as error:
        raise DamagedCheckpointError(f"checkpoint {path} is unreadable ({item})") from error
    wrong = [name for name, value in expected.items() if found.get(name) != value]
    if wrong:
        raise DamagedCheckpointError(f"checkpoint {path} is damaged ({item}: {wrong[0]})")
    return tree


def _refuse_other_shapes(path: epath.Path, saved: Any, abstract: Any) -> None:
    """Name the tensors in which a checkpoint and the configured model differ."""
    there = {_name(key): tuple(leaf.shape) for key, leaf in _named_leaves(saved)}
    here = {_name(key): tuple(leaf.shape) for key, leaf in _named_leaves(abstract)}
    differences = [
        f"{name} {there.get(name, 'absent')} in the checkpoint, {here.get(name, 'absent')} in "
        "the model"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]
    if differences:
        more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise UserError(
            f"{path} is of another model: {'; '.join(differences[:_SHOWN])}{more}. Take the "
            "model's own configuration, or another checkpoint or MODEL_DIR"
        )


def _named_leaves(tree: Any) -> list[tuple[Any, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda leaf: hasattr(leaf, "shape"))
    return [(path, leaf) for path, leaf in leaves if hasattr(leaf, "shape")]


def _name(path: Sequence[Any]) -> str:
    return "/".join(
        str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path
    )
