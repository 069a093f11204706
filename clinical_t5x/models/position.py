"""T5's relative position bias: a number a head for each bucket of distances.

Suffixes of names give shapes; the legend is in `layers`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx

from clinical_t5x.models.config import T5Config
from clinical_t5x.models.initial import with_variance
from clinical_t5x.models.layers import parameter

NUM_BUCKETS = 32
MAX_DISTANCE = 128


def relative_position_bucket(
    relative_position: jax.Array, *, bidirectional: bool, num_buckets=NUM_BUCKETS
) -> jax.Array:
    """Bucket of a distance (key minus query position): exact when near, logarithmic when far.

    T5 paper, section 2.1: half of the buckets hold one distance each, the other half widen
    logarithmically up to 128, beyond which all distances share the last. The encoder halves the
    buckets between the two directions; the decoder looks back only.

    Args:
      relative_position: int array of any shape.
      bidirectional: True for the encoder.
      num_buckets: 32 in every T5.

    Returns:
      Bucket numbers of the same shape, int32.
    """
    if bidirectional:
        num_buckets //= 2
        offset = num_buckets * (relative_position > 0).astype(jnp.int32)
        distance = jnp.abs(relative_position)
    else:
        offset = 0
        distance = jnp.maximum(-relative_position, 0)
    exact = num_buckets // 2
    far = jnp.maximum(distance, 1).astype(jnp.float32) / exact
    # The tiny addend keeps distances that are a bucket's lower edge on the right side of rounding.
    growth = jnp.log(far + jnp.finfo(jnp.float32).eps) / math.log(MAX_DISTANCE / exact)
    logarithmic = exact + (growth * (num_buckets - exact)).astype(jnp.int32)
    logarithmic = jnp.minimum(logarithmic, num_buckets - 1)
    return offset + jnp.where(distance < exact, distance, logarithmic).astype(jnp.int32)


class RelativePositionBias(nnx.Module):
    """Bias on attention logits by bucketed distance, shared by the layers of a stack.

    Only differences of positions enter. Segments of a packed row are contiguous, so that distances
    inside a segment are the same whether positions restart or run on; the segment mask hides the
    rest.
    """

    def __init__(self, config: T5Config, *, bidirectional: bool):
        shape = (config.num_heads, NUM_BUCKETS)
        initial = with_variance("uniform", 2 / sum(shape))
        self.rel_embedding = parameter(initial, shape, ("heads", "relpos_buckets"))
        self.bidirectional = bidirectional

    def of_distances(self, distances_R: jax.Array) -> jax.Array:
        """Bias of each distance, `[H, R]` in float32."""
        buckets_R = relative_position_bucket(distances_R, bidirectional=self.bidirectional)
        # A product with a one-hot matrix, because the gradient of a gather is a slow scatter.
        one_hot_TR = jax.nn.one_hot(buckets_R, NUM_BUCKETS, axis=0, dtype=jnp.float32)
        return self.rel_embedding[...] @ one_hot_TR

    def __call__(self, query_length: int, key_length: int) -> jax.Array:
        """Bias of every pair of positions, `[H, Q, K]` in float32."""
        # There are only Q + K - 1 distances: look those up, then lay the row out once a query, each
        # time shifted by one. A flat repetition of the row (with one filler) read at a stride that
        # is one short does the shifting, and its gradient is a plain sum.
        forward = jnp.arange(key_length)
        backward = jnp.arange(1 - query_length, 0)
        bias_HR = self.of_distances(jnp.concatenate([forward, backward]))
        filler = jnp.zeros((bias_HR.shape[0], 1), bias_HR.dtype)
        row = jnp.concatenate([bias_HR[:, :key_length], filler, bias_HR[:, key_length:]], axis=1)
        stride = query_length + key_length - 1
        # A product with ones, as its gradient is one too: on a CPU faster than summing a broadcast.
        repeated = jnp.einsum("q,hr->hqr", jnp.ones(query_length), row)
        flat = repeated.reshape(row.shape[0], -1)[:, : query_length * stride]
        return flat.reshape(-1, query_length, stride)[:, :, :key_length]

    def of_step(self, index: jax.Array, length: int) -> jax.Array:
        """Bias of position `index` to positions 0 to `length - 1`, `[H, L]`."""
        return self.of_distances(jnp.arange(length) - index)
