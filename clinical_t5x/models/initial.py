"""How parameters begin: declared one by one, drawn by a few programs.

A module declares each parameter with its `Initial`; `draw` makes the numbers of a whole network.
Compiled as one program, the draws of a small network took longer than its training step, since
the compiler takes a fraction of a second for each. So each distribution and shape has one compiled
program, which draws all parameters of that kind in turn, each straight into its place.

The numbers of a parameter depend on the key, the parameter's name and its layer, and on nothing
else: layers scanned or unrolled, adapters or none, one device or many, they are the same.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import zlib
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

Path = tuple[str, ...]

_TRUNCATED_AT = 2.0
_STDDEV_OF_TRUNCATED = 0.87962566103423978
_LAYER = re.compile(r"layers_(\d+)")


def _truncated_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jax.random.truncated_normal(key, -_TRUNCATED_AT, _TRUNCATED_AT, shape)


def _uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jax.random.uniform(key, shape, minval=-1.0)


_DISTRIBUTIONS: Mapping[str, Callable[[jax.Array, tuple[int, ...]], jax.Array]] = {
    "normal": jax.random.normal,
    "truncated_normal": _truncated_normal,
    "uniform": _uniform,
}
_VARIANCES = {"normal": 1.0, "truncated_normal": _STDDEV_OF_TRUNCATED**2, "uniform": 1 / 3}


@dataclasses.dataclass(frozen=True)
class Initial:
    """`scale` times numbers of a distribution, or, of no distribution, `scale` everywhere.

    Attributes:
      scale: factor.
      distribution: "normal", "truncated_normal" (at two), "uniform" (from -1 to 1), or None.
    """

    scale: float
    distribution: str | None = None


ONES, ZEROS = Initial(1.0), Initial(0.0)


def with_variance(distribution: str, variance: float) -> Initial:
    """Random numbers of mean 0 and this variance."""
    return Initial(math.sqrt(variance / _VARIANCES[distribution]), distribution)


@dataclasses.dataclass(frozen=True)
class Declared:
    """A parameter to be.

    Attributes:
      initial: how it begins.
      shape: of the whole array.
      stacked: whether dim 0 counts layers.
      sharding: where it shall lie; None leaves it to JAX.
    """

    initial: Initial
    shape: tuple[int, ...]
    stacked: bool
    sharding: Sharding | None = None


def draw(key: jax.Array, declared: Mapping[Path, Declared]) -> dict[Path, jax.Array]:
    """Float32 arrays for all parameters of a network, by path, a pure function of the key."""
    return {path: _draw_one(key, path, one) for path, one in declared.items()}


def _draw_one(key: jax.Array, path: Path, declared: Declared) -> jax.Array:
    initial = declared.initial
    program = _program(initial.distribution, declared.shape, declared.stacked, declared.sharding)
    name, layer = _seed(path)
    return program(key, name, layer, np.float32(initial.scale))


@functools.cache
def _program(
    distribution: str | None, shape: tuple[int, ...], stacked: bool, sharding: Sharding | None
) -> Callable[..., jax.Array]:
    """What draws every parameter of one kind: (key, name, layer, scale) -> array."""

    def one_layer(key, name, layer, scale):
        own_key = jax.random.fold_in(jax.random.fold_in(key, name), layer)
        return scale * _DISTRIBUTIONS[distribution](own_key, shape[1:] if stacked else shape)

    def program(key, name, layer, scale):
        if distribution is None:
            return jnp.full(shape, scale, jnp.float32)
        if not stacked:
            return one_layer(key, name, layer, scale)
        layers = jnp.arange(shape[0], dtype=jnp.uint32)
        return jax.lax.map(lambda i: one_layer(key, name, i, scale), layers)

    return jax.jit(program, out_shardings=sharding)


def _seed(path: Path) -> tuple[np.uint32, np.uint32]:
    """Numbers of a parameter's name and of its layer; stacked layers begin with 0."""
    layer, names = 0, []
    for name in path:
        found = _LAYER.fullmatch(name)
        layer = int(found[1]) if found else layer
        names.append("layers" if found else name)
    return np.uint32(zlib.crc32("/".join(names).encode("utf-8"))), np.uint32(layer)
