"""What decoding remembers between steps: keys and values, as an explicit object."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KeyValue:
    """Keys `[B, H, F, K]` and values `[B, H, K, F]` of one attention, or of a stack of them.

    They lie as a step's products read them: what is summed over is the last dim but one. For a
    single decode (G = 1) the keys are `[B, H, K, F]` too: the product of one row with them is then
    K sums along the memory.
    """

    key: jax.Array
    value: jax.Array

    @classmethod
    def of(cls, keys_BHKF: jax.Array, values_BHKF: jax.Array, num_decodes: int) -> KeyValue:
        """Lay out keys and values for steps of `num_decodes` decodes."""
        return cls(keys_BHKF if num_decodes == 1 else keys_BHKF.swapaxes(2, 3), values_BHKF)

    def written(self, new: KeyValue, start: jax.Array, num_decodes: int) -> KeyValue:
        """With `new` in the place of what is at `start` and after it along K."""
        write = jax.lax.dynamic_update_slice_in_dim
        axis = 2 if num_decodes == 1 else 3
        return KeyValue(
            write(self.key, new.key, start, axis), write(self.value, new.value, start, 2)
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DecodeCache:
    """The decoder's memory of an encoded batch and of the tokens decoded so far.

    What was decoded is written once and never moved. The decodes of an example stand side by side
    as keys that all of them read, and each is told which ones are its own past: a beam that goes on
    from another one takes over that one's list, not its keys and values.

    Attributes:
      index: scalar int32, the number of positions written.
      sources: int32 `[B, G, L]`, the decode that wrote position l of what decode g has behind it;
        itself from `index` on.
      decoded: a `KeyValue` a layer, or one with a leading dim N when scanned; K = L * G, and
        position l of decode g is at l * G + g.
      encoded: the same of the encoded input. It is computed once and has no dim for decodes.
      encoder_mask: bool `[B, K]`, True where the encoder saw a token.
      scanned: whether the layers are stacked in one array.
    """

    index: jax.Array
    sources: jax.Array
    decoded: Any
    encoded: Any
    encoder_mask: jax.Array
    scanned: bool = dataclasses.field(metadata={"static": True})

    @property
    def max_length(self) -> int:
        """The number of positions that fit."""
        return self.sources.shape[-1]

    def is_past(self) -> jax.Array:
        """Which decoded keys each decode attends to at position `index`, bool `[B, G, L * G]`."""
        batch, decodes, length = self.sources.shape
        is_source_BGLG = self.sources[..., None] == jnp.arange(decodes)
        written_L = jnp.arange(length) <= self.index
        return (is_source_BGLG & written_L[:, None]).reshape(batch, decodes, length * decodes)

    def advance(self, decoded: Any) -> DecodeCache:
        """The cache after one more position was written."""
        return dataclasses.replace(self, decoded=decoded, index=self.index + 1)

    def gather_beams(self, sources: jax.Array) -> DecodeCache:
        """Let decode g of example b go on from decode `sources[b, g]` (int `[B, G]`)."""
        taken_over = jnp.take_along_axis(self.sources, sources[..., None], axis=1)
        written_L = jnp.arange(self.max_length) < self.index
        return dataclasses.replace(
            self, sources=jnp.where(written_L, taken_over, _themselves(self.sources.shape))
        )


def no_sources(batch: int, num_decodes: int, length: int) -> jax.Array:
    """`DecodeCache.sources` before anything is decoded."""
    return _themselves((batch, num_decodes, length))


def _themselves(shape: tuple[int, ...]) -> jax.Array:
    return jax.lax.broadcasted_iota(jnp.int32, shape, 1)
