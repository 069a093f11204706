"""Operations of a forward pass, counted product by product for any Transformer.

As `models/flops.py` does for our T5: matrix products are 2 m k n for [m, k] times [k, n]; attention
products cover all keys that a position may look at, masked ones too (padding, the future), but no
key outside a local layer's window, as kernels that know the window compute it. Not counted:
look-ups, norms, softmax, activations, biases.
"""

from __future__ import annotations

import dataclasses

from clinical_t5x.evaluation.cost.sizes import ModelSizes, Stack

_BACKWARD = 2  # times the forward pass, where every parameter is trained


@dataclasses.dataclass(frozen=True)
class Flops:
    """Floating-point operations by what they belong to.

    Attributes:
      matrices: Products with weights inside the layers.
      attention: Products of queries with keys, and of weights with values.
      output: Products with the output embedding.
    """

    matrices: float = 0.0
    attention: float = 0.0
    output: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.matrices + self.attention + self.output

    def __add__(self, other: Flops) -> Flops:
        return Flops(
            self.matrices + other.matrices,
            self.attention + other.attention,
            self.output + other.output,
        )

    def __mul__(self, times: float) -> Flops:
        return Flops(self.matrices * times, self.attention * times, self.output * times)


def forward_flops(
    sizes: ModelSizes,
    length: int,
    *,
    targets_length: int = 0,
    global_positions: int = 0,
    outputs: int | None = None,
) -> Flops:
    """One sequence, forward.

    Args:
      sizes: The model's.
      length: Positions of the encoder, or of a decoder that stands alone.
      targets_length: Positions of the decoder of an encoder-decoder.
      global_positions: Positions of a Longformer that attend to all and are attended to by all.
      outputs: Positions that words are predicted for; default all of the decoder's, none for an
        encoder, whose head for classes or spans is too small to count.
    """
    total = Flops()
    if sizes.encoder is not None:
        total += _layers(sizes.encoder, length, keys=length)
        if sizes.encoder.global_projections and global_positions:
            total += _global_positions(sizes.encoder, length, global_positions)
    predicted = 0
    if sizes.decoder is not None and sizes.encoder is None:
        predicted = length
        total += _layers(sizes.decoder, length, keys=length)
    elif sizes.decoder is not None:
        predicted = targets_length
        total += _layers(sizes.decoder, targets_length, keys=targets_length, memory=length)
        total += _memory(sizes.decoder, length)
    predicted = predicted if outputs is None else outputs
    return total + Flops(output=_product(predicted, sizes.output_stack.width, sizes.vocab_size))


def training_flops_exact(
    sizes: ModelSizes, length: int, *, targets_length: int = 0, outputs: int | None = None
) -> Flops:
    """One sequence, forward and backward, every parameter trained; see `forward_flops`."""
    forward = forward_flops(sizes, length, targets_length=targets_length, outputs=outputs)
    return forward * (1 + _BACKWARD)


def generation_flops(sizes: ModelSizes, length: int, new_tokens: int) -> Flops:
    """Read one sequence and write an answer greedily, keys and values of the past being kept.

    Args:
      sizes: Of a decoder or an encoder-decoder.
      length: Tokens that are read: the prompt, or the encoder's inputs.
      new_tokens: Tokens that are written, one at least.
    """
    decoder = sizes.decoder
    if decoder is None:
        raise ValueError("an encoder writes nothing")
    total = Flops(output=_product(new_tokens, decoder.width, sizes.vocab_size))
    if sizes.encoder is None:
        # Each prediction but the last is read in its turn, on top of what is there.
        total += _layers(decoder, length, keys=length)
        for past in range(length, length + new_tokens - 1):
            total += _layers(decoder, 1, keys=past + 1)
        return total
    total += _layers(sizes.encoder, length, keys=length) + _memory(decoder, length)
    for past in range(new_tokens):
        total += _layers(decoder, 1, keys=past + 1, memory=length)
    return total


def _product(rows: int, inner: int, columns: int) -> float:
    return 2.0 * rows * inner * columns


def _layers(stack: Stack, queries: int, *, keys: int, memory: int = 0) -> Flops:
    """All layers of a stack for some positions, each of which looks at `keys` and at `memory`."""
    weights = stack.self_attention_weights + stack.mlp_weights
    if stack.memory_width is not None:
        weights += 2 * stack.width * stack.query_width  # keys and values: see `_memory`
    near = keys if stack.window is None else min(keys, stack.window)
    looked_at = (stack.layers - stack.local_layers) * keys + stack.local_layers * near
    if stack.memory_width is not None:
        looked_at += stack.layers * memory
    return Flops(
        matrices=2.0 * queries * weights * stack.layers,
        attention=2 * _product(queries, stack.query_width, looked_at),
    )


def _memory(decoder: Stack, memory: int) -> Flops:
    """Keys and values of cross-attention, once for each position that is read."""
    each = 2 * _product(memory, decoder.memory_width, decoder.key_width)
    return Flops(matrices=each * decoder.layers)


def _global_positions(stack: Stack, positions: int, chosen: int) -> Flops:
    """What a Longformer does besides when some positions see and are seen by all."""
    projected = _product(chosen + 2 * positions, stack.width, stack.query_width)
    seen = 2 * 2 * _product(positions, stack.query_width, chosen)
    return Flops(projected, seen) * stack.layers
