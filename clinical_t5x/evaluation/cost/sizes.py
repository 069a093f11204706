"""The sizes of a Transformer that decide how many operations it takes, whatever its family."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Stack:
    """Layers of self-attention (and cross-attention) and an MLP.

    Attributes:
      layers: How many.
      width: Of the residual stream.
      heads: Of queries.
      kv_heads: Of keys and values; fewer than `heads` with grouped-query attention.
      head_dim: Width of one head; `heads * head_dim` need not be `width`.
      mlp_dim: Inner width of the MLP.
      mlp_matrices: 2, or 3 for a gated MLP.
      window: Keys that a position of a local layer attends to, itself included; None where all
        layers are global.
      local_layers: How many layers attend within `window`.
      memory_width: Width of what cross-attention reads; None without cross-attention.
      global_projections: Whether positions that attend to everything have projections of their own
        in every layer (Longformer).
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_dim: int
    mlp_matrices: int = 2
    window: int | None = None
    local_layers: int = 0
    memory_width: int | None = None
    global_projections: bool = False

    @property
    def query_width(self) -> int:
        """Of all heads of queries together."""
        return self.heads * self.head_dim

    @property
    def key_width(self) -> int:
        """Of all heads of keys (or values) together."""
        return self.kv_heads * self.head_dim

    @property
    def self_attention_weights(self) -> int:
        """Numbers in the four projections of one layer."""
        return self.width * (2 * self.query_width + 2 * self.key_width)

    @property
    def cross_attention_weights(self) -> int:
        """Numbers in the projections of one layer's cross-attention; 0 without one."""
        if self.memory_width is None:
            return 0
        return 2 * self.width * self.query_width + 2 * self.memory_width * self.key_width

    @property
    def mlp_weights(self) -> int:
        """Numbers in one layer's MLP."""
        return self.mlp_matrices * self.width * self.mlp_dim


@dataclasses.dataclass(frozen=True)
class ModelSizes:
    """A model: an encoder, a decoder, or both.

    Attributes:
      encoder: None for a decoder alone.
      decoder: None for an encoder alone.
      vocab_size: Rows of the embedding.
      embedding_widths: Width of each embedding table: one for all, or one each for the inputs of
        the stacks and for the output.
    """

    encoder: Stack | None
    decoder: Stack | None
    vocab_size: int
    embedding_widths: tuple[int, ...]

    @property
    def matrix_parameters(self) -> int:
        """Numbers in embeddings and matrices: all but biases, norms and tables of positions."""
        total = self.vocab_size * sum(self.embedding_widths)
        for stack in (self.encoder, self.decoder):
            if stack is not None:
                attention = stack.self_attention_weights + stack.cross_attention_weights
                if stack.global_projections:
                    attention += 3 * stack.width * stack.query_width
                total += stack.layers * (attention + stack.mlp_weights)
        return total

    @property
    def output_stack(self) -> Stack:
        """The stack whose positions are predicted from."""
        stack = self.decoder or self.encoder
        if stack is None:
            raise ValueError("a model has an encoder or a decoder")
        return stack
