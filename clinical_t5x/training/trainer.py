"""The trainer: a model, its optimizer and its mesh, compiled."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import jax

from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import hosts
from clinical_t5x.training import state as states
from clinical_t5x.training.guard import GuardMemory, LossGuard
from clinical_t5x.training.optimizer import bind_optimizer
from clinical_t5x.training.schedule import LearningRateFn
from clinical_t5x.training.step import make_eval_step, make_guarded_step, make_train_step


class Trainer:
    """Holds the training state and the compiled functions that act on it.

    T5X's constructor; gin binds `learning_rate_fn` and `num_microbatches`, `train` gives the rest.

    Args:
      model: An EncoderDecoderModel (or what has its functions).
      train_state: The state, or None until `train_state` is set.
      partitioner: The mesh and rules.
      eval_names: Names of the evaluation tasks; kept for actions.
      summary_dir: MODEL_DIR; kept for actions.
      train_state_axes: Accepted for T5X's sake: the axes are derived from model and optimizer.
      rng: Key from which every step's dropout key is derived.
      learning_rate_fn: From step to learning rate.
      num_microbatches: Parts that a batch is cut into to save memory; None or 0 for one.
      weight_metrics_computer: Accepted for T5X's sake; ignored.
      loss_guard: What is done about a batch whose loss leaps; default: a loss that is not finite
        ends the run. Not T5X's.
      first_step: The step at which this run's optimizer memory begins.
    """

    def __init__(
        self,
        model: Any,
        train_state: states.TrainState | None,
        partitioner: PjitPartitioner,
        eval_names: tuple[str, ...],
        summary_dir: str | None,
        train_state_axes: Any,
        rng: jax.Array,
        learning_rate_fn: LearningRateFn,
        num_microbatches: int | None,
        weight_metrics_computer: Any = None,
        *,
        loss_guard: LossGuard | None = None,
        first_step: int = 0,
    ):
        self.model, self.partitioner = model, partitioner
        self.eval_names, self.summary_dir = tuple(eval_names), summary_dir
        self.learning_rate_fn = learning_rate_fn
        self.train_state = train_state
        self.compile_seconds: float | None = None
        self._rng = rng

        def since_first_step(updates: jax.Array) -> jax.Array:
            # the optimizer counts its own updates; schedules speak of the model's steps
            return learning_rate_fn(updates + first_step)

        self.optimizer = bind_optimizer(
            model.optimizer_def,
            since_first_step,
            states.abstract_params(model),
            model.logical_axes(),
            first_step=first_step,
        )
        self.abstract_state = states.abstract_state(model, self.optimizer, partitioner)
        self.guard = loss_guard or LossGuard()
        self.guard_memory: GuardMemory | None = None
        parts = (model, self.optimizer, partitioner, self.abstract_state)
        if self.guard.judges:
            self.remember(None)
            self._step = make_guarded_step(*parts, self.guard, num_microbatches=num_microbatches)
        else:
            self._step = make_train_step(*parts, num_microbatches=num_microbatches)
        self._stop_flags: dict[bool, jax.Array] = {}
        self._compiled: Any = None
        self._eval_step = make_eval_step(model, partitioner)

    def init_state(self, rng: jax.Array) -> None:
        """Begin from random parameters."""
        self.train_state = states.init_state(self.model, self.optimizer, self.abstract_state, rng)

    def state_from_params(self, params: Any, step: int) -> None:
        """Begin from given parameters with a new optimizer memory."""
        self.train_state = states.state_from_params(
            params, self.optimizer, self.abstract_state, step
        )

    def remember(self, saved: Mapping[str, Any] | None) -> None:
        """Set the guard's memory: the one that was saved, or a new one."""
        if self.guard.judges:
            memory = self.guard.new_memory(saved)
            self.guard_memory = jax.device_put(memory, self.partitioner.replicated)

    def lower(self, batch: Mapping[str, jax.Array]) -> Any:
        """The update for batches like this one, traced and not yet compiled."""
        return self._step.lower(self.abstract_state, *self._further(batch, stop=False))

    def compile(self, batch: Mapping[str, jax.Array]) -> Any:
        """Compile the update for batches like this one, timed; the compiled function."""
        begun = time.monotonic()
        self._compiled = self.lower(batch).compile()
        self.compile_seconds = time.monotonic() - begun
        return self._compiled

    def _further(self, batch: Mapping[str, jax.Array], *, stop: bool) -> tuple[Any, ...]:
        """What the update takes besides the state."""
        if jax.process_count() > 1:
            if stop not in self._stop_flags:
                self._stop_flags[stop] = hosts.stop_flags(self.partitioner.mesh, stop)
            batch = {**batch, hosts.STOP: self._stop_flags[stop]}
        memory = (self.guard_memory,) if self.guard.judges else ()
        return (*memory, batch, self._rng)

    def train_step(
        self, batch: Mapping[str, jax.Array], *, stop: bool = False
    ) -> dict[str, jax.Array]:
        """One update; returns metric sums that may still be on their way.

        Args:
          batch: Placed features.
          stop: Whether this process was asked to stop; with several, the sum over their devices is
            among the metric sums of all (`hosts.STOP`).
        """
        if self._compiled is None:
            self.compile(batch)
        self.train_state, *memory, sums = self._compiled(
            self.train_state, *self._further(batch, stop=stop)
        )
        if memory:
            (self.guard_memory,) = memory
        return sums

    def skip_step(self) -> None:
        """Count a step whose batch is left out; everything else stays as it is."""
        state = self.train_state
        self.train_state = dataclasses.replace(state, step=_next(state.step))

    def eval_step(self, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Metric sums of one batch, without an update."""
        return self._eval_step(self.train_state.params, batch)

    def learning_rate(self, step: int) -> float:
        """The learning rate of the update after `step` updates."""
        return float(self.learning_rate_fn(step))


@jax.jit
def _next(step: jax.Array) -> jax.Array:
    return step + 1
