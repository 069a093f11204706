"""The parts of a T5 layer: dense, RMS norm, MLP, attention, relative position bias.

Shapes are said by the last letters of a name:
B batch, G decodes of one example (beams), Q query length, K key length, L cache length, D emb_dim,
H heads, F head_dim, J heads * head_dim, M mlp_dim, V vocabulary, N layers, R distances.

Each parameter carries its logical axis names under the metadata key `logical_axes`. (Not under
flax's own `sharding` key: flax applies that one eagerly and then demands a mesh.)
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers

from clinical_t5x.models.config import T5Config

NUM_BUCKETS = 32
MAX_DISTANCE = 128
NORM_EPSILON = 1e-6
# Added nowhere, only selected: finite, so that a fully masked row gives a uniform distribution, not
# NaN.
_MASKED = -1e10

_ACTIVATION_FUNCTIONS = {
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=True),
    "linear": lambda x: x,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
}


def parameter(key, initializer, shape, logical_axes) -> nnx.Param:
    """A float32 parameter with its logical axis names."""
    return nnx.Param(initializer(key, shape, jnp.float32), logical_axes=logical_axes)


def dropout(x: jax.Array, key: jax.Array | None, rate: float) -> jax.Array:
    """Zero a share `rate` of the units of `x`, the same units at every position of dim -2.

    T5 draws one mask a sequence, not one a position; besides, that is a length's fewer random
    numbers. No key: `x` as it is.
    """
    if key is None or rate == 0.0:
        return x
    shape = (*x.shape[:-2], 1, x.shape[-1])
    keep = jax.random.bernoulli(key, 1.0 - rate, shape)
    scale = jnp.where(keep, 1.0 / (1.0 - rate), 0.0).astype(x.dtype)
    return x * scale


def split_key(key: jax.Array | None, count: int) -> tuple[jax.Array | None, ...]:
    """`count` keys out of one, or as many None out of None (no dropout)."""
    return (None,) * count if key is None else tuple(jax.random.split(key, count))


class Dense(nnx.Module):
    """A linear map without bias; the kernel is `[in, out]`, computed in `dtype`."""

    def __init__(self, key, in_dim: int, out_dim: int, axes, initializer, dtype):
        self.kernel = parameter(key, initializer, (in_dim, out_dim), axes)
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map the last dim of `x`."""
        return jnp.dot(x.astype(self.dtype), self.kernel[...].astype(self.dtype))


class RMSNorm(nnx.Module):
    """T5's norm: scale by the root mean square; no mean taken off, no bias."""

    def __init__(self, config: T5Config):
        self.scale = parameter(None, initializers.ones, (config.emb_dim,), ("embed",))
        self.dtype = config.compute_dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Norm the last dim of `x`, in float32."""
        x = x.astype(jnp.float32)
        mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        normed = x * jax.lax.rsqrt(mean_square + NORM_EPSILON)
        return normed.astype(self.dtype) * self.scale[...].astype(self.dtype)


class MLP(nnx.Module):
    """T5's feed-forward block: one activation (1.0), or a product of several (gated, 1.1)."""

    def __init__(self, config: T5Config, rngs: nnx.Rngs):
        init = initializers.variance_scaling(1.0, "fan_in", "truncated_normal")
        dtype = config.compute_dtype
        gated = len(config.mlp_activations) > 1
        self.input_names = tuple(
            f"wi_{i}" if gated else "wi" for i in range(len(config.mlp_activations))
        )
        for name in self.input_names:
            shape = (config.emb_dim, config.mlp_dim)
            setattr(self, name, Dense(rngs.params(), *shape, ("embed", "mlp"), init, dtype))
        shape = (config.mlp_dim, config.emb_dim)
        self.wo = Dense(rngs.params(), *shape, ("mlp", "embed"), init, dtype)
        self.config = config

    def __call__(self, x: jax.Array, dropout_key: jax.Array | None = None) -> jax.Array:
        """Map the last dim of `x` to itself."""
        hidden = None
        for name, activation in zip(self.input_names, self.config.mlp_activations, strict=True):
            branch = _ACTIVATION_FUNCTIONS[activation](getattr(self, name)(x))
            hidden = branch if hidden is None else hidden * branch
        return self.wo(dropout(hidden, dropout_key, self.config.dropout_rate))


class Attention(nnx.Module):
    """Multi-head attention with T5's unscaled logits.

    T5 has no 1/sqrt(head_dim) on the logits: it is folded into the query's initialiser, which is
    the same thing under Adafactor's updates relative to a parameter's scale.
    """

    def __init__(self, config: T5Config, rngs: nnx.Rngs):
        self.config = config
        init = initializers.variance_scaling(1.0, "fan_in", "normal")
        joined = config.num_heads * config.head_dim

        def query_init(key, shape, dtype):
            return init(key, shape, dtype) / math.sqrt(config.head_dim)

        def project(initializer):
            shape = (config.emb_dim, joined)
            axes = ("embed", "joined_kv")
            return Dense(rngs.params(), *shape, axes, initializer, config.compute_dtype)

        self.query, self.key, self.value = project(query_init), project(init), project(init)
        self.out = Dense(
            rngs.params(),
            joined,
            config.emb_dim,
            ("joined_kv", "embed"),
            init,
            config.compute_dtype,
        )

    def heads(self, projected: jax.Array) -> jax.Array:
        """`[..., J]` to `[..., H, F]`."""
        return projected.reshape(*projected.shape[:-1], self.config.num_heads, -1)

    def __call__(self, x_BQD, memory_BKD, mask, bias_HQK=None, dropout_key=None) -> jax.Array:
        """Attend from `x` to `memory`, all positions at once.

        Args:
          x_BQD: what asks.
          memory_BKD: what is attended to (`x` itself in self-attention).
          mask: bool, True where attention is allowed, broadcastable to `[B, H, Q, K]`.
          bias_HQK: relative position bias, or None.
          dropout_key: key for dropout on the attention weights, or None.

        Returns:
          `[B, Q, D]`.
        """
        q_BQHF = self.heads(self.query(x_BQD))
        k_BKHF = self.heads(self.key(memory_BKD))
        v_BKHF = self.heads(self.value(memory_BKD))
        logits_BHQK = self._logits("bqhf,bkhf->bhqk", q_BQHF, k_BKHF)
        if bias_HQK is not None:
            logits_BHQK = logits_BHQK + bias_HQK[None]
        weights_BHQK = self._weights(logits_BHQK, mask)
        weights_BHQK = dropout(weights_BHQK, dropout_key, self.config.dropout_rate)
        mixed_BQHF = jnp.einsum("bhqk,bkhf->bqhf", weights_BHQK, v_BKHF)
        return self.out(mixed_BQHF.reshape(*mixed_BQHF.shape[:2], -1))

    def step_self(self, x_BGD, keys_BGHLF, values_BGHLF, index, bias_HL):
        """One position of self-attention against a cache; the new position is written into it.

        Args:
          x_BGD: the new position of each decode.
          keys_BGHLF: cached keys; positions from `index` on are not read.
          values_BGHLF: cached values.
          index: scalar, the new position.
          bias_HL: relative position bias of the new position to every cached one.

        Returns:
          `[B, G, D]`, keys, values.
        """
        new_key = self.heads(self.key(x_BGD))[:, :, :, None]
        new_value = self.heads(self.value(x_BGD))[:, :, :, None]
        keys_BGHLF = jax.lax.dynamic_update_slice_in_dim(keys_BGHLF, new_key, index, axis=3)
        values_BGHLF = jax.lax.dynamic_update_slice_in_dim(values_BGHLF, new_value, index, axis=3)
        q_BGHF = self.heads(self.query(x_BGD))
        logits_BGHL = self._logits("bghf,bghlf->bghl", q_BGHF, keys_BGHLF) + bias_HL
        written = jnp.arange(keys_BGHLF.shape[3]) <= index
        weights_BGHL = self._weights(logits_BGHL, written)
        mixed_BGHF = jnp.einsum("bghl,bghlf->bghf", weights_BGHL, values_BGHLF)
        return self.out(mixed_BGHF.reshape(*x_BGD.shape[:2], -1)), keys_BGHLF, values_BGHLF

    def project_memory(self, memory_BKD):
        """Keys and values of an encoded input, `[B, H, K, F]` each, as decoding reads them."""
        keys = self.heads(self.key(memory_BKD)).swapaxes(1, 2)
        values = self.heads(self.value(memory_BKD)).swapaxes(1, 2)
        return keys, values

    def step_cross(self, x_BGD, keys_BHKF, values_BHKF, mask_BK):
        """One position of cross-attention; the decodes of an example share its keys and values."""
        q_BGHF = self.heads(self.query(x_BGD))
        logits_BHGK = self._logits("bghf,bhkf->bhgk", q_BGHF, keys_BHKF)
        weights_BHGK = self._weights(logits_BHGK, mask_BK[:, None, None])
        mixed_BGHF = jnp.einsum("bhgk,bhkf->bghf", weights_BHGK, values_BHKF)
        return self.out(mixed_BGHF.reshape(*x_BGD.shape[:2], -1))

    def _logits(self, equation: str, queries, keys) -> jax.Array:
        if self.config.float32_attention_logits:
            queries, keys = queries.astype(jnp.float32), keys.astype(jnp.float32)
        return jnp.einsum(equation, queries, keys, preferred_element_type=jnp.float32)

    def _weights(self, logits, mask) -> jax.Array:
        """Softmax in float32 over the allowed positions, in the compute dtype."""
        weights = jax.nn.softmax(jnp.where(mask, logits, _MASKED), axis=-1)
        return weights.astype(self.config.compute_dtype)


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

    def __init__(self, config: T5Config, rngs: nnx.Rngs, *, bidirectional: bool):
        self.rel_embedding = parameter(
            rngs.params(),
            initializers.variance_scaling(1.0, "fan_avg", "uniform"),
            (config.num_heads, NUM_BUCKETS),
            ("heads", "relpos_buckets"),
        )
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
        flat = jnp.tile(row, (1, query_length))[:, : query_length * stride]
        return flat.reshape(-1, query_length, stride)[:, :, :key_length]

    def of_step(self, index: jax.Array, length: int) -> jax.Array:
        """Bias of position `index` to positions 0 to `length - 1`, `[H, L]`."""
        return self.of_distances(jnp.arange(length) - index)
