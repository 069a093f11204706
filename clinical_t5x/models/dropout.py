"""Dropout: what a stack of layers drops is drawn in one go.

T5 draws one mask a sequence, the same at every position: few numbers, but many masks. Every random
draw is a program of its own for the compiler, and one for each mask made up most of the time that a
training step took to compile. So a module says where it drops (a tree of `Site`s), the stack draws
all masks of all its layers at once, and hands each layer its own.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from clinical_t5x.models.activations import constrain

DRAWN = ("layers", "batch", "units")


@dataclasses.dataclass(frozen=True)
class Site:
    """One place where units are dropped.

    Attributes:
      shape: of an example's mask; broadcasts against what it is applied to.
      rate: share that is dropped.
    """

    shape: tuple[int, ...]
    rate: float


def draw(key: jax.Array | None, batch: int, sites: Any, layers: int = 1) -> Any:
    """Which units are kept, for all sites of all layers.

    Args:
      key: of the draw, or None for no dropout.
      batch: examples, B.
      sites: a tree of `Site`s and Nones, the same for each layer.
      layers: how many layers, N.

    Returns:
      The tree of sites with bool arrays `[N, B, *shape]` in place of the sites, or None where
      nothing is dropped.
    """
    if key is None:
        return jax.tree.map(lambda _: None, sites)
    places, structure = jax.tree.flatten(jax.tree.map(lambda s: s if s.rate else None, sites))
    if not places:
        return jax.tree.unflatten(structure, [])
    widths = [math.prod(site.shape) for site in places]
    rates = {site.rate for site in places}
    rate = rates.pop() if len(rates) == 1 else np.repeat([s.rate for s in places], widths)

    def of_one(key: jax.Array) -> jax.Array:
        return jax.random.uniform(key, (batch, sum(widths))) >= jnp.asarray(rate, jnp.float32)

    # A loop, because a compiler does not copy the draw into everything that reads a mask then.
    keep = jax.lax.map(of_one, jax.random.split(key, layers))
    parts = jnp.split(constrain(keep, DRAWN), np.cumsum(widths)[:-1], axis=-1)
    masks = [
        part.reshape(layers, batch, *site.shape) for part, site in zip(parts, places, strict=True)
    ]
    return jax.tree.unflatten(structure, masks)


def of_layer(masks: Any, layer: int) -> Any:
    """The masks of one layer, `[B, *shape]`."""
    return jax.tree.map(lambda mask: mask[layer], masks)


def dropout(x: jax.Array, kept: jax.Array | None, rate: float) -> jax.Array:
    """Zero the units of `x` that are not kept and scale up the others; no mask: `x` as it is."""
    if kept is None:
        return x
    return x * jnp.where(kept, 1.0 / (1.0 - rate), 0.0).astype(x.dtype)
