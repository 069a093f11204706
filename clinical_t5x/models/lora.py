"""Low-rank adapters (LoRA): which arrays they are, and how they become part of the kernels.

An adapted map computes `x W + (alpha / rank) x A B` with W `[in, out]` as it was, A `[in, rank]`
and B `[rank, out]` (Hu et al. 2021, arXiv 2106.09685, where B A is our A B transposed). B begins
at zero, so that an adapted model begins as the model it adapts. Only A and B are trained. They lie
in the tree of parameters beside the kernel that they adapt, as `lora_a` and `lora_b`, with the
layers' dim first where layers are stacked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from clinical_t5x.models.config import T5Config

A, B = "lora_a", "lora_b"

_FIELDS = ("lora_rank", "lora_alpha", "lora_targets")

Params = Mapping[str, Any]


def split(params: Params) -> tuple[Params, Params]:
    """What is trained, and what stays as it is: adapters and the rest, or everything and nothing.

    Args:
      params: a tree of parameters, or of anything that stands in their places.
    """
    if not isinstance(params, Mapping):  # a model of someone's own
        return params, {}
    adapters = _filtered(params, lambda name: name in (A, B))
    return (adapters, without(params)) if adapters else (params, {})


def without(params: Params) -> Params:
    """The parameters without adapters, nothing added to the kernels."""
    return _filtered(params, lambda name: name not in (A, B))


def join(trained: Params, kept: Params) -> Params:
    """Undo `split`."""
    if not kept:
        return trained
    joined = dict(kept)
    for name, value in trained.items():
        both = isinstance(value, Mapping) and name in kept
        joined[name] = join(value, kept[name]) if both else value
    return joined


def scale(config: T5Config) -> float:
    """What A B is multiplied by."""
    return config.lora_alpha / config.lora_rank


def merged(params: Params, config: T5Config) -> Params:
    """The parameters of the same function without adapters: kernels W + scale A B, float32.

    Args:
      params: of a model of this configuration.
      config: names rank and alpha.
    """
    if A in params:
        product = scale(config) * jnp.matmul(
            params[A].astype(jnp.float32),
            params[B].astype(jnp.float32),
            precision=jax.lax.Precision.HIGHEST,
        )
        kernel = params["kernel"]
        return {"kernel": (kernel.astype(jnp.float32) + product).astype(kernel.dtype)}
    return {
        name: merged(value, config) if isinstance(value, Mapping) else value
        for name, value in params.items()
    }


def description(config: T5Config) -> dict[str, Any] | None:
    """What must be kept with adapters for them to be read again, as JSON; None without any."""
    if not config.lora_rank:
        return None
    values = {name: getattr(config, name) for name in _FIELDS}
    return values | {"lora_targets": sorted(config.lora_targets)}


def with_adapters(config: T5Config, described: Mapping[str, Any] | None) -> T5Config:
    """The configuration with the adapters of a `description`, or with none."""
    if described is None:
        return dataclasses.replace(config, lora_rank=0)
    return dataclasses.replace(config, **{name: described[name] for name in _FIELDS})


def _filtered(params: Params, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """The entries whose own name is wanted, without branches that become empty."""
    kept = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            branch = _filtered(value, wanted)
            if branch:
                kept[name] = branch
        elif wanted(name):
            kept[name] = value
    return kept
