"""Learning rates as products of named factors, in T5X's language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from clinical_t5x.console import UserError
from clinical_t5x.training.settings import check_count, check_number

LearningRateFn = Callable[[int | jax.Array], jax.Array]


def _check_counts(least: int, **settings: Any) -> None:
    for name, value in settings.items():
        check_count(f"create_learning_rate_scheduler.{name}", value, least=least, optional=False)


def _check_numbers(**settings: Any) -> None:
    for name, value in settings.items():
        check_number(f"create_learning_rate_scheduler.{name}", value)


def create_learning_rate_scheduler(
    factors: str = "constant * linear_warmup * rsqrt_decay",
    base_learning_rate: float = 0.5,
    warmup_steps: int = 1000,
    decay_factor: float = 0.5,
    steps_per_decay: int = 20000,
    steps_per_cycle: int = 100000,
    step_offset: int = 0,
    min_learning_rate: float = 1e-8,
) -> LearningRateFn:
    """A function from the step (0 at the first update) to the learning rate.

    Args:
      factors: Names joined by `*`: constant, linear_warmup, linear_decay, rsqrt_decay,
        rsqrt_normalized_decay, decay_every, cosine_decay.
      base_learning_rate: The constant.
      warmup_steps: Length of the warm-up, 0 for none; also where rsqrt_decay, linear_decay and
        cosine_decay begin.
      decay_factor: Per decay for decay_every, slope per step for linear_decay.
      steps_per_decay: Period of decay_every.
      steps_per_cycle: Period of cosine_decay.
      step_offset: The step that counts as 0.
      min_learning_rate: The learning rate never goes below it.

    Raises:
      UserError: for a factor that is none of these, or a number that cannot be meant.
    """
    _check_counts(0, warmup_steps=warmup_steps)
    _check_counts(1, steps_per_decay=steps_per_decay, steps_per_cycle=steps_per_cycle)
    _check_numbers(
        base_learning_rate=base_learning_rate,
        decay_factor=decay_factor,
        min_learning_rate=min_learning_rate,
    )
    first_full = max(warmup_steps, 1)  # without a warm-up the first step is as the second

    def constant(step):
        return base_learning_rate

    def linear_warmup(step):
        return jnp.where(step < warmup_steps, step / first_full, 1.0)

    def linear_decay(step):
        falling = 1.0 + decay_factor * (warmup_steps - step)
        return base_learning_rate * jnp.minimum(linear_warmup(step), falling)

    def rsqrt_decay(step):
        return 1.0 / jnp.sqrt(jnp.maximum(step, first_full))

    def rsqrt_normalized_decay(step):
        return jnp.sqrt(first_full / jnp.maximum(step, first_full))

    def decay_every(step):
        return decay_factor ** (step // steps_per_decay)

    def cosine_decay(step):
        cycles = jnp.maximum(0.0, (step - warmup_steps) / steps_per_cycle)
        return jnp.maximum(0.0, 0.5 * (1.0 + jnp.cos(jnp.pi * (cycles % 1.0))))

    known = {
        function.__name__: function
        for function in (
            constant,
            linear_warmup,
            linear_decay,
            rsqrt_decay,
            rsqrt_normalized_decay,
            decay_every,
            cosine_decay,
        )
    }
    names = [name.strip() for name in factors.split("*")]
    for name in names:
        if name not in known:
            raise UserError(
                f"create_learning_rate_scheduler.factors: unknown factor {name!r}; choose from "
                + ", ".join(known)
            )

    def learning_rate(step: int | jax.Array) -> jax.Array:
        since = jnp.maximum(0.0, jnp.asarray(step, jnp.float32) - step_offset)
        rate = jnp.float32(1.0)
        for name in names:
            rate = rate * known[name](since)
        return jnp.maximum(rate, min_learning_rate).astype(jnp.float32)

    return learning_rate
