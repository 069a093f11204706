"""What decoding remembers between steps: keys and values, as an explicit object."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KeyValue:
    """Keys and values of one attention, or of a stack of them."""

    key: jax.Array
    value: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DecodeCache:
    """The decoder's memory of an encoded batch and of the tokens decoded so far.

    Attributes:
      index: scalar int32, the number of positions written.
      decoded: a `KeyValue` a layer with `[B, G, H, L, F]`, or one with a leading dim N when
        scanned.
      encoded: a `KeyValue` a layer with keys `[B, H, F, K]` and values `[B, H, K, F]` (N first when
        scanned). It is computed once and has no dim for decodes: all beams of an example read the
        same keys and values.
      encoder_mask: bool `[B, K]`, True where the encoder saw a token.
      scanned: whether the layers are stacked in one array.
    """

    index: jax.Array
    decoded: Any
    encoded: Any
    encoder_mask: jax.Array
    scanned: bool = dataclasses.field(metadata={"static": True})

    @property
    def max_length(self) -> int:
        """The number of positions that fit."""
        return jax.tree.leaves(self.decoded)[0].shape[-2]

    def advance(self, decoded: Any) -> DecodeCache:
        """The cache after one more position was written."""
        return dataclasses.replace(self, decoded=decoded, index=self.index + 1)

    def gather_beams(self, sources: jax.Array) -> DecodeCache:
        """Let decode g of example b go on from decode `sources[b, g]` (int `[B, G]`)."""

        def gather(array):
            return jnp.take_along_axis(array, sources[:, :, None, None, None], axis=1)

        gather_all = jax.vmap(gather) if self.scanned else gather
        return dataclasses.replace(self, decoded=jax.tree.map(gather_all, self.decoded))
