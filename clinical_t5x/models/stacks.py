"""Encoder and decoder: stacks of layers, unrolled or scanned by one flag.

Suffixes of names give shapes; the legend is in `layers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from clinical_t5x.models.activations import RESIDUAL, constrain
from clinical_t5x.models.attention import Attention, masking
from clinical_t5x.models.cache import DecodeCache, KeyValue, no_sources
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.dropout import Site, draw, dropout, of_layer
from clinical_t5x.models.initial import with_variance
from clinical_t5x.models.layers import MLP, Dense, RMSNorm
from clinical_t5x.models.position import RelativePositionBias


class EncoderLayer(nnx.Module):
    """Self-attention and MLP, each on the normed residual stream and added back to it."""

    def __init__(self, config: T5Config):
        self.pre_attention_layer_norm = RMSNorm(config)
        self.attention = Attention(config)
        self.pre_mlp_layer_norm = RMSNorm(config)
        self.mlp = MLP(config)
        self.rate = config.dropout_rate

    @staticmethod
    def sites(config: T5Config, length: int) -> dict[str, Any]:
        """Where it drops; `__call__` takes the masks."""
        return {
            "attention": Attention.sites(config, length),
            "attended": _residual(config),
            "mlp": MLP.sites(config),
            "mapped": _residual(config),
        }

    def __call__(self, x_BKD, kept, mask, bias_HKK) -> jax.Array:
        """Pass `[B, K, D]` through the layer; `kept` are masks of `sites`."""
        y = self.pre_attention_layer_norm(x_BKD)
        y = self.attention(y, y, mask, bias_HKK, kept["attention"])
        x_BKD = constrain(x_BKD + dropout(y, kept["attended"], self.rate), RESIDUAL)
        y = self.mlp(self.pre_mlp_layer_norm(x_BKD), kept["mlp"])
        return constrain(x_BKD + dropout(y, kept["mapped"], self.rate), RESIDUAL)


class DecoderLayer(nnx.Module):
    """Self-attention, attention to the encoded input, MLP, each added to the residual stream."""

    def __init__(self, config: T5Config):
        self.pre_self_attention_layer_norm = RMSNorm(config)
        self.self_attention = Attention(config)
        self.pre_cross_attention_layer_norm = RMSNorm(config)
        self.encoder_decoder_attention = Attention(config)
        self.pre_mlp_layer_norm = RMSNorm(config)
        self.mlp = MLP(config)
        self.rate = config.dropout_rate

    @staticmethod
    def sites(config: T5Config, length: int, memory_length: int) -> dict[str, Any]:
        """Where it drops; `__call__` takes the masks."""
        return {
            "self_attention": Attention.sites(config, length),
            "attended": _residual(config),
            "cross_attention": Attention.sites(config, memory_length),
            "attended_memory": _residual(config),
            "mlp": MLP.sites(config),
            "mapped": _residual(config),
        }

    def __call__(self, x_BQD, kept, encoded_BKD, self_mask, cross_mask, bias_HQQ) -> jax.Array:
        """Pass `[B, Q, D]` through the layer; `kept` are masks of `sites`."""
        y = self.pre_self_attention_layer_norm(x_BQD)
        y = self.self_attention(y, y, self_mask, bias_HQQ, kept["self_attention"])
        x_BQD = constrain(x_BQD + dropout(y, kept["attended"], self.rate), RESIDUAL)
        y = self.pre_cross_attention_layer_norm(x_BQD)
        y = self.encoder_decoder_attention(
            y, encoded_BKD, cross_mask, None, kept["cross_attention"]
        )
        x_BQD = constrain(x_BQD + dropout(y, kept["attended_memory"], self.rate), RESIDUAL)
        y = self.mlp(self.pre_mlp_layer_norm(x_BQD), kept["mlp"])
        return constrain(x_BQD + dropout(y, kept["mapped"], self.rate), RESIDUAL)

    def step(self, x_BGD, past: KeyValue, encoded: KeyValue, index, added_BHGK, masking_BHGK):
        """One position of every decode; returns `[B, G, D]` and the layer's new cache."""
        y = self.pre_self_attention_layer_norm(x_BGD)
        y, past = self.self_attention.step_self(y, past, index, added_BHGK)
        x_BGD = x_BGD + y
        y = self.pre_cross_attention_layer_norm(x_BGD)
        x_BGD = x_BGD + self.encoder_decoder_attention.step(y, encoded, masking_BHGK)
        return x_BGD + self.mlp(self.pre_mlp_layer_norm(x_BGD)), past


def _residual(config: T5Config) -> Site:
    """Units of the residual stream."""
    return Site((1, config.emb_dim), config.dropout_rate)


class Stack(nnx.Module):
    """A stack of like layers with the relative position bias that they share.

    Unrolled, the layers are attributes `layers_0`, `layers_1`, ...; scanned, one attribute `layers`
    whose arrays have a leading dim for the layer.
    """

    def __init__(self, config: T5Config, layer_type, count: int, *, causal: bool):
        self.config = config
        self.count = count
        self.relpos_bias = RelativePositionBias(config, bidirectional=not causal)
        if config.scan_layers:
            self.layers = nnx.vmap(lambda _: layer_type(config))(jnp.arange(count))
            return
        for i in range(count):
            setattr(self, f"layers_{i}", layer_type(config))

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
        saved = _is_product_with_weights if policy == "minimal" else None
        return jax.checkpoint(body, policy=saved, prevent_cse=not scanned)

    def masks(self, key: jax.Array | None, batch: int, sites: dict[str, Any]) -> tuple[Any, Any]:
        """What is dropped before, in and after the layers, by `key`; nothing without one.

        Args:
          key: of all of it.
          batch: examples, B.
          sites: where a layer drops.

        Returns:
          The masks around the layers, those of one more layer, and the layers' as `run` takes them,
          the same ones unrolled and scanned.
        """
        drawn = draw(key, batch, sites, self.count + 1)
        if self.config.scan_layers:
            layers = jax.tree.map(lambda mask: mask[:-1], drawn)
        else:
            layers = tuple(of_layer(drawn, i) for i in range(self.count))
        return of_layer(drawn, self.count), layers


def _is_product_with_weights(primitive: Any, *operands: Any, **parameters: Any) -> bool:
    """What remat policy "minimal" keeps: products that sum over something and have no batch axes.

    Attention's product with ones sums over nothing; it only repeats the position bias for each
    example. Kept, that would be B x H x Q x K numbers a layer, as many as the attention logits.
    """
    if not jax.checkpoint_policies.dots_with_no_batch_dims_saveable(
        primitive, *operands, **parameters
    ):
        return False
    (summed, _), _ = parameters["dimension_numbers"]
    return bool(summed)


class Encoder(Stack):
    """The encoder stack, its final norm and the dropouts around it."""

    def __init__(self, config: T5Config):
        super().__init__(config, EncoderLayer, config.num_encoder_layers, causal=False)
        self.encoder_norm = RMSNorm(config)

    def __call__(self, embedded_BKD, mask, dropout_key=None) -> jax.Array:
        """Encode `[B, K, D]` under a mask that broadcasts to `[B, H, K, K]`."""
        batch, length = embedded_BKD.shape[:2]
        sites = EncoderLayer.sites(self.config, length)
        around, layers = self.masks(dropout_key, batch, sites)
        x = dropout(embedded_BKD, around["attended"], self.config.dropout_rate)

        def step(layer, x, kept, mask, bias):
            return layer(x, kept, mask, bias), None

        bias_HKK = self.relpos_bias(length, length)
        x, _ = self.run(step, x, layers, mask, bias_HKK, remat=True)
        return dropout(self.encoder_norm(x), around["mapped"], self.config.dropout_rate)


class Decoder(Stack):
    """The decoder stack, its final norm, and the output projection where it is not tied."""

    def __init__(self, config: T5Config):
        super().__init__(config, DecoderLayer, config.num_decoder_layers, causal=True)
        self.decoder_norm = RMSNorm(config)
        if not config.logits_via_embedding:
            # Float32 whatever the compute dtype is: the loss is a difference of large logits.
            self.logits_dense = Dense(
                config.emb_dim,
                config.vocab_size,
                ("embed", "vocab"),
                with_variance("truncated_normal", 1 / config.emb_dim),
                jnp.dtype("float32"),
                None,
            )

    def __call__(self, embedded_BQD, encoded_BKD, self_mask, cross_mask, dropout_key=None):
        """Decode all positions, teacher-forced; returns `[B, Q, D]` before the projection."""
        batch, length = embedded_BQD.shape[:2]
        sites = DecoderLayer.sites(self.config, length, encoded_BKD.shape[1])
        around, layers = self.masks(dropout_key, batch, sites)
        x = dropout(embedded_BQD, around["attended"], self.config.dropout_rate)

        def step(layer, x, kept, encoded, self_mask, cross_mask, bias):
            return layer(x, kept, encoded, self_mask, cross_mask, bias), None

        shared = (encoded_BKD, self_mask, cross_mask, self.relpos_bias(length, length))
        x, _ = self.run(step, x, layers, *shared, remat=True)
        return dropout(self.decoder_norm(x), around["mapped"], self.config.dropout_rate)

    def init_cache(self, encoded_BKD, encoder_mask_BK, num_decodes: int, length: int):
        """An empty cache for `num_decodes` decodes of `length` positions of each example."""
        config = self.config
        batch = encoded_BKD.shape[0]

        def project(layer, encoded, _):
            attention = layer.encoder_decoder_attention
            return encoded, attention.project_memory(encoded, num_decodes)

        _, encoded = self.run(project, encoded_BKD)
        nothing_BHKF = jnp.zeros(
            (batch, config.num_heads, num_decodes * length, config.head_dim), config.compute_dtype
        )
        empty = KeyValue.of(nothing_BHKF, nothing_BHKF, num_decodes)
        if config.scan_layers:
            decoded = jax.tree.map(lambda array: jnp.stack([array] * self.count), empty)
        else:
            decoded = (empty,) * self.count
        return DecodeCache(
            jnp.zeros((), jnp.int32),
            no_sources(batch, num_decodes, length),
            decoded,
            encoded,
            encoder_mask_BK,
            config.scan_layers,
        )

    def step(self, embedded_BGD, cache: DecodeCache) -> tuple[jax.Array, DecodeCache]:
        """Decode one position of every decode; returns `[B, G, D]` and the cache after it."""
        bias_HL = self.relpos_bias.of_step(cache.index, cache.max_length)
        bias_HK = jnp.repeat(bias_HL, embedded_BGD.shape[1], axis=1)
        added_BHGK = bias_HK[:, None] + masking(cache.is_past())[:, None]
        masking_BHGK = masking(cache.encoder_mask)[:, None, None]

        def step(layer, x, layer_cache, *shared):
            return layer.step(x, *layer_cache, *shared)

        if self.config.scan_layers:
            per_layer = (cache.decoded, cache.encoded)
        else:
            per_layer = tuple(zip(cache.decoded, cache.encoded, strict=True))
        shared = (cache.index, added_BHGK, masking_BHGK)
        x, decoded = self.run(step, embedded_BGD, per_layer, *shared)
        return self.decoder_norm(x), cache.advance(decoded)
