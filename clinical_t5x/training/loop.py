"""The training loop: steps, and what is due after each.

The order after a step is a contract: statistics, the checkpoint, evaluation, actions. A bad batch
(see `guard`) is dealt with before anything is saved. An evaluation that was interrupted is made up
for when the run is resumed, so that every due evaluation is in the log once. With several processes
everything that changes the course of the run is read from what all of them see: the update's
metric sums, or an agreement.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from clinical_t5x import console
from clinical_t5x.training import guard as guards
from clinical_t5x.training import hosts, startup
from clinical_t5x.training import state as states
from clinical_t5x.training.checkpoints import CheckpointStore
from clinical_t5x.training.goodput import Goodput
from clinical_t5x.training.measuring import TimeAccount, Window, train_line
from clinical_t5x.training.metric_log import MetricLog, merge_by_task
from clinical_t5x.training.prefetch import Prefetcher
from clinical_t5x.training.profile_window import ProfileWindow
from clinical_t5x.training.profiling import Profiler
from clinical_t5x.training.runtime import StopAtOnce, StopRequest
from clinical_t5x.training.trainer import Trainer

# In a checkpoint's position: what the guard remembers.
GUARD = "guard"

_log = logging.getLogger(__name__)

# Metrics of an evaluation on the screen; the log has all.
_SHOWN = 6


@dataclasses.dataclass
class Schedule:
    """When things happen, in steps; a period of 0 or None means never.

    Attributes:
      first: Step to begin at.
      last: Step to end at.
      stats: Period of the metrics of training.
      evaluation: Period of evaluation; also after the last step.
      save: Period of checkpoints; also after the last step.
      save_steps: Further steps to save at.
      evaluate_first: Also evaluate before the first step of a new run.
      resumed: Whether `first` is where an earlier process of this run saved.
      profile: Steps to be profiled.
    """

    first: int
    last: int
    stats: int
    evaluation: int | None = None
    save: int | None = None
    save_steps: Sequence[int] = ()
    evaluate_first: bool = False
    resumed: bool = False
    profile: ProfileWindow | None = None

    def stats_due(self, step: int) -> bool:
        """Whether metrics are due after `step` updates."""
        return step % self.stats == 0 or step == self.last

    def evaluation_due(self, step: int) -> bool:
        """Whether an evaluation is due after `step` updates."""
        return bool(self.evaluation) and (step % self.evaluation == 0 or step == self.last)

    def save_due(self, step: int) -> bool:
        """Whether a checkpoint is due after `step` updates."""
        periodic = bool(self.save) and step % self.save == 0
        return periodic or step == self.last or step in self.save_steps


# From the trainer and its step to metrics by split: 'eval/<task>' or 'inference_eval/<task>'.
Evaluation = Callable[[Trainer, int], Mapping[str, Mapping[str, float]]]


class Loop:
    """Runs a trainer through a schedule.

    Args:
      trainer: Holds the state.
      make_batch: From step to a placed batch; a pure function.
      schedule: When things happen.
      log: Where metrics go.
      store: Where checkpoints go; None saves none.
      position: What is saved with each checkpoint, see `CheckpointStore.save`.
      evaluations: Done at every evaluation, in this order.
      actions: Consulted after evaluation with metrics by task; a reason returned ends training.
      record: Which batches were bad before `schedule.first`; default none.
      account: The process's time.
    """

    def __init__(
        self,
        trainer: Trainer,
        make_batch: Callable[[int], Mapping[str, jax.Array]],
        schedule: Schedule,
        log: MetricLog,
        store: CheckpointStore | None,
        position: Mapping[str, Any],
        evaluations: Iterable[Evaluation] = (),
        actions: Iterable[Any] = (),
        account: TimeAccount | None = None,
        record: guards.GuardRecord | None = None,
    ):
        self._trainer, self._make_batch, self._schedule = trainer, make_batch, schedule
        self._log, self._store, self._position = log, store, position
        self._evaluations, self._actions = tuple(evaluations), tuple(actions)
        self._record = record or guards.GuardRecord(trainer.guard)
        self._goes_back = trainer.guard.policy == guards.ROLL_BACK
        if self._goes_back and store is None:
            raise console.UserError(
                "LossGuard.policy = 'roll_back' needs checkpoints: bind CheckpointConfig.save"
            )
        # actions remember evaluations; those of steps that are made again come again
        self._actions_before = copy.deepcopy(self._actions) if self._goes_back else ()
        self._stop_requested = False  # by some process, as all of them know
        self._account = account or TimeAccount()
        self._goodput = Goodput(log, self._account, schedule.first)
        devices = trainer.partitioner.mesh.devices
        self._window = Window(trainer.model, devices, self._account, self._review)
        self._profiler = Profiler(
            schedule.profile, log.directory, self._window.settle, self._account
        )
        self._saved_at: int | None = None
        self._cut_off_by_a_stop: Callable[[], Any] = contextlib.nullcontext

    def run(self) -> str | None:
        """Train to the end.

        Returns:
          Why training ended early by an action's wish, or None.

        Raises:
          console.Stopped: on Ctrl-C or SIGTERM, after saving.
          NonFiniteLossError: when the loss is NaN or infinite.
          LossSpikeError: when the guard found a leap and its policy or its limit ends the run.
        """
        reason = self._catch_up()
        if reason:
            return reason
        if self._goes_back and not self._schedule.resumed:
            self._save(self._schedule.first)  # so that there is always something to go back to
        with StopRequest() as stop:
            if jax.process_count() == 1:
                self._cut_off_by_a_stop = stop.at_once
            while True:
                try:
                    reason = self._train(stop)
                    break
                except guards.RollBack as found:
                    step = self._go_back(found)
                    try:
                        reason = self._catch_up()
                    except StopAtOnce:
                        text = _stopped_text(stop.reason, step, self._store)
                        raise console.Stopped(text) from None
                    if reason:
                        break
        self._wait()
        return reason

    def _train(self, stop: StopRequest) -> str | None:
        """Train to the end of the schedule, or until an action gives a reason to end."""
        schedule = self._schedule
        batches = Prefetcher(
            self._make_batch,
            schedule.first,
            schedule.last,
            is_busy=self._window.device_is_busy,
            starved=functools.partial(self._account.spend, "input"),
        )
        progress = console.Progress("train", schedule.last - schedule.first, unit="step")
        with batches, progress as bar, self._profiler as profiler:
            for step, batch in batches:
                with profiler.around(step):
                    self._make_step(step, batch, stop)
                bar.advance(1, note=self._window.note)
                try:
                    reason, cut_off = self._after(step + 1), False
                except StopAtOnce:
                    reason, cut_off = None, True
                stopped = self._why_to_stop(stop, step + 1)
                if reason or stopped:
                    self._save(step + 1)
                if stopped and (step + 1 < schedule.last or cut_off):
                    self._wait()
                    raise console.Stopped(_stopped_text(stopped, step + 1, self._store))
                if reason:
                    return reason
        self._window.settle()
        return None

    def _make_step(self, step: int, batch: Mapping[str, jax.Array], stop: StopRequest) -> None:
        if step + 1 in self._record.skipped:
            self._trainer.skip_step()
        else:
            sums = self._trainer.train_step(batch, stop=stop.reason is not None)
            self._window.add(step, batch, sums)

    def _why_to_stop(self, stop: StopRequest, step: int) -> str | None:
        """Why all processes stop after `step`, or None."""
        if hosts.preemption_is_due(step):
            return "preemption notice"
        if jax.process_count() == 1:
            return stop.reason
        # a signal of its own is told with the next step, and acted upon when all have heard of it
        return (stop.reason or "a stop of another process") if self._stop_requested else None

    def _review(self, step: int, values: Mapping[str, float]) -> bool:
        """Look at a step's metric sums; whether they count."""
        self._tell_start()
        self._stop_requested |= values.get(hosts.STOP, 0) > 0
        found = self._record.review(step, values)
        if found is None:
            return True
        if self._goes_back:
            raise guards.RollBack(step, found)
        self._note_bad(step, found, left_out=self._record.leave_out(step))
        return False

    def _tell_start(self) -> None:
        """After the first step: what the time went to until then."""
        startup.mark("first step")
        told = startup.end()
        if told:
            console.say(f"  {told}")

    def _note_bad(self, step: int, found: Mapping[str, Any], **done: Any) -> None:
        """Log what was found about a batch and done about it."""
        self._log.write_run_line(step, event="bad batch", **found, **done)
        _log.warning("bad batch at step %d: %s", step, {**found, **done})

    def _go_back(self, found: guards.RollBack) -> int:
        """Return to the newest checkpoint, with the bad batch on record as one to leave out.

        Returns:
          The checkpoint's step.
        """
        self._wait()
        self._trainer.train_state = None  # its memory is needed for the one that is read
        restored = self._store.restore_latest(self._trainer.abstract_state, self._position)
        if restored is None:
            raise guards.LossSpikeError(f"{found}, and there is no whole checkpoint to go back to")
        self._trainer.train_state, saved = restored
        self._trainer.remember(saved.get(GUARD, {}).get("memory"))
        there = saved["step"]
        left_out = self._record.leave_out(found.step, after=there)
        self._schedule = dataclasses.replace(self._schedule, first=there, resumed=True)
        self._saved_at = there
        self._window.discard()
        self._log.rewind(there)
        self._goodput.rolled_back(there)
        self._actions = copy.deepcopy(self._actions_before)
        self._note_bad(found.step, found.values, rolled_back_to=there, left_out=left_out)
        return there

    def _catch_up(self) -> str | None:
        """Tell the actions what was evaluated before, and evaluate where that is missing."""
        step, reason = self._schedule.first, None
        if self._store is not None:
            self._store.recall_metrics(self._log.by_step())
        for evaluated_at, by_task in self._log.evaluations():
            reason = self._consult(evaluated_at, by_task)
            if evaluated_at == step:
                return reason
        due = step > 0 and self._schedule.evaluation_due(step) and self._schedule.resumed
        if due or (self._schedule.evaluate_first and not self._schedule.resumed):
            return self._evaluate(step)
        return None

    def _after(self, step: int) -> str | None:
        schedule = self._schedule
        if schedule.stats_due(step):
            self._report(step)
        if schedule.save_due(step):
            self._save(step)
        elif self._store is not None:
            self._store.tidy()
        return self._evaluate(step) if schedule.evaluation_due(step) else None

    def _report(self, step: int) -> None:
        metrics = self._window.close()
        updates = self._record.updates(step)  # the optimizer's schedule counts no others
        metrics["learning_rate"] = self._trainer.learning_rate(updates - 1)
        metrics["goodput"] = self._goodput.share()
        if "loss" not in metrics:
            return  # every batch since the last report was left out
        self._log.write(step, "train", metrics)
        self._tell_store(step, {"train": metrics})
        console.say(train_line(step, metrics))

    def _evaluate(self, step: int) -> str | None:
        self._window.settle()
        with self._account.spending("evaluate"):
            by_split: dict[str, Mapping[str, float]] = {}
            # many hosts must go through it together; one need not wait for its end to stop
            with self._cut_off_by_a_stop():
                for evaluation in self._evaluations:
                    by_split.update(evaluation(self._trainer, step))
            # all or none: a run killed before this evaluates again
            self._log.write_together(step, by_split)
            self._tell_store(step, by_split)
            for split, metrics in by_split.items():
                console.say(_evaluation_line(step, split, metrics))
            return self._consult(step, merge_by_task(by_split))

    def _tell_store(self, step: int, by_split: Mapping[str, Mapping[str, float]]) -> None:
        if self._store is not None:
            self._store.note_metrics(step, by_split)

    def _consult(self, step: int, by_task: Mapping[str, Mapping[str, float]]) -> str | None:
        """Why one of the actions wants training to end, or None."""
        reasons = [action.run(step, by_task) for action in self._actions]
        return next((reason for reason in reasons if reason), None)

    def _save(self, step: int) -> None:
        if self._store is None or self._saved_at == step:
            return
        self._window.settle()  # raises before a state that went bad is saved
        self._goodput.saved(step)
        with self._account.spending("save"):
            states.refuse_non_finite_params(self._trainer.train_state)
            self._store.save(self._trainer.train_state, self._position | self._guard_position())
        self._saved_at = step

    def _guard_position(self) -> dict[str, Any]:
        memory = self._trainer.guard_memory
        if memory is None and not self._record.bad:
            return {}
        saved = None if memory is None else memory.to_json()
        return {GUARD: {**self._record.to_json(), "memory": saved}}

    def _wait(self) -> None:
        if self._store is not None:
            with self._account.spending("save"):
                self._store.wait()


def _evaluation_line(step: int, split: str, metrics: Mapping[str, float]) -> str:
    parts = ("cross_ent_loss", "z_loss")  # of the loss: in the log, not on the screen
    shown = [f"{k} {v:.4f}" for k, v in metrics.items() if k not in parts][:_SHOWN]
    return f"  step {step:,} {split}: {'  '.join(shown)}"


def _stopped_text(reason: str, step: int, store: CheckpointStore | None) -> str:
    if store is None:
        return f"{reason} at step {step:,}; nothing was saved (CheckpointConfig.save is None)"
    return f"{reason} at step {step:,}, saved; the same command goes on from there"
