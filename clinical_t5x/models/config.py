"""The numbers that make a T5: one frozen dataclass under T5X's field names."""

from __future__ import annotations

import dataclasses
import numbers

import jax.numpy as jnp

ACTIVATIONS = ("relu", "gelu", "linear", "silu", "swish")
REMAT_POLICIES = ("none", "minimal", "full")
LORA_TARGETS = ("q", "k", "v", "o", "wi", "wo")
ATTENTION_IMPLEMENTATIONS = ("xla", "cudnn", "pallas")
_COMPUTE_DTYPES = ("float32", "bfloat16", "float16", "float64")


@dataclasses.dataclass(frozen=True)
class T5Config:
    """Sizes and switches of one T5 network; the defaults are T5X's.

    Attributes:
      vocab_size: rows of the embedding; at least the vocabulary's size, padded to a multiple of
        128.
      dtype: what activations are computed in, by name or as a JAX dtype. Parameters are float32,
        and norms, softmax and logits are computed in float32 whatever this says.
      emb_dim: width of the residual stream (T5's d_model).
      num_heads: attention heads.
      num_encoder_layers: layers of the encoder.
      num_decoder_layers: layers of the decoder.
      head_dim: width of one head (T5's d_kv); `num_heads * head_dim` need not equal `emb_dim`.
      mlp_dim: width of the MLP (T5's d_ff).
      mlp_activations: ("relu",) for T5 1.0, ("gelu", "linear") for the gated MLP of T5 1.1.
      dropout_rate: between 0 and 1; used only where a dropout key is given.
      logits_via_embedding: True ties the output to the embedding (T5 1.0).
      float32_attention_logits: True also casts queries and keys to float32 before their product.
      scan_layers: True keeps the layers of a stack in one array per parameter and runs them by a
        loop, so that compile time does not grow with depth. The results are the same.
      remat_policy: what the backward pass recomputes: "none", "minimal" (all but matrix products)
        or "full" (each layer from its input). The results are the same.
      attention_implementation: what computes attention over whole sequences: "xla", or on its own
        kind of device "cudnn" (NVIDIA GPU) or "pallas" (TPU); elsewhere these mean "xla" too (see
        `attention_kernels`). Decoding step by step is always XLA's.
      logits_mebibytes: float32 logits that the loss holds at once on a device; where there would be
        more they are made, used and forgotten in parts (see `projected_loss`).
      lora_rank: 0 trains all parameters; above, only low-rank adapters of this rank (see `lora`).
      lora_alpha: an adapter's product is multiplied by `lora_alpha / lora_rank`.
      lora_targets: what has adapters: "q", "k", "v", "o" of every attention, "wi" (both of a gated
        MLP) and "wo" of every MLP.
      lora_dropout_rate: of what goes into the adapters, beside `dropout_rate`.
    """

    vocab_size: int
    dtype: str = "float32"
    emb_dim: int = 512
    num_heads: int = 8
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    head_dim: int = 64
    mlp_dim: int = 2048
    mlp_activations: tuple[str, ...] = ("relu",)
    dropout_rate: float = 0.1
    logits_via_embedding: bool = False
    float32_attention_logits: bool = False
    scan_layers: bool = False
    remat_policy: str = "none"
    attention_implementation: str = "xla"
    logits_mebibytes: float = 256.0
    lora_rank: int = 0
    lora_alpha: float = 16.0
    lora_targets: tuple[str, ...] = ("q", "v")
    lora_dropout_rate: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "dtype", jnp.dtype(self.dtype).name)
        object.__setattr__(self, "mlp_activations", tuple(self.mlp_activations))
        targets = self.lora_targets
        targets = (targets,) if isinstance(targets, str) else tuple(targets)
        object.__setattr__(self, "lora_targets", targets)
        for name in (
            "vocab_size", "emb_dim", "num_heads", "head_dim", "mlp_dim", "num_encoder_layers",
            "num_decoder_layers",
        ):  # fmt: skip
            size = getattr(self, name)
            whole = isinstance(size, numbers.Integral)
            self._require(whole and size >= 1, name, "a whole number, at least 1")
        self._require(0.0 <= self.dropout_rate < 1.0, "dropout_rate", "in [0, 1)")
        self._require(self.dtype in _COMPUTE_DTYPES, "dtype", f"one of {_COMPUTE_DTYPES}")
        known = bool(self.mlp_activations) and set(self.mlp_activations) <= set(ACTIVATIONS)
        self._require(known, "mlp_activations", f"names out of {ACTIVATIONS}")
        self._require(
            self.remat_policy in REMAT_POLICIES, "remat_policy", f"one of {REMAT_POLICIES}"
        )
        self._require(self.logits_mebibytes > 0, "logits_mebibytes", "above 0")
        self._require(
            self.attention_implementation in ATTENTION_IMPLEMENTATIONS,
            "attention_implementation",
            f"one of {ATTENTION_IMPLEMENTATIONS}",
        )
        self._require_adapters()

    def _require_adapters(self) -> None:
        rank, targets = self.lora_rank, self.lora_targets
        self._require(isinstance(rank, int) and rank >= 0, "lora_rank", "0 (none) or more")
        self._require(self.lora_alpha > 0, "lora_alpha", "above 0")
        known = bool(targets) and set(targets) <= set(LORA_TARGETS)
        self._require(known, "lora_targets", f"names out of {LORA_TARGETS}")
        self._require(0.0 <= self.lora_dropout_rate < 1.0, "lora_dropout_rate", "in [0, 1)")

    def _require(self, holds: bool, name: str, bound: str) -> None:
        if not holds:
            raise ValueError(f"T5Config.{name} is {getattr(self, name)!r}; it must be {bound}")

    @property
    def compute_dtype(self) -> jnp.dtype:
        """The dtype of activations."""
        return jnp.dtype(self.dtype)
