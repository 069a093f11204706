"""Projection to the vocabulary and cross-entropy in one, without ever holding all logits.

The logits of a batch are its largest array by far: 14,592 targets (128 rows of 114) and 32,128
words are 1.9 GB in float32, and as much again for their gradient. Here they are made for some
positions of all rows at a time, and turned into the loss and into the gradients of both factors at
once: no matrix product is done twice, and nothing of size targets x vocabulary outlives its part.
What is written for a part are the gradients, which the backward pass needs anyway.

Parts are cut along positions, not rows, so that every device keeps its own rows; the vocabulary may
be split over devices.

Suffixes of names give shapes; the legend is in `layers`. P: positions of a part.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from clinical_t5x.models import losses
from clinical_t5x.models.activations import LOGITS, constrain, device_count_of
from clinical_t5x.models.layers import vocabulary_logits


@dataclasses.dataclass(frozen=True)
class Projection:
    """How logits are made and judged.

    Attributes:
      vocab_dim: the table's dim that is the vocabulary: 0 for an embedding `[V, D]`, 1 for a kernel
        `[D, V]`.
      z_loss, label_smoothing: see `losses.cross_entropy_with_logits`.
      positions: of every row, done at once.
    """

    vocab_dim: int
    z_loss: float
    label_smoothing: float
    positions: int

    def lay_out(self, table: jax.Array, of_width: str) -> jax.Array:
        """Lay a table, or its gradient, out by the logical names of its dims."""
        axes = ("vocab", of_width)
        return constrain(table, axes if self.vocab_dim == 0 else axes[::-1])


class TargetLosses(NamedTuple):
    """Of every target, `[B, Q]` each: loss and z-loss part in nats, and whether it was likeliest.

    No gradient flows through them.
    """

    loss: jax.Array
    z_part: jax.Array
    correct: jax.Array


def weighted_cross_entropy(
    x_BQD,
    table,
    vocab_dim: int,
    targets_BQ,
    weights_BQ,
    *,
    z_loss: float = 0.0,
    label_smoothing: float = 0.0,
    mebibytes: float,
) -> tuple[jax.Array, TargetLosses]:
    """Weighted sum of the cross-entropy of targets: of all at once where their logits are small.

    Args:
      x_BQD: float32, the decoder's output.
      table: float32, what it is multiplied by to give logits.
      vocab_dim: see `Projection`.
      targets_BQ: int.
      weights_BQ: float32, of each target in the sum.
      z_loss: see `losses.cross_entropy_with_logits`.
      label_smoothing: see `losses.cross_entropy_with_logits`.
      mebibytes: of float32 logits on a device, above which they are made in parts.

    Returns:
      A scalar, and the parts of each target.
    """
    vocab_size = table.shape[vocab_dim]
    positions = positions_at_once(x_BQD, vocab_size, mebibytes)
    rule = Projection(vocab_dim, z_loss, label_smoothing, positions)
    if positions < targets_BQ.shape[1]:
        return projected_cross_entropy(rule, x_BQD, table, targets_BQ, weights_BQ)
    logits_BQV = constrain(vocabulary_logits(x_BQD, table, vocab_dim), LOGITS)
    loss_BQ, z_part_BQ = losses.cross_entropy_with_logits(
        logits_BQV, targets_BQ, z_loss, label_smoothing
    )
    correct_BQ = jnp.argmax(logits_BQV, axis=-1) == targets_BQ
    return jnp.sum(loss_BQ * weights_BQ), TargetLosses(loss_BQ, z_part_BQ, correct_BQ)


def positions_at_once(x_BQD: jax.Array, vocab_size: int, mebibytes: float) -> int:
    """Positions of every row whose float32 logits take so many MiB on a device; at least 1."""
    batch, length = x_BQD.shape[:2]
    if not isinstance(batch, int):
        return length  # a program that is exported for any number of rows
    each = 4 * batch * vocab_size / device_count_of(x_BQD)
    most = min(length, max(1, int(mebibytes * 2**20 / each)))
    parts = -(-length // most)
    return -(-length // parts)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def projected_cross_entropy(
    rule: Projection, x_BQD, table, targets_BQ, weights_BQ
) -> tuple[jax.Array, TargetLosses]:
    """Weighted sum of the cross-entropy of targets, whose logits are `x_BQD` times `table`.

    Equal to `losses.cross_entropy_with_logits` of all logits, up to the order of float32 sums.

    Args:
      rule: how the logits are made and judged.
      x_BQD: float32, the decoder's output.
      table: float32, what it is multiplied by.
      targets_BQ: int.
      weights_BQ: float32, of each target in the sum.

    Returns:
      A scalar, and the parts of each target.
    """

    table = rule.lay_out(table, "whole_embed")

    def one_part(carry, part):
        x_BPD, targets_BP, _ = part
        return carry, _judge(rule, x_BPD, table, targets_BP)[0]

    parts = _parts(rule.positions, x_BQD, targets_BQ, weights_BQ)
    _, judged = jax.lax.scan(one_part, None, parts)
    return _summed(judged, targets_BQ, weights_BQ)


def _forward(rule, x_BQD, table, targets_BQ, weights_BQ):
    """The loss; and its gradients, which are known as soon as the logits are."""
    # Who does not train the table (adapters) pays nothing for its gradient.
    wanted = table.perturbed
    x_BQD, table, targets_BQ, weights_BQ = (
        primal.value for primal in (x_BQD, table, targets_BQ, weights_BQ)
    )
    nothing = rule.lay_out(jnp.zeros_like(table), "embed") if wanted else None
    # Where devices keep parts of it, it is put together once, and not once a part.
    table = rule.lay_out(table, "whole_embed")

    def one_part(of_table, part):
        x_BPD, targets_BP, weights_BP = part
        judged, residuals = _judge(rule, x_BPD, table, targets_BP)
        slope_BPV, _ = losses.cross_entropy_backward(
            rule.z_loss, rule.label_smoothing, residuals, (weights_BP, None)
        )
        slope_BPV = constrain(slope_BPV, LOGITS)
        of_x_BPD = jax.lax.dot_general(slope_BPV, table, (((2,), (rule.vocab_dim,)), ((), ())))
        if wanted:
            of_part = rule.lay_out(_of_table(rule, x_BPD, slope_BPV), "embed")
            of_table = of_table + of_part
        return of_table, (judged, of_x_BPD)

    parts = _parts(rule.positions, x_BQD, targets_BQ, weights_BQ)
    of_table, (judged, of_x) = jax.lax.scan(one_part, nothing, parts)
    total, of_targets = _summed(judged, targets_BQ, weights_BQ)
    of_x_BQD = _joined(of_x, x_BQD.shape[1])
    return (total, of_targets), (of_x_BQD, of_table, of_targets.loss)


def _backward(rule, gradients, cotangents):
    of_total = cotangents[0]
    of_x_BQD, of_table, of_weights_BQ = gradients
    of_table = None if of_table is None else of_total * of_table
    return of_total * of_x_BQD, of_table, None, of_total * of_weights_BQ


projected_cross_entropy.defvjp(_forward, _backward, symbolic_zeros=True)


def _judge(rule: Projection, x_BPD, table, targets_BP):
    """Losses of one part, and what their gradient needs (its logits among it)."""
    logits_BPV = constrain(vocabulary_logits(x_BPD, table, rule.vocab_dim), LOGITS)
    (loss_BP, z_part_BP), residuals = losses.cross_entropy_forward(
        logits_BPV, targets_BP, rule.z_loss, rule.label_smoothing
    )
    correct_BP = jnp.argmax(logits_BPV, axis=-1) == targets_BP
    return TargetLosses(loss_BP, z_part_BP, correct_BP), residuals


def _of_table(rule: Projection, x_BPD, slope_BPV) -> jax.Array:
    factors = (slope_BPV, x_BPD) if rule.vocab_dim == 0 else (x_BPD, slope_BPV)
    flat = [factor.reshape(-1, factor.shape[-1]) for factor in factors]
    return jax.lax.dot_general(*flat, (((0,), (0,)), ((), ())))


def _parts(positions: int, *arrays: jax.Array) -> list[jax.Array]:
    """`[B, Q, ...]` to `[parts, B, P, ...]`, filled up with zeros (which weigh nothing)."""
    parts = []
    for array in arrays:
        batch, length, *rest = array.shape
        fill = [(0, 0), (0, -length % positions)] + [(0, 0)] * len(rest)
        filled = jnp.pad(array, fill)
        parts.append(filled.reshape(batch, -1, positions, *rest).swapaxes(0, 1))
    return parts


def _joined(parts: jax.Array, length: int) -> jax.Array:
    """Undo `_parts`: `[parts, B, P, ...]` to `[B, Q, ...]`."""
    count, batch, positions, *rest = parts.shape
    return parts.swapaxes(0, 1).reshape(batch, count * positions, *rest)[:, :length]


def _summed(judged: TargetLosses, targets_BQ, weights_BQ) -> tuple[jax.Array, TargetLosses]:
    of_targets = jax.tree.map(lambda part: _joined(part, targets_BQ.shape[1]), judged)
    return jnp.sum(of_targets.loss * weights_BQ), of_targets
