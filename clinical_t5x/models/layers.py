"""The plain parts of T5: dense map, RMS norm, MLP, embedding, dropout.

Throughout this package shapes are said by the last letters of a name:
B batch, G decodes of one example (beams), Q query length, K key length, L cache length, D emb_dim,
H heads, F head_dim, J heads * head_dim, M mlp_dim, V vocabulary, N layers, R distances.

Each parameter carries its logical axis names under the metadata key `logical_axes`. (Not under
flax's own `sharding` key: flax applies that one eagerly and then demands a mesh.)
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from clinical_t5x.models.activations import constrain
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.dropout import Site, dropout
from clinical_t5x.models.initial import ONES, ZEROS, Initial, with_variance
from clinical_t5x.models.lora import scale

NORM_EPSILON = 1e-6

_ACTIVATION_FUNCTIONS = {
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=True),
    "linear": lambda x: x,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
}


def parameter(initial: Initial, shape: tuple[int, ...], logical_axes) -> nnx.Param:
    """Declare a float32 parameter: how it begins, its shape, its logical axis names.

    What begins with random numbers is zeros until a network is given its parameters: modules are
    made to be merged with arrays (`EncoderDecoderModel.bind`), which `initial.draw` makes.
    """
    constant = 0.0 if initial.distribution else initial.scale
    value = jnp.full(shape, constant, jnp.float32)
    return nnx.Param(value, logical_axes=logical_axes, initial=initial)


@jax.custom_vjp
def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`x @ kernel` for `[..., in]` and float32 `[in, out]`, computed in the dtype of `x`.

    The gradient is written out for two reasons. What autodiff makes of it has XLA copy both
    activations into transposed order for the kernel's gradient; on a CPU these copies, with the
    activation function computed in them, took a fifth of a training step. And with half-precision
    activations autodiff would round the kernel's gradient to half precision before devices and
    microbatches add theirs up; this one leaves the matrix product in float32.
    """
    return jnp.dot(x, kernel.astype(x.dtype))


def _matmul_forward(x, kernel):
    return jnp.dot(x, kernel.astype(x.dtype)), (x, kernel)


def _matmul_backward(residuals, gradient):
    x, kernel = residuals
    rounded = kernel.astype(x.dtype)
    of_x = jax.lax.dot_general(gradient, rounded, (((gradient.ndim - 1,), (1,)), ((), ())))
    flat_x = x.reshape(-1, x.shape[-1])
    flat_gradient = gradient.reshape(-1, gradient.shape[-1])
    of_kernel = jax.lax.dot_general(
        flat_x, flat_gradient, (((0,), (0,)), ((), ())), preferred_element_type=kernel.dtype
    )
    return of_x, of_kernel


matmul.defvjp(_matmul_forward, _matmul_backward)


def vocabulary_logits(x: jax.Array, table: jax.Array, vocab_dim: int) -> jax.Array:
    """Project float32 `[..., D]` to `[..., V]`.

    Args:
      x: what is projected.
      table: float32, an embedding `[V, D]` or a kernel `[D, V]`.
      vocab_dim: which dim of the table is the vocabulary: 0 or 1.
    """
    if vocab_dim == 1:
        return matmul(x, table)
    return jax.lax.dot_general(x, table, (((x.ndim - 1,), (1,)), ((), ())))


def vocabulary_logits_of_few(x: jax.Array, table: jax.Array, vocab_dim: int) -> jax.Array:
    """`vocabulary_logits` of one position of each decode, without a gradient in mind.

    With an embedding on its left a product of few columns reads the embedding once, in its order:
    on a CPU this takes a quarter less time. The logits stay laid out as they come.
    """
    if vocab_dim == 1:
        return vocabulary_logits(x, table, vocab_dim)
    logits = jax.lax.dot_general(table, x, (((1,), (x.ndim - 1,)), ((), ())))
    return jnp.moveaxis(logits, 0, -1)


class Dense(nnx.Module):
    """A linear map without bias; the kernel is `[in, out]`, computed in `dtype`.

    Args:
      in_dim: width of what is mapped.
      out_dim: width of the result.
      axes: logical names of both dims.
      initial: how the kernel begins.
      dtype: what is computed in.
      adapter: a configuration with the rank of a low-rank adapter (see `lora`), or None for none.
    """

    def __init__(
        self, in_dim: int, out_dim: int, axes, initial: Initial, dtype, adapter: T5Config | None
    ):
        self.kernel = parameter(initial, (in_dim, out_dim), axes)
        self.dtype = dtype
        self.adapter = adapter
        if adapter is not None:
            rank = adapter.lora_rank
            # Uniform within 1 / sqrt(in), as everywhere.
            within = with_variance("uniform", 1 / (3 * in_dim))
            names = (axes[0], "lora_rank"), ("lora_rank", axes[1])
            self.lora_a = parameter(within, (in_dim, rank), names[0])
            self.lora_b = parameter(ZEROS, (rank, out_dim), names[1])

    def __call__(self, x: jax.Array, kept: jax.Array | None = None) -> jax.Array:
        """Map the last dim of `x`; `kept` are the units that the adapter sees, None for all."""
        x = x.astype(self.dtype)
        y = matmul(x, self.kernel[...])
        if self.adapter is None:
            return y
        x = dropout(x, kept, self.adapter.lora_dropout_rate)
        low = matmul(x, self.lora_a[...])
        return y + scale(self.adapter) * matmul(low, self.lora_b[...])


def adapter_of(config: T5Config, target: str) -> T5Config | None:
    """What a `Dense` is told that is called `target` in `lora_targets`."""
    return config if config.lora_rank and target in config.lora_targets else None


def adapter_site(config: T5Config, target: str, width: int) -> Site | None:
    """Where the adapter of a `Dense` on `width` units drops, if it has one."""
    adapter = adapter_of(config, target)
    return None if adapter is None else Site((1, width), adapter.lora_dropout_rate)


class RMSNorm(nnx.Module):
    """T5's norm: scale by the root mean square; no mean taken off, no bias."""

    def __init__(self, config: T5Config):
        self.scale = parameter(ONES, (config.emb_dim,), ("embed",))
        self.dtype = config.compute_dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Norm and scale the last dim of `x` in float32, where the scale's gradient is summed."""
        x = x.astype(jnp.float32)
        mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        normed = x * jax.lax.rsqrt(mean_square + NORM_EPSILON)
        return (normed * self.scale[...]).astype(self.dtype)


class MLP(nnx.Module):
    """T5's feed-forward block: one activation (1.0), or a product of several (gated, 1.1)."""

    def __init__(self, config: T5Config):
        dtype = config.compute_dtype
        gated = len(config.mlp_activations) > 1
        self.input_names = tuple(
            f"wi_{i}" if gated else "wi" for i in range(len(config.mlp_activations))
        )
        for name in self.input_names:
            shape = (config.emb_dim, config.mlp_dim)
            axes, adapter = ("embed", "mlp"), adapter_of(config, "wi")
            initial = with_variance("truncated_normal", 1 / config.emb_dim)
            setattr(self, name, Dense(*shape, axes, initial, dtype, adapter))
        shape, adapter = (config.mlp_dim, config.emb_dim), adapter_of(config, "wo")
        initial = with_variance("truncated_normal", 1 / config.mlp_dim)
        self.wo = Dense(*shape, ("mlp", "embed"), initial, dtype, adapter)
        self.config = config

    @staticmethod
    def sites(config: T5Config) -> dict[str, Any]:
        """Where it drops; `__call__` takes the masks."""
        names = "wi", config.emb_dim
        return {
            "hidden": Site((1, config.mlp_dim), config.dropout_rate),
            "wi": tuple(adapter_site(config, *names) for _ in config.mlp_activations),
            "wo": adapter_site(config, "wo", config.mlp_dim),
        }

    def __call__(self, x: jax.Array, kept: dict[str, Any] | None = None) -> jax.Array:
        """Map the last dim of `x` to itself; `kept`: masks of `sites`, None for no dropout."""
        config, hidden = self.config, None
        kept = kept or {"hidden": None, "wi": (None,) * len(self.input_names), "wo": None}
        for name, activation, seen in zip(
            self.input_names, config.mlp_activations, kept["wi"], strict=True
        ):
            branch = _ACTIVATION_FUNCTIONS[activation](getattr(self, name)(x, seen))
            hidden = branch if hidden is None else hidden * branch
        return self.wo(dropout(hidden, kept["hidden"], config.dropout_rate), kept["wo"])


class TokenEmbedder(nnx.Module):
    """One embedding for inputs, targets and, when tied, logits."""

    def __init__(self, config: T5Config):
        shape = (config.vocab_size, config.emb_dim)
        axes = ("vocab", "embed")
        self.embedding = parameter(with_variance("normal", 1.0), shape, axes)
        self.dtype = config.compute_dtype

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Rows of the embedding, `[..., D]` in the compute dtype."""
        # Put together first where devices keep parts of each row: the rows of a batch are larger.
        table = constrain(self.embedding[...], ("vocab", "whole_embed"))
        rows = jnp.take(table, tokens, axis=0, mode="clip")
        return rows.astype(self.dtype)
