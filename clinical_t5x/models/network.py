"""T5: one network for 1.0 and 1.1, teacher-forced or decoding step by step.

Suffixes of names give shapes; the legend is in `layers`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx

from clinical_t5x.models.activations import LOGITS, RESIDUAL, constrain
from clinical_t5x.models.cache import DecodeCache
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.layers import (
    TokenEmbedder,
    vocabulary_logits,
    vocabulary_logits_of_few,
)
from clinical_t5x.models.stacks import Decoder, Encoder


class T5(nnx.Module):
    """An encoder-decoder T5, 1.0 or 1.1 by its configuration.

    Parameters have T5X's names: `token_embedder/embedding`,
    `encoder/layers_0/attention/query/kernel`, ... Kernels are 2-D with the heads folded.
    """

    def __init__(self, config: T5Config):
        self.config = config
        self.token_embedder = TokenEmbedder(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, tokens_BK, segment_ids_BK=None, dropout_key=None) -> jax.Array:
        """Encode token ids; 0 is padding, which nothing attends to.

        Args:
          tokens_BK: int `[B, K]`.
          segment_ids_BK: int `[B, K]` for packed rows: attention stays inside a segment.
          dropout_key: a key, or None for no dropout.

        Returns:
          `[B, K, D]` in the compute dtype.
        """
        embedded = constrain(self.token_embedder(tokens_BK), RESIDUAL)
        mask = attention_mask(None, tokens_BK > 0, segment_ids_BK, segment_ids_BK)
        return self.encoder(embedded, mask, dropout_key)

    def decode(
        self,
        encoded_BKD,
        encoder_tokens_BK,
        decoder_input_tokens_BQ,
        encoder_segment_ids=None,
        decoder_segment_ids=None,
        dropout_key=None,
    ) -> jax.Array:
        """Float32 logits `[B, Q, V]` of every target position, given the targets before it."""
        x = self.decode_to_width(
            encoded_BKD,
            encoder_tokens_BK,
            decoder_input_tokens_BQ,
            encoder_segment_ids,
            decoder_segment_ids,
            dropout_key,
        )
        return constrain(self.logits(x), LOGITS)

    def decode_to_width(
        self,
        encoded_BKD,
        encoder_tokens_BK,
        decoder_input_tokens_BQ,
        encoder_segment_ids=None,
        decoder_segment_ids=None,
        dropout_key=None,
    ) -> jax.Array:
        """What `logits` projects to the vocabulary: `[B, Q, D]` of every target position.

        Padding after the targets needs no mask: attention looks back only.
        """
        embedded = constrain(self.token_embedder(decoder_input_tokens_BQ), RESIDUAL)
        length = decoder_input_tokens_BQ.shape[1]
        causal = jnp.tril(jnp.ones((length, length), bool))
        self_mask = attention_mask(causal, None, decoder_segment_ids, decoder_segment_ids)
        cross_mask = attention_mask(
            None, encoder_tokens_BK > 0, decoder_segment_ids, encoder_segment_ids
        )
        return self.decoder(embedded, encoded_BKD, self_mask, cross_mask, dropout_key)

    def decode_side_by_side(
        self, encoded_BKD, encoder_tokens_BK, decoder_input_tokens_BQ, target_ids_BQ
    ) -> jax.Array:
        """`decode_to_width` of several targets of each input, one after another in a row.

        Args:
          encoded_BKD: the inputs, encoded.
          encoder_tokens_BK: int `[B, K]`.
          decoder_input_tokens_BQ: int `[B, Q]`, each target shifted right on its own.
          target_ids_BQ: int `[B, Q]`, equal for the positions of one target: each target sees
            itself alone, and the whole input.
        """
        embedded = constrain(self.token_embedder(decoder_input_tokens_BQ), RESIDUAL)
        length = decoder_input_tokens_BQ.shape[1]
        causal = jnp.tril(jnp.ones((length, length), bool))
        self_mask = attention_mask(causal, None, target_ids_BQ, target_ids_BQ)
        cross_mask = attention_mask(None, encoder_tokens_BK > 0)
        return self.decoder(embedded, encoded_BKD, self_mask, cross_mask)

    def logits(self, x: jax.Array) -> jax.Array:
        """Project `[..., D]` to `[..., V]` in float32."""
        return vocabulary_logits(*self.logit_factors(x))

    def logit_factors(self, x: jax.Array) -> tuple[jax.Array, jax.Array, int]:
        """What logits are a product of, in float32.

        Returns:
          `x` `[..., D]`; the table, an embedding `[V, D]` or a kernel `[D, V]`; and the number of
          its dim that is the vocabulary.
        """
        x = x.astype(jnp.float32)
        if not self.config.logits_via_embedding:
            return x, self.decoder.logits_dense.kernel[...], 1
        # T5 1.0 rescales, because the embedding's unit variance would make the tied logits too
        # large.
        return x / math.sqrt(self.config.emb_dim), self.token_embedder.embedding[...], 0

    def init_cache(self, tokens_BK, *, num_decodes: int, max_length: int) -> DecodeCache:
        """Encode token ids and return the cache from which their decoding starts."""
        encoded = self.encode(tokens_BK)
        return self.decoder.init_cache(encoded, tokens_BK > 0, num_decodes, max_length)

    def decode_step(self, tokens_BG, cache: DecodeCache) -> tuple[jax.Array, DecodeCache]:
        """Feed each decode's last token; returns float32 logits `[B, G, V]` and the next cache."""
        x, cache = self.decoder.step(self.token_embedder(tokens_BG), cache)
        return vocabulary_logits_of_few(*self.logit_factors(x)), cache


def attention_mask(causal_QK, key_is_token_BK, query_segments=None, key_segments=None):
    """Where attention is allowed, as bool that broadcasts to `[B, H, Q, K]`.

    Args:
      causal_QK: bool lower triangle, or None.
      key_is_token_BK: bool, False at padding, or None.
      query_segments: int `[B, Q]` segment ids of packed rows, or None.
      key_segments: int `[B, K]`, given with `query_segments`.
    """
    if (query_segments is None) != (key_segments is None):
        raise ValueError(
            "a packed batch needs segment ids of both encoder and decoder; one is missing"
        )
    mask = jnp.ones((1, 1, 1, 1), bool)
    if causal_QK is not None:
        mask = mask & causal_QK[None, None]
    if key_is_token_BK is not None:
        mask = mask & key_is_token_BK[:, None, None]
    if query_segments is not None:
        mask = mask & (query_segments[:, None, :, None] == key_segments[:, None, None, :])
    return mask


class Transformer:
    """What gin binds as the model's module: a configuration that can be built into a `T5`.

    Args:
      config: the sizes.
      parent, name: ignored, parameters of T5X's module: this one stands in no other.
    """

    def __init__(self, config: T5Config, parent: None = None, name: str | None = None):
        self.config = config

    def build(self) -> T5:
        """A T5 whose parameters are declared and not yet drawn: zeros (see `initial`)."""
        return T5(self.config)
