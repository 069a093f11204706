"""Checkpoints: written by Orbax while training goes on, whole or absent, checked when read.

A checkpoint is a directory `checkpoint_<step>` with three parts: `params`, `optimizer` and
`position` (JSON: the step, seeds, batch size and data manifest that the state belongs to, and a
checksum of every array). Orbax writes into a temporary directory and renames it, so that a killed
process leaves either a whole checkpoint or none; the checksums tell a damaged one from a whole one.
Here is what a run does with its own; `restoring` reads those of others, `integrity` the parts, and
`retention` says which ones stay.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.interop import layouts
from clinical_t5x.storage import absolute
from clinical_t5x.training import adapters, hosts
from clinical_t5x.training import state as states
from clinical_t5x.training.integrity import (
    DamagedCheckpointError,
    checksums,
    read_position,
    read_tree,
    refuse_other_position,
)
from clinical_t5x.training.restoring import (
    PREFIX,
    checkpoint_paths,
    checkpoint_steps,
    paths_to_restore,
    provenance,
    restore_params,
    restore_params_and_path,
)
from clinical_t5x.training.retention import Keeping, Ranking

__all__ = [
    "CheckpointStore",
    "DamagedCheckpointError",
    "checkpoint_paths",
    "checkpoint_steps",
    "checksums",
    "paths_to_restore",
    "provenance",
    "read_position",
    "refuse_unresumable",
    "restore_params",
    "restore_params_and_path",
]

_log = logging.getLogger(__name__)

_ITEMS = ("params", "optimizer", "position")
_LEAVING = "removed_"  # a checkpoint is renamed before it is removed: a part never bears its name


class CheckpointStore:
    """The checkpoints of one MODEL_DIR.

    Args:
      directory: MODEL_DIR; made at the first save.
      keep: How many of the newest stay, or all that is said about it; None keeps all.
      dtype: Parameters are stored in it. float32 continues bit for bit.
    """

    def __init__(
        self, directory: Any, *, keep: int | Keeping | None = None, dtype: str = "float32"
    ):
        self.directory = absolute(directory)  # Orbax takes no other
        self.keeping = keep if isinstance(keep, Keeping) else Keeping(latest=keep)
        self._ranking = Ranking(self.keeping, self.directory)
        self._dtype = jnp.dtype(dtype)
        self._opened: ocp.CheckpointManager | None = None
        self._saving: int | None = None

    @property
    def _manager(self) -> ocp.CheckpointManager:
        if self._opened is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            if hosts.is_first():
                for leftover in self.directory.glob(f"{_LEAVING}{PREFIX}_*"):
                    leftover.rmtree()
            self._opened = ocp.CheckpointManager(
                self.directory,
                # what stays is decided here: metrics are known later than Orbax asks for them
                options=ocp.CheckpointManagerOptions(
                    step_prefix=PREFIX, max_to_keep=None, cleanup_tmp_directories=True
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
        return self.directory / f"{PREFIX}_{step}"

    def save(self, state: states.TrainState, position: Mapping[str, Any]) -> None:
        """Begin to write `state`; returns when the arrays may be changed, not when it is done.

        Args:
          state: The state; its step names the checkpoint.
          position: JSON values that a resumed run is compared with (`refuse_other_position`).
        """
        self.wait()
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
        with self._telling_of_failure(step):
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    params=ocp.args.PyTreeSave(state.params, save_args=cast),
                    optimizer=ocp.args.PyTreeSave(optimizer),
                    position=ocp.args.JsonSave(record),
                ),
                force=True,
            )
        self._saving = step

    @contextlib.contextmanager
    def _telling_of_failure(self, step: int | None) -> Iterator[None]:
        """Say in one line what a full disk, or whatever else cannot be written to, means."""
        try:
            yield
        except (OSError, ValueError) as error:  # the latter from TensorStore
            first_line = str(error).partition("\n")[0]
            reason = getattr(error, "strerror", None) or first_line.rpartition(": ")[2][:200]
            raise UserError(
                f"the checkpoint of step {step} could not be written to {self.directory}: "
                f"{reason}; see to the disk's space and rights, then give the same command again"
            ) from error

    def tidy(self) -> None:
        """Remove what need not stay any more, if the last save is done; never waits."""
        if self._saving is not None and not self._manager.is_saving_in_progress():
            self.wait()

    def note_metrics(self, step: int, by_split: Mapping[str, Mapping[str, float]]) -> None:
        """Take in metrics of a step, by which the best checkpoints are told.

        Raises:
          UserError: when the watched metric is not among them.
        """
        if self._ranking.note(step, by_split):
            self._rank()  # first, so that a reader never misses one that is there
            self._remove_others()

    def recall_metrics(
        self, points: Iterable[tuple[int, Mapping[str, Mapping[str, float]]]]
    ) -> None:
        """Take in what was logged before this process began: (step, metrics by split).

        Raises:
          UserError: as `note_metrics`.
        """
        for step, by_split in points:
            self._ranking.note(step, by_split)
        if self._ranking.values:
            self._rank()

    def _rank(self) -> None:
        if self.keeping.metric is not None and hosts.is_first():
            being_saved = set() if self._saving is None else {self._saving}
            self._ranking.write({*self.steps()} | being_saved)

    def _remove_others(self) -> None:
        """Remove the finished checkpoints that need not stay."""
        if self.keeping.latest is None or not hosts.is_first():
            return
        steps = self.steps()
        others = sorted({*steps} - self.keeping.chosen(steps, self._ranking.values))
        for step in others:
            leaving = self.directory / f"{_LEAVING}{PREFIX}_{step}"
            self.path(step).rename(leaving)
            leaving.rmtree()
        if others:
            self._rank()

    def wait(self) -> None:
        """Return when everything that was begun is on disk."""
        if self._opened is not None:
            with self._telling_of_failure(self._saving):
                self._opened.wait_until_finished()
            self._saving = None
            self._remove_others()

    def close(self) -> None:
        """Finish what is being written and release threads."""
        if self._opened is not None:
            self.wait()
            self._opened.close()
            self._opened = None

    def restore_latest(
        self, abstract: states.TrainState, position: Mapping[str, Any]
    ) -> tuple[states.TrainState, dict[str, Any]] | None:
        """The newest whole checkpoint and its position, or None when there is none.

        A damaged checkpoint is reported, set aside as `damaged_checkpoint_<step>`, and the one
        before is taken. It is damaged for all processes when one of them cannot read it.

        Args:
          abstract: Shapes and shardings to restore onto; any mesh will do.
          position: This run's; must agree with the checkpoint's.

        Raises:
          UserError: when the checkpoint belongs to another model, seed, batch size or data.
        """
        steps = hosts.as_first_sees(self.steps())
        for step in reversed(steps):
            path = self.path(step)
            try:
                found = read_position(path)
                refuse_other_position(path, found, position)
                adapters.refuse_other(path, found, position)
                state = self._restore(path, abstract, found)
            except DamagedCheckpointError as error:
                then = "taking the one before" if step > steps[0] else "there is none before it"
                self._set_aside(path, error, then)
                continue
            self._ranking.forget_after(step)
            return state, found
        self._ranking.forget_after(-1)
        return None

    def set_aside_nameless(self) -> None:
        """Set aside the checkpoints that do not even tell their position.

        No run can go on from them, and left in place they would refuse its saves at their steps.
        """
        steps = hosts.as_first_sees(self.steps())
        for step in reversed(steps):
            try:
                read_position(self.path(step))
            except DamagedCheckpointError as error:
                self._set_aside(self.path(step), error, "nothing of it can be used")
        if steps:
            self._ranking.forget_after(-1)

    def _set_aside(self, path: epath.Path, error: DamagedCheckpointError, then: str) -> None:
        """Rename a damaged checkpoint, once for all processes, and say so."""
        aside = self.directory / f"damaged_{path.name}"
        if hosts.is_first():
            if aside.exists():
                aside.rmtree()
            path.rename(aside)
        hosts.meet(f"set aside {path.name}")
        if self._opened is not None:
            self._opened.reload()
        _log.warning("%s; set aside as %s, %s", error, aside.name, then)

    def _restore(
        self, path: epath.Path, abstract: states.TrainState, found: Mapping[str, Any]
    ) -> states.TrainState:
        sums = found["checksums"]
        params = read_tree(path, "params", abstract.params, sums["params"])
        optimizer = read_tree(
            path, "optimizer", {"opt_state": abstract.opt_state}, sums["optimizer"]
        )
        step = jax.device_put(jnp.asarray(found["step"], jnp.int32), abstract.step.sharding)
        return states.TrainState(step, params, optimizer["opt_state"])


def refuse_unresumable(directory: Any) -> None:
    """Refuse a MODEL_DIR whose newest checkpoint is one to begin from, not to go on from.

    Raises:
      UserError: naming the setting that takes it.
    """
    steps = checkpoint_steps(directory)
    if not steps:
        return
    path = epath.Path(directory) / f"{PREFIX}_{steps[-1]}"
    cure = f"begin from it with INITIAL_CHECKPOINT_PATH = '{path}' and another MODEL_DIR"
    if layouts.layout_of(path) == layouts.T5X:
        raise UserError(
            f"{path} is a checkpoint of Google's T5X, which no run here goes on: {cure}"
        )
    if (path / "params").exists() and not (path / "optimizer").exists():
        with contextlib.suppress(DamagedCheckpointError):
            if not read_position(path)["checksums"].get("optimizer"):
                raise UserError(f"{path} has parameters and no optimizer memory: {cure}")
