"""Multi-head attention: all positions at once for training, one at a time for decoding.

Suffixes of names give shapes; the legend is in `layers`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from clinical_t5x.models.attention_kernels import kernel_for
from clinical_t5x.models.cache import KeyValue
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.dropout import Site, dropout
from clinical_t5x.models.initial import with_variance
from clinical_t5x.models.layers import Dense, adapter_of, adapter_site

# Finite, so that a row with nothing to attend to gives a uniform distribution instead of NaN.
_MASKED = -1e10
_NOTHING_DROPPED = {"weights": None, "q": None, "k": None, "v": None, "o": None}


def masking(mask: jax.Array) -> jax.Array:
    """What is added to logits where attention is allowed (True), and where it is not."""
    return jnp.where(mask, 0.0, _MASKED)


@jax.custom_vjp
def _add_to_each(logits_BHQK: jax.Array, bias_HQK: jax.Array) -> jax.Array:
    """Logits with every example's share of the bias.

    The bias' gradient, a sum over B, is a product with ones: it is then done a layer at a time.
    """
    return logits_BHQK + bias_HQK


def _add_to_each_forward(logits_BHQK, bias_HQK):
    return logits_BHQK + bias_HQK, None


def _add_to_each_backward(_, gradient_BHQK):
    ones_B = jnp.ones(gradient_BHQK.shape[0])
    return gradient_BHQK, jnp.einsum("b,bhqk->hqk", ones_B, gradient_BHQK)


_add_to_each.defvjp(_add_to_each_forward, _add_to_each_backward)


class Attention(nnx.Module):
    """Multi-head attention with T5's unscaled logits.

    T5 has no 1/sqrt(head_dim) on the logits: it is folded into the query's initialiser, which is
    the same thing under Adafactor's updates relative to a parameter's scale.
    """

    def __init__(self, config: T5Config):
        self.config = config
        joined = config.num_heads * config.head_dim

        def project(target, variance):
            initial = with_variance("normal", variance)
            axes, adapter = ("embed", "joined_kv"), adapter_of(config, target)
            return Dense(config.emb_dim, joined, axes, initial, config.compute_dtype, adapter)

        self.query = project("q", 1 / (config.emb_dim * config.head_dim))
        self.key, self.value = (project(target, 1 / config.emb_dim) for target in ("k", "v"))
        self.out = Dense(
            joined,
            config.emb_dim,
            ("joined_kv", "embed"),
            with_variance("normal", 1 / joined),
            config.compute_dtype,
            adapter_of(config, "o"),
        )

    @staticmethod
    def sites(config: T5Config, length: int) -> dict[str, Any]:
        """Where attention to `length` positions drops; `__call__` takes the masks."""
        adapters = {target: adapter_site(config, target, config.emb_dim) for target in "qkv"}
        joined = config.num_heads * config.head_dim
        return {
            "weights": Site((config.num_heads, length), config.dropout_rate),
            **adapters,
            "o": adapter_site(config, "o", joined),
        }

    def heads(self, projected: jax.Array) -> jax.Array:
        """`[..., J]` to `[..., H, F]`."""
        return projected.reshape(*projected.shape[:-1], self.config.num_heads, -1)

    def __call__(self, x_BQD, memory_BKD, mask, bias_HQK=None, kept=None) -> jax.Array:
        """Attend from `x` to `memory`, all positions at once.

        Args:
          x_BQD: what asks.
          memory_BKD: what is attended to (`x` itself in self-attention).
          mask: bool, True where attention is allowed, broadcastable to `[B, H, Q, K]`.
          bias_HQK: relative position bias, or None.
          kept: masks of `sites` (the attention weights', and of adapters), None for no dropout.

        Returns:
          `[B, Q, D]`.
        """
        kept = kept or _NOTHING_DROPPED
        q_BQHF = self.heads(self.query(x_BQD, kept["q"]))
        k_BKHF = self.heads(self.key(memory_BKD, kept["k"]))
        v_BKHF = self.heads(self.value(memory_BKD, kept["v"]))
        v_BKHF = self._drop_keys(v_BKHF, kept["weights"])
        kernel = kernel_for(self.config, q_BQHF)
        if kernel is not None:
            mixed_BQHF = kernel(q_BQHF, k_BKHF, v_BKHF, bias_HQK, mask)
            return self.out(mixed_BQHF.reshape(*x_BQD.shape[:2], -1), kept["o"])
        # Laid out as the products read them, as in `project_memory`: on a CPU attention then takes
        # two thirds of the time; the plan of a step on a TPU is the same to the byte.
        q_BHQF, v_BHKF = q_BQHF.swapaxes(1, 2), v_BKHF.swapaxes(1, 2)
        k_BHFK = k_BKHF.transpose(0, 2, 3, 1)
        logits_BHQK = self._logits("bhqf,bhfk->bhqk", q_BHQF, k_BHFK)
        if bias_HQK is not None:
            logits_BHQK = _add_to_each(logits_BHQK, bias_HQK)
        weights_BHQK, totals_BHQ = self._unnormalised_weights(logits_BHQK + masking(mask))
        mixed_BHQF = jnp.einsum("bhqk,bhkf->bhqf", weights_BHQK, v_BHKF)
        return self._project_out(mixed_BHQF.swapaxes(1, 2), totals_BHQ.swapaxes(1, 2), kept["o"])

    def _drop_keys(self, v_BKHF, kept_BHK) -> jax.Array:
        """Dropout of the attention weights, done on the values.

        T5 draws one mask for all queries (see `dropout`): a key's weight is dropped everywhere or
        nowhere, and so its value may be dropped instead. The numbers are the same, and the array
        that is read and written is smaller by the queries' length over head_dim; and kernels that
        never write the weights need to know nothing of it.
        """
        kept = None if kept_BHK is None else kept_BHK.swapaxes(1, 2)[..., None]
        return dropout(v_BKHF, kept, self.config.dropout_rate)

    def step_self(self, x_BGD, past: KeyValue, index, added_BHGK):
        """One position of self-attention against a cache; the new position is written into it.

        Args:
          x_BGD: the new position of each decode.
          past: cached keys and values, K = L * G, as `DecodeCache.decoded` has them.
          index: scalar, the new position.
          added_BHGK: what is added to the logits: bias, and `masking` of what is not a decode's own
            past.

        Returns:
          `[B, G, D]`, and the cache with the new position.
        """
        num_decodes = x_BGD.shape[1]
        new = self.project_memory(x_BGD, num_decodes)
        past = past.written(new, index * num_decodes, num_decodes)
        return self.step(x_BGD, past, added_BHGK), past

    def project_memory(self, memory_BKD, num_decodes: int) -> KeyValue:
        """Keys and values for steps of decoding."""
        keys = self.heads(self.key(memory_BKD)).swapaxes(1, 2)
        values = self.heads(self.value(memory_BKD)).swapaxes(1, 2)
        return KeyValue.of(keys, values, num_decodes)

    def step(self, x_BGD, memory: KeyValue, added_BHGK):
        """One position of each decode; the decodes of an example share its keys and values."""
        q_BGHF = self.heads(self.query(x_BGD))
        keys = "bhkf" if x_BGD.shape[1] == 1 else "bhfk"
        logits_BHGK = self._logits(f"bghf,{keys}->bhgk", q_BGHF, memory.key) + added_BHGK
        weights_BHGK, totals_BHG = self._unnormalised_weights(logits_BHGK)
        mixed_BHGF = jnp.einsum("bhgk,bhkf->bhgf", weights_BHGK, memory.value)
        return self._project_out(mixed_BHGF.swapaxes(1, 2), totals_BHG.swapaxes(1, 2))

    def _logits(self, equation: str, queries, keys) -> jax.Array:
        if self.config.float32_attention_logits:
            queries, keys = queries.astype(jnp.float32), keys.astype(jnp.float32)
        return jnp.einsum(equation, queries, keys, preferred_element_type=jnp.float32)

    def _unnormalised_weights(self, logits) -> tuple[jax.Array, jax.Array]:
        """Numerator and denominator of the softmax of masked float32 logits.

        The division comes after the values are mixed: it is then one a head and query instead of
        one a key, forward and backward.
        """
        largest = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
        weights = jnp.exp(logits - largest)
        return weights.astype(self.config.compute_dtype), jnp.sum(weights, axis=-1)

    def _project_out(self, mixed, totals, kept=None) -> jax.Array:
        """Normalise `[..., H, F]` by `[..., H]`, join the heads and project to `[..., D]`."""
        mixed = (mixed / totals[..., None]).astype(mixed.dtype)
        return self.out(mixed.reshape(*mixed.shape[:-2], -1), kept)
