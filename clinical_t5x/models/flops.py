"""How many floating-point operations a training step is, counted from the sizes alone.

Counted are matrix products, 2 m k n for [m, k] times [k, n], attention products over the full
lengths included (a masked or padded position is computed like any other). Not counted: lookups (of
embeddings and of relative positions), norms, softmax, activations, loss and optimizer.

`model` is the work that the mathematics asks for; MFU, as PaLM defines it (arXiv 2204.02311,
appendix B), divides it by time and peak. What a remat policy computes again is counted apart.
"""

from __future__ import annotations

import dataclasses

from clinical_t5x.models.config import T5Config


@dataclasses.dataclass(frozen=True)
class StepFlops:
    """Floating-point operations of one update on one batch, over all devices.

    Attributes:
      forward: The forward pass.
      model: Forward and backward pass: 3 x `forward` where every parameter is trained. With
        adapters less: a kernel that stays as it is needs no gradient, nor does anything before the
        first adapter.
      recompute: What the backward pass computes a second time under the configuration's
        `remat_policy`; 0 without one. (With adapters under "minimal", JAX repeats some of the
        first layers' dense maps too, which are not counted.)
    """

    forward: float
    model: float
    recompute: float

    @property
    def hardware(self) -> float:
        """All that is computed: `model` and `recompute`."""
        return self.model + self.recompute


def step_flops(
    config: T5Config, *, batch_size: int, inputs_length: int, targets_length: int
) -> StepFlops:
    """Count one update.

    Args:
      config: Sizes, adapters and remat policy.
      batch_size: Sequences in the global batch; microbatches do not change the count.
      inputs_length: Positions of the encoder in each, padding included.
      targets_length: Positions of the decoder in each, padding included.
    """
    encoder = _Positions(batch_size, inputs_length)
    decoder = _Positions(batch_size, targets_length)
    embedding_trained = not config.lora_rank
    total = _Work()
    for layer in range(config.num_encoder_layers):
        total += _encoder_layer(config, encoder, moves=embedding_trained or layer > 0)
    for layer in range(config.num_decoder_layers):
        total += _decoder_layer(config, decoder, encoder, moves=embedding_trained or layer > 0)
    logits = _product(decoder.tokens, config.emb_dim, config.vocab_size)
    total += _Work(logits, logits * (1 + embedding_trained))
    recompute = {"none": 0.0, "minimal": total.attention_again, "full": total.again}
    return StepFlops(
        forward=total.forward,
        model=total.forward + total.backward,
        recompute=recompute[config.remat_policy],
    )


@dataclasses.dataclass(frozen=True)
class _Positions:
    """The positions of one side of a batch."""

    batch: int
    length: int

    @property
    def tokens(self) -> int:
        return self.batch * self.length


@dataclasses.dataclass
class _Work:
    """Operations of a part of the step.

    Attributes:
      forward: Of the forward pass.
      backward: Of the backward pass.
      again: What the backward pass repeats when it knows only the layer's input.
      attention_again: What it repeats when the results of all dense maps were kept: products whose
        operands are both activations.
    """

    forward: float = 0.0
    backward: float = 0.0
    again: float = 0.0
    attention_again: float = 0.0

    def __add__(self, other: _Work) -> _Work:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return _Work(*(mine + its for mine, its in pairs))


def _product(rows: int, inner: int, columns: int) -> float:
    return 2.0 * rows * inner * columns


def _encoder_layer(config: T5Config, own: _Positions, *, moves: bool) -> _Work:
    """`moves`: whether the layer's input depends on a trained parameter."""
    attention, moves = _attention(config, own, own, moves=moves, memory_moves=moves)
    return attention + _mlp(config, own, moves=moves)


def _decoder_layer(config: T5Config, own: _Positions, encoded: _Positions, *, moves: bool) -> _Work:
    """As `_encoder_layer`; the encoded input always depends on a trained parameter."""
    self_attention, moves = _attention(config, own, own, moves=moves, memory_moves=moves)
    cross_attention, moves = _attention(config, own, encoded, moves=moves, memory_moves=True)
    return self_attention + cross_attention + _mlp(config, own, moves=moves)


def _attention(
    config: T5Config, own: _Positions, memory: _Positions, *, moves: bool, memory_moves: bool
) -> tuple[_Work, bool]:
    """Work of an attention block, and whether the residual stream after it moves."""
    joined = config.num_heads * config.head_dim
    shape = config.emb_dim, joined
    q_moves = moves or _trains(config, "q")
    k_moves = memory_moves or _trains(config, "k")
    v_moves = memory_moves or _trains(config, "v")
    # the relative position bias is trained when everything is
    weights_move = q_moves or k_moves
    mixed_moves = weights_move or v_moves
    work = _dense(config, "q", own, *shape, moves=moves)
    work += _dense(config, "k", memory, *shape, moves=memory_moves)
    work += _dense(config, "v", memory, *shape, moves=memory_moves)
    product = _product(own.tokens * config.num_heads, config.head_dim, memory.length)
    operands = q_moves + k_moves + weights_move + v_moves
    # the mixed values are read by the gradients of the softmax's denominator and of `o`'s kernel
    weights_needed = mixed_moves or _trains(config, "o")
    mixed_needed = weights_move or _trains(config, "o")
    again = (weights_needed + mixed_needed) * product
    work += _Work(2 * product, operands * product, 2 * product, again)
    work += _dense(config, "o", own, joined, config.emb_dim, moves=mixed_moves)
    return work, moves or mixed_moves or _trains(config, "o")


def _mlp(config: T5Config, own: _Positions, *, moves: bool) -> _Work:
    # the gradient of a linear map needs its result only where the next one is trained
    kept = _trains(config, "wo") or config.mlp_activations != ("linear",)
    work = _Work()
    for _ in config.mlp_activations:
        shape = config.emb_dim, config.mlp_dim
        work += _dense(config, "wi", own, *shape, moves=moves, needed=kept)
    hidden_moves = moves or _trains(config, "wi")
    shape = config.mlp_dim, config.emb_dim
    return work + _dense(config, "wo", own, *shape, moves=hidden_moves, needed=False)


def _dense(
    config: T5Config,
    target: str,
    positions: _Positions,
    in_dim: int,
    out_dim: int,
    *,
    moves: bool,
    needed: bool = True,
) -> _Work:
    """Work of one linear map with its adapter.

    Args:
      config: Says what has an adapter.
      target: The map's name in `T5Config.lora_targets`.
      positions: What it is applied to.
      in_dim: Width of its input.
      out_dim: Width of its result.
      moves: Whether its input depends on a trained parameter.
      needed: Whether the backward pass of its layer reads its result.
    """
    whole = _product(positions.tokens, in_dim, out_dim)
    if not config.lora_rank:
        return _Work(whole, whole * (1 + moves), whole * needed)
    work = _Work(whole, whole * moves, whole * needed)
    if _trains(config, target):
        low = _product(positions.tokens, in_dim, config.lora_rank)
        high = _product(positions.tokens, config.lora_rank, out_dim)
        work += _Work(low + high, low * (1 + moves) + 2 * high, low + high * needed)
    return work


def _trains(config: T5Config, target: str) -> bool:
    """Whether a map of this name has parameters that are trained."""
    return not config.lora_rank or target in config.lora_targets
