"""Where a partitioner says how activations are laid out, without the model knowing of meshes."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import jax

RESIDUAL = ("batch", "length", "embed")

_constraint: contextvars.ContextVar[Callable | None] = contextvars.ContextVar(
    "activation_constraint", default=None
)


def constrain(x: jax.Array, logical_axes: tuple[str, ...]) -> jax.Array:
    """Apply the constraint in force to an activation; without one, `x` as it is."""
    constraint = _constraint.get()
    return x if constraint is None else constraint(x, logical_axes)


@contextlib.contextmanager
def activation_constraint(constraint: Callable) -> Iterator[None]:
    """While a function is traced inside, pass activations through `constraint(x, logical_axes)`.

    Logical axes of activations: batch, length, embed, vocab.
    """
    token = _constraint.set(constraint)
    try:
        yield
    finally:
        _constraint.reset(token)
