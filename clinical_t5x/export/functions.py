"""A model's prediction and scoring as functions of parameters and token ids, ready for export.

Legend: B examples, I and T tokens of inputs and targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from clinical_t5x.console import UserError

# A program for these is one artifact that runs on any of them.
PLATFORMS = ("cpu", "cuda", "tpu")

MODES = ("predict", "score")


@dataclasses.dataclass(frozen=True)
class Lengths:
    """Tokens a row holds, and rows of a batch; None leaves the rows open."""

    inputs: int
    targets: int
    batch_size: int | None


def predict_function(model: Any) -> Callable[..., dict[str, jax.Array]]:
    """`(params, inputs [B, I], targets [B, T]) -> {tokens [B, T], scores [B]}`.

    The ids of `targets` are not read, only their number: it is the length limit.
    """

    def predict(params: Any, inputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        batch = {
            "encoder_input_tokens": inputs,
            "decoder_input_tokens": jnp.zeros_like(targets),
        }
        tokens, aux = model.predict_batch_with_aux(params, batch)
        best = {"tokens": tokens, "scores": aux["scores"]}
        if best["tokens"].ndim == 3:  # gin asked for all decodes: the best is the last
            best = {name: value[:, -1] for name, value in best.items()}
        return best

    return predict


def score_function(model: Any) -> Callable[..., dict[str, jax.Array]]:
    """`(params, inputs [B, I], targets [B, T]) -> {scores [B]}`: log-likelihoods in nats."""

    def score(params: Any, inputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        batch = {
            "encoder_input_tokens": inputs,
            "decoder_input_tokens": jnp.pad(targets, ((0, 0), (1, 0)))[:, :-1],
            "decoder_target_tokens": targets,
            "decoder_loss_weights": (targets != 0).astype(jnp.int32),
        }
        return {"scores": model.score_batch(params, batch)}

    return score


FUNCTIONS = {"predict": predict_function, "score": score_function}


def export_function(
    function: Callable[..., Any], params: Any, lengths: Lengths, platforms: tuple[str, ...]
) -> jax_export.Exported:
    """Lower a function of (params, inputs, targets) to StableHLO.

    Args:
      function: One of `FUNCTIONS`, made for a model.
      params: Arrays or their shapes: the exported program takes them as arguments.
      lengths: Of the token arrays; without a batch size the program takes any number of rows.
      platforms: What it may run on.

    Raises:
      UserError: when the program cannot be made for an open number of rows.
    """
    rows: Any = lengths.batch_size
    if rows is None:
        (rows,) = jax_export.symbolic_shape("batch")
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
    inputs = jax.ShapeDtypeStruct((rows, lengths.inputs), np.int32)
    targets = jax.ShapeDtypeStruct((rows, lengths.targets), np.int32)
    try:
        return jax_export.export(jax.jit(function), platforms=platforms)(shapes, inputs, targets)
    except (ValueError, NotImplementedError, TypeError) as error:
        if lengths.batch_size is not None:
            raise
        raise UserError(
            "BATCH_SIZE = None: this program cannot be made for any number of rows "
            f"({str(error).splitlines()[0]}); give BATCH_SIZE a number"
        ) from error


def flat_parameters(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dict of parameters as `{"decoder/layers_0/...": array}`."""
    flat: dict[str, Any] = {}
    for name, value in params.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= flat_parameters(value, f"{path}/")
        else:
            flat[path] = value
    return flat
