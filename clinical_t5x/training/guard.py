"""What a run does about a loss that is not finite, or that leaps.

A batch is judged inside the jitted update, by its own loss and gradient and by those of the batches
before it, so that every device and every host comes to the same verdict, and a resumed run to the
same as an undisturbed one: what the verdict depends on is saved with every checkpoint. The update
of a bad batch is never applied; what happens then is the policy's.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.training.settings import check_count

STOP, SKIP, ROLL_BACK = "stop", "skip", "roll_back"

# Names, among a step's metric sums, of what was found about its batch.
BAD, LOSS, NORM = "guard_bad", "guard_loss", "guard_gradient_norm"
USUAL_LOSS, USUAL_NORM = "guard_usual_loss", "guard_usual_gradient_norm"


class NonFiniteLossError(FloatingPointError):
    """The loss is not a number any more; nothing was saved after it."""


class LossSpikeError(FloatingPointError):
    """The loss or the gradient leapt and the guard's policy is to stop, or there was no end."""


class RollBack(Exception):  # noqa: N818 - not an error: the loop goes back and on
    """A bad batch was found, and the run is to go back before it.

    Args:
      step: Updates made with it.
      values: What was found about it, for the log.
    """

    def __init__(self, step: int, values: Mapping[str, Any]):
        super().__init__(f"bad batch at step {step}")
        self.step, self.values = step, values


def refuse_non_finite(step: int, loss: float) -> None:
    """Stop a run whose loss is NaN or infinite.

    Raises:
      NonFiniteLossError: naming the step and what to try.
    """
    if not math.isfinite(loss):
        raise NonFiniteLossError(
            f"the loss at step {step} is {loss}: training stopped, the checkpoints before it are "
            "kept. Try a lower learning rate (create_learning_rate_scheduler.base_learning_rate), "
            "a longer warm-up, dtype = 'float32', or guard.LossGuard.policy = 'skip'"
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GuardMemory:
    """What batches are judged by; the oldest entries come first.

    Attributes:
      losses: Loss per target token of the last good batches, float32 [window].
      norms: Norm of their gradients, float32 [window].
      seen: Good batches so far, int32 scalar; nothing is a leap before the window is full.
    """

    losses: jax.Array
    norms: jax.Array
    seen: jax.Array

    def to_json(self) -> dict[str, Any]:
        """As JSON values, exactly."""
        found = jax.device_get(self)
        return {
            "losses": found.losses.tolist(),
            "norms": found.norms.tolist(),
            "seen": int(found.seen),
        }


@dataclasses.dataclass(frozen=True)
class Verdict:
    """About one batch; all are scalars.

    Attributes:
      bad: Whether its update must not be applied.
      loss: Nats per target token.
      norm: Of the gradient of the summed loss.
      usual_loss: Median of the window; 0 before it is full.
      usual_norm: Median of the window; 0 before it is full.
    """

    bad: jax.Array
    loss: jax.Array
    norm: jax.Array
    usual_loss: jax.Array
    usual_norm: jax.Array

    def metrics(self) -> dict[str, jax.Array]:
        """By the names of this module, float32."""
        return {
            BAD: self.bad.astype(jnp.float32),
            LOSS: self.loss,
            NORM: self.norm,
            USUAL_LOSS: self.usual_loss,
            USUAL_NORM: self.usual_norm,
        }


@dataclasses.dataclass(frozen=True)
class LossGuard:
    """Watches every batch of a run.

    A batch is bad when its loss, its gradient or its update is not finite; and, where a factor is
    given, when its loss or the norm of its gradient is more than `factor` times the median of the
    last `window` good batches. The median is used because the leaps that are to be found hardly
    move it. The gradient's norm leaps with the batch that is to blame, the loss perhaps only after
    it; a loss near zero, as when fine-tuning, may double without any harm.

    Attributes:
      policy: 'stop' ends the run. 'skip' leaves the batch out and goes on. 'roll_back' goes back to
        the newest checkpoint and, arriving at the batch again, leaves it out.
      loss_factor: See above; None looks for losses that are not finite only.
      gradient_factor: As `loss_factor`, of the gradient's norm.
      window: Good batches whose median is usual.
      batches: With 'roll_back', how many batches are left out: the bad one and those just before
        it, as far as they come after the checkpoint.
      limit: So many bad batches within `limit_steps` steps end the run.
      limit_steps: See `limit`.
    """

    policy: str = "stop"
    loss_factor: float | None = None
    gradient_factor: float | None = None
    window: int = 100
    batches: int = 1
    limit: int = 10
    limit_steps: int = 1000

    def __post_init__(self):
        if self.policy not in (STOP, SKIP, ROLL_BACK):
            raise UserError(f"LossGuard.policy = {self.policy!r}: choose stop, skip or roll_back")
        for name in ("loss_factor", "gradient_factor"):
            value = getattr(self, name)
            if value is not None and not value > 1:
                raise UserError(f"LossGuard.{name} = {value}: must be above 1, or None")
        for name in ("window", "batches", "limit", "limit_steps"):
            check_count(f"LossGuard.{name}", getattr(self, name), optional=False)

    @property
    def judges(self) -> bool:
        """Whether the update has to judge its batch; else reading the losses afterwards will do."""
        leaps = self.loss_factor is not None or self.gradient_factor is not None
        return self.policy != STOP or leaps

    def new_memory(self, saved: Mapping[str, Any] | None = None) -> GuardMemory:
        """The memory of a run's beginning, or the one that was saved.

        One of another window says nothing: the window fills anew.
        """
        if saved is None or len(saved["losses"]) != self.window:
            empty = np.zeros(self.window, np.float32)
            return GuardMemory(empty, empty, np.int32(0))
        losses, norms = (np.asarray(saved[name], np.float32) for name in ("losses", "norms"))
        return GuardMemory(losses, norms, np.int32(saved["seen"]))

    def judge(
        self, memory: GuardMemory, loss: jax.Array, norm: jax.Array, finite: jax.Array
    ) -> tuple[Verdict, GuardMemory]:
        """The verdict about a batch, and what is remembered after it.

        Args:
          memory: Of the batches before.
          loss: Of the batch, per target token.
          norm: Of its gradient.
          finite: Whether everything else about its update is.
        """
        full = memory.seen >= self.window
        usual_loss = jnp.where(full, jnp.median(memory.losses), 0.0)
        usual_norm = jnp.where(full, jnp.median(memory.norms), 0.0)
        bad = ~(finite & jnp.isfinite(loss) & jnp.isfinite(norm))
        if self.loss_factor is not None:
            bad |= full & (loss > self.loss_factor * usual_loss)
        if self.gradient_factor is not None:
            bad |= full & (norm > self.gradient_factor * usual_norm)

        def appended(values: jax.Array, value: jax.Array) -> jax.Array:
            return jnp.where(bad, values, jnp.append(values[1:], value))

        remembered = GuardMemory(
            appended(memory.losses, loss),
            appended(memory.norms, norm),
            memory.seen + (~bad).astype(jnp.int32),
        )
        return Verdict(bad, loss, norm, usual_loss, usual_norm), remembered


class GuardRecord:
    """Which batches of a run were bad and which were left out: part of every checkpoint.

    A batch is named by the number of updates after it, as steps are everywhere.

    Args:
      guard: The run's.
      saved: What `to_json` gave.
    """

    def __init__(self, guard: LossGuard, saved: Mapping[str, Any] | None = None):
        self._guard = guard
        self.bad: list[int] = list((saved or {}).get("bad", ()))
        self.skipped: list[int] = list((saved or {}).get("skipped", ()))

    def to_json(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"bad": self.bad, "skipped": self.skipped}

    def review(self, step: int, values: Mapping[str, float]) -> dict[str, Any] | None:
        """Look at what was found about the batch of a step.

        Args:
          step: Updates made with it.
          values: The step's metric sums.

        Returns:
          For the log: None for a good batch, else what was found.

        Raises:
          NonFiniteLossError: by policy 'stop'.
          LossSpikeError: by policy 'stop', or when the limit is passed.
        """
        if BAD not in values:
            refuse_non_finite(step, values["loss"])
            return None
        if not values[BAD]:
            return None
        if self._guard.policy == STOP:
            refuse_non_finite(step, values[LOSS])
            raise LossSpikeError(f"{_described(step, values)}: training stopped before its update")
        self.bad = sorted({*self.bad, step})
        recent = [bad for bad in self.bad if bad > step - self._guard.limit_steps]
        if len(recent) > self._guard.limit:
            raise LossSpikeError(
                f"{_described(step, values)}, and it is bad batch number {len(recent)} within "
                f"{self._guard.limit_steps:,} steps (LossGuard.limit = {self._guard.limit}): the "
                "data or the learning rate needs a look"
            )
        return _finite(values)

    def leave_out(self, step: int, *, after: int | None = None) -> list[int]:
        """Put on record which steps are left out because of a bad batch at `step`.

        Args:
          step: Of the bad batch.
          after: The checkpoint that the run went back to; None when it did not.
        """
        first = step if after is None else max(step - self._guard.batches, after) + 1
        steps = list(range(first, step + 1))
        self.skipped = sorted({*self.skipped, *steps})
        return steps

    def updates(self, step: int) -> int:
        """The step, less the batches before it that were left out."""
        return step - sum(skipped <= step for skipped in self.skipped)


def _described(step: int, values: Mapping[str, float]) -> str:
    return (
        f"the batch of step {step} has loss {values[LOSS]:.4g} (usually {values[USUAL_LOSS]:.4g}) "
        f"and gradient norm {values[NORM]:.4g} (usually {values[USUAL_NORM]:.4g})"
    )


def _finite(values: Mapping[str, float]) -> dict[str, Any]:
    """For JSON, which has no NaN: values that are not finite as text."""
    names = {LOSS: "loss", NORM: "gradient_norm"}
    names |= {USUAL_LOSS: "usual_loss", USUAL_NORM: "usual_gradient_norm"}
    found = {shown: values[name] for name, shown in names.items()}
    return {name: v if math.isfinite(v) else str(v) for name, v in found.items()}
