"""Where a partitioner says how activations are laid out, without the model knowing of meshes."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import jax
from jax.sharding import AbstractMesh

RESIDUAL = ("batch", "length", "embed")
LOGITS = ("batch", "length", "vocab")

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


def mesh_of(x: jax.Array) -> AbstractMesh | None:
    """The mesh that an array or tracer is laid out over, or None."""
    mesh = jax.typeof(x).sharding.mesh
    return None if mesh.empty else mesh


def device_count_of(x: jax.Array) -> int:
    """Devices that share an array's work."""
    mesh = mesh_of(x)
    return 1 if mesh is None else mesh.size


def platform_of(x: jax.Array) -> str:
    """What a function of `x` is compiled for: "cpu", "gpu", "tpu".

    A mesh may be of devices that this machine has not, as when a run is planned.
    """
    mesh = mesh_of(x)
    device = None if mesh is None else mesh.abstract_device
    return jax.default_backend() if device is None else device.platform
