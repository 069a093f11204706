"""Cross-entropy with z-loss and label smoothing, normalised by T5X's conventions."""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp


@enum.unique
class SpecialLossNormalizingFactor(enum.Enum):
    """Divisors of the loss that depend on the batch, under T5X's names.

    NUM_REAL_TARGET_TOKENS: the sum of the loss weights (non-padding target tokens).
    NUM_TOTAL_TARGET_TOKENS: all target positions, padding included.
    AVERAGE_PER_SEQUENCE: the mean over sequences (or packed segments) of each one's mean loss.
    """

    NUM_REAL_TARGET_TOKENS = 1
    NUM_TOTAL_TARGET_TOKENS = 2
    AVERAGE_PER_SEQUENCE = 3


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def cross_entropy_with_logits(
    logits: jax.Array, targets: jax.Array, z_loss: float = 0.0, label_smoothing: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy of each target, in nats, plus `z_loss * log(Z)**2`.

    z-loss (T5X, Mesh TensorFlow) keeps logits from drifting away from log-probabilities. With label
    smoothing the entropy of the smoothed target is taken off, so that a perfect prediction costs 0.

    The gradient is written out because it needs only the logits and log(Z) from the forward pass,
    neither a one-hot target nor the log-probabilities.

    Args:
      logits: float32 `[..., V]`.
      targets: int `[...]`.
      z_loss: coefficient of the auxiliary term.
      label_smoothing: probability mass taken from the target and spread over the other classes.

    Returns:
      The loss with its z-loss part, and the z-loss part alone, `[...]` each. No gradient flows
      through the second.
    """
    return cross_entropy_forward(logits, targets, z_loss, label_smoothing)[0]


def _smoothing(vocab_size: int, label_smoothing: float) -> tuple[float, float, float]:
    """The target's probability, every other class's, and the entropy of that distribution."""
    high = 1.0 - label_smoothing
    low = label_smoothing / (vocab_size - 1)
    entropy = -(high * math.log(high) + (vocab_size - 1) * low * math.log(low + 1e-20))
    return high, low, entropy


def _is_target(logits, targets):
    """One-hot as a comparison that fuses into its use (and needs no gather on a sharded dim)."""
    return (
        jax.lax.broadcasted_iota(targets.dtype, logits.shape, logits.ndim - 1) == targets[..., None]
    )


def cross_entropy_forward(logits, targets, z_loss: float, label_smoothing: float):
    """`cross_entropy_with_logits`, and what `cross_entropy_backward` needs of it."""
    high, low, entropy = _smoothing(logits.shape[-1], label_smoothing)
    log_z = jax.nn.logsumexp(logits, axis=-1)
    expected = (high - low) * jnp.sum(logits, axis=-1, where=_is_target(logits, targets))
    if label_smoothing:
        expected = expected + low * jnp.sum(logits, axis=-1)
    z_part = z_loss * jnp.square(log_z)
    return (log_z - expected - entropy + z_part, z_part), (logits, targets, log_z)


def cross_entropy_backward(z_loss: float, label_smoothing: float, residuals, cotangents):
    """Gradient by the logits, given those by the two results (the second is not used)."""
    logits, targets, log_z = residuals
    high, low, _ = _smoothing(logits.shape[-1], label_smoothing)
    of_loss = cotangents[0][..., None]
    probability = jnp.exp(logits - log_z[..., None])
    slope = probability * (1.0 + 2.0 * z_loss * log_z)[..., None]
    wanted = jnp.where(_is_target(logits, targets), high, low)
    return (of_loss * (slope - wanted)).astype(logits.dtype), None


cross_entropy_with_logits.defvjp(cross_entropy_forward, cross_entropy_backward)


def target_weights(batch: Mapping[str, jax.Array]) -> jax.Array:
    """Loss weight of each target, float32 `[B, Q]`; 0 at padding if the batch gives none."""
    weights = batch.get("decoder_loss_weights")
    if weights is None:
        weights = batch["decoder_target_tokens"] > 0
    return jnp.asarray(weights, jnp.float32)


def normalizing_factor_and_weights(factor, batch: Mapping[str, jax.Array]):
    """The number to divide the summed loss by, and the weights of the positions in that sum.

    Args:
      factor: None (the plain sum), a number, or a `SpecialLossNormalizingFactor` or its name.
      batch: features of the step.

    Returns:
      A scalar and float32 weights `[B, Q]`.
    """
    weights = target_weights(batch)
    if factor is None:
        return 1.0, weights
    if isinstance(factor, str):
        factor = parse_normalizing_factor(factor)
    if not isinstance(factor, SpecialLossNormalizingFactor):
        return factor, weights
    if factor is SpecialLossNormalizingFactor.NUM_REAL_TARGET_TOKENS:
        return jnp.sum(weights), weights
    if factor is SpecialLossNormalizingFactor.NUM_TOTAL_TARGET_TOKENS:
        return weights.size, weights
    totals = _sequence_totals(weights, batch.get("decoder_segment_ids"))
    weights = jnp.where(totals > 0, weights / jnp.maximum(totals, 1e-30), 0.0)
    return jnp.sum(weights), weights


def parse_normalizing_factor(name: str) -> SpecialLossNormalizingFactor:
    """The special factor of that name, in any case of letters."""
    try:
        return SpecialLossNormalizingFactor[name.upper()]
    except KeyError:
        known = ", ".join(member.name for member in SpecialLossNormalizingFactor)
        raise ValueError(
            f"loss_normalizing_factor is {name!r}; it must be None, a number, or one of {known}"
        ) from None


def _sequence_totals(weights_BQ, segment_ids_BQ):
    """At each position the summed weight of its sequence: of its segment where rows are packed."""
    if segment_ids_BQ is None:
        return jnp.sum(weights_BQ, axis=-1, keepdims=True)
    same_BQQ = segment_ids_BQ[:, :, None] == segment_ids_BQ[:, None, :]
    totals = jnp.einsum("bqp,bp->bq", same_BQQ.astype(jnp.float32), weights_BQ)
    return jnp.where(segment_ids_BQ > 0, totals, 0.0)
