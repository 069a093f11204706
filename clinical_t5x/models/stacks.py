"""Encoder and decoder: stacks of layers, unrolled or scanned by one flag.

Suffixes of names give shapes; the legend is in `layers`.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers

from clinical_t5x.models.activations import RESIDUAL, constrain
from clinical_t5x.models.attention import Attention
from clinical_t5x.models.cache import DecodeCache, KeyValue
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.layers import MLP, Dense, RMSNorm, dropout, split_key
from clinical_t5x.models.position import RelativePositionBias


class EncoderLayer(nnx.Module):
    """Self-attention and MLP, each on the normed residual stream and added back to it."""

    def __init__(self, config: T5Config, rngs: nnx.Rngs):
        self.pre_attention_layer_norm = RMSNorm(config)
        self.attention = Attention(config, rngs)
        self.pre_mlp_layer_norm = RMSNorm(config)
        self.mlp = MLP(config, rngs)
        self.rate = config.dropout_rate

    def __call__(self, x_BKD, key, mask, bias_HKK) -> jax.Array:
        """Pass `[B, K, D]` through the layer; `key` is a dropout key or None."""
        attention_key, first_key, mlp_key, second_key = split_key(key, 4)
        y = self.pre_attention_layer_norm(x_BKD)
        y = self.attention(y, y, mask, bias_HKK, attention_key)
        x_BKD = constrain(x_BKD + dropout(y, first_key, self.rate), RESIDUAL)
        y = self.mlp(self.pre_mlp_layer_norm(x_BKD), mlp_key)
        return constrain(x_BKD + dropout(y, second_key, self.rate), RESIDUAL)


class DecoderLayer(nnx.Module):
    """Self-attention, attention to the encoded input, MLP, each added to the residual stream."""

    def __init__(self, config: T5Config, rngs: nnx.Rngs):
        self.pre_self_attention_layer_norm = RMSNorm(config)
        self.self_attention = Attention(config, rngs)
        self.pre_cross_attention_layer_norm = RMSNorm(config)
        self.encoder_decoder_attention = Attention(config, rngs)
        self.pre_mlp_layer_norm = RMSNorm(config)
        self.mlp = MLP(config, rngs)
        self.rate = config.dropout_rate

    def __call__(self, x_BQD, key, encoded_BKD, self_mask, cross_mask, bias_HQQ) -> jax.Array:
        """Pass `[B, Q, D]` through the layer; `key` is a dropout key or None."""
        self_key, first_key, cross_key, second_key, mlp_key, third_key = split_key(key, 6)
        y = self.pre_self_attention_layer_norm(x_BQD)
        y = self.self_attention(y, y, self_mask, bias_HQQ, self_key)
        x_BQD = constrain(x_BQD + dropout(y, first_key, self.rate), RESIDUAL)
        y = self.pre_cross_attention_layer_norm(x_BQD)
        y = self.encoder_decoder_attention(y, encoded_BKD, cross_mask, None, cross_key)
        x_BQD = constrain(x_BQD + dropout(y, second_key, self.rate), RESIDUAL)
        y = self.mlp(self.pre_mlp_layer_norm(x_BQD), mlp_key)
        return constrain(x_BQD + dropout(y, third_key, self.rate), RESIDUAL)

    def step(self, x_BGD, decoded: KeyValue, encoded: KeyValue, cache: DecodeCache, bias_HL):
        """One position of every decode; returns `[B, G, D]` and the layer's new cache."""
        y = self.pre_self_attention_layer_norm(x_BGD)
        y, keys, values = self.self_attention.step_self(
            y, decoded.key, decoded.value, cache.index, bias_HL
        )
        x_BGD = x_BGD + y
        y = self.pre_cross_attention_layer_norm(x_BGD)
        x_BGD = x_BGD + self.encoder_decoder_attention.step_cross(
            y, encoded.key, encoded.value, cache.encoder_mask
        )
        return x_BGD + self.mlp(self.pre_mlp_layer_norm(x_BGD)), KeyValue(keys, values)


class Stack(nnx.Module):
    """A stack of like layers with the relative position bias that they share.

    Unrolled, the layers are attributes `layers_0`, `layers_1`, ...; scanned, one attribute `layers`
    whose arrays have a leading dim for the layer. Both draw the same initial numbers.
    """

    def __init__(self, config: T5Config, rngs: nnx.Rngs, layer_type, count: int, *, causal: bool):
        self.config = config
        self.count = count
        self.relpos_bias = RelativePositionBias(config, rngs, bidirectional=not causal)
        keys = jax.random.split(rngs.params(), count)
        stacked = nnx.vmap(lambda key: layer_type(config, nnx.Rngs(key)))(keys)
        if config.scan_layers:
            self.layers = stacked
            return
        # Drawn together and then taken apart: that compiles in the time of one layer.
        graph, state = nnx.split(stacked)
        for i in range(count):
            layer = jax.tree.map(lambda array, i=i: array[i], state)
            setattr(self, f"layers_{i}", nnx.merge(graph, layer))

    def run(self, step: Callable, x, per_layer=None, *shared, remat: bool = False):
        """Pass `x` through all layers in turn.

        Args:
          step: `(layer, x, one_layers_input, *shared) -> (x, one_layers_output)`.
          x: what flows through the layers.
          per_layer: a sequence of inputs, one a layer (unrolled), or the same stacked (scanned).
          *shared: arrays that every layer reads.
          remat: recompute in the backward pass what the configuration's policy does not keep.

        Returns:
          `x` after the last layer, and the layers' outputs as a tuple or stacked.
        """
        if self.config.scan_layers:
            graph, state = nnx.split(self.layers)
            body = self._body(graph, step, remat=remat, scanned=True)

            def scan_body(x, inputs):
                return body(inputs[0], x, inputs[1], *shared)

            return jax.lax.scan(scan_body, x, (state, per_layer), length=self.count)
        outputs = []
        for i in range(self.count):
            graph, state = nnx.split(getattr(self, f"layers_{i}"))
            body = self._body(graph, step, remat=remat, scanned=False)
            x, output = body(state, x, None if per_layer is None else per_layer[i], *shared)
            outputs.append(output)
        return x, tuple(outputs)

    def _body(self, graph, step, *, remat: bool, scanned: bool):
        def body(state, x, inputs, *shared):
            return step(nnx.merge(graph, state), x, inputs, *shared)

        policy = self.config.remat_policy
        if not remat or policy == "none":
            return body
        saved = None
        if policy == "minimal":
            saved = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
        return jax.checkpoint(body, policy=saved, prevent_cse=not scanned)

    def layer_keys(self, key):
        """A dropout key for each layer (the same ones unrolled and scanned), or None."""
        return None if key is None else jax.random.split(key, self.count)


class Encoder(Stack):
    """The encoder stack, its final norm and the dropouts around it."""

    def __init__(self, config: T5Config, rngs: nnx.Rngs):
        super().__init__(config, rngs, EncoderLayer, config.num_encoder_layers, causal=False)
        self.encoder_norm = RMSNorm(config)

    def __call__(self, embedded_BKD, mask, dropout_key=None) -> jax.Array:
        """Encode `[B, K, D]` under a mask that broadcasts to `[B, H, K, K]`."""
        first_key, layers_key, last_key = split_key(dropout_key, 3)
        length = embedded_BKD.shape[1]
        x = dropout(embedded_BKD, first_key, self.config.dropout_rate)

        def step(layer, x, key, mask, bias):
            return layer(x, key, mask, bias), None

        bias_HKK = self.relpos_bias(length, length)
        x, _ = self.run(step, x, self.layer_keys(layers_key), mask, bias_HKK, remat=True)
        return dropout(self.encoder_norm(x), last_key, self.config.dropout_rate)


class Decoder(Stack):
    """The decoder stack, its final norm, and the output projection where it is not tied."""

    def __init__(self, config: T5Config, rngs: nnx.Rngs):
        super().__init__(config, rngs, DecoderLayer, config.num_decoder_layers, causal=True)
        self.decoder_norm = RMSNorm(config)
        if not config.logits_via_embedding:
            # Float32 whatever the compute dtype is: the loss is a difference of large logits.
            self.logits_dense = Dense(
                rngs.params(),
                config.emb_dim,
                config.vocab_size,
                ("embed", "vocab"),
                initializers.variance_scaling(1.0, "fan_in", "truncated_normal"),
                jnp.dtype("float32"),
                None,
            )

    def __call__(self, embedded_BQD, encoded_BKD, self_mask, cross_mask, dropout_key=None):
        """Decode all positions, teacher-forced; returns `[B, Q, D]` before the projection."""
        first_key, layers_key, last_key = split_key(dropout_key, 3)
        length = embedded_BQD.shape[1]
        x = dropout(embedded_BQD, first_key, self.config.dropout_rate)

        def step(layer, x, key, encoded, self_mask, cross_mask, bias):
            return layer(x, key, encoded, self_mask, cross_mask, bias), None

        shared = (encoded_BKD, self_mask, cross_mask, self.relpos_bias(length, length))
        x, _ = self.run(step, x, self.layer_keys(layers_key), *shared, remat=True)
        return dropout(self.decoder_norm(x), last_key, self.config.dropout_rate)

    def init_cache(self, encoded_BKD, encoder_mask_BK, num_decodes: int, length: int):
        """An empty cache for `num_decodes` decodes of `length` positions of each example."""
        config = self.config
        batch = encoded_BKD.shape[0]

        def project(layer, encoded, _):
            keys, values = layer.encoder_decoder_attention.project_memory(encoded)
            return encoded, KeyValue(keys, values)

        _, encoded = self.run(project, encoded_BKD)
        shape = (batch, num_decodes, config.num_heads, length, config.head_dim)
        if config.scan_layers:
            empty = jnp.zeros((self.count, *shape), config.compute_dtype)
            decoded = KeyValue(empty, empty)
        else:
            empty = jnp.zeros(shape, config.compute_dtype)
            decoded = (KeyValue(empty, empty),) * self.count
        return DecodeCache(
            jnp.zeros((), jnp.int32), decoded, encoded, encoder_mask_BK, config.scan_layers
        )

    def step(self, embedded_BGD, cache: DecodeCache) -> tuple[jax.Array, DecodeCache]:
        """Decode one position of every decode; returns `[B, G, D]` and the cache after it."""
        bias_HL = self.relpos_bias.of_step(cache.index, cache.max_length)

        def step(layer, x, layer_cache, cache, bias):
            return layer.step(x, *layer_cache, cache, bias)

        if self.config.scan_layers:
            per_layer = (cache.decoded, cache.encoded)
        else:
            per_layer = tuple(zip(cache.decoded, cache.encoded, strict=True))
        x, decoded = self.run(step, embedded_BGD, per_layer, cache, bias_HL)
        return self.decoder_norm(x), cache.advance(decoded)
