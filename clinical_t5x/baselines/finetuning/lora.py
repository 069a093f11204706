"""Low-rank adapters (Hu et al. 2021) on the matrices of attention, merged when training is over.

A matrix W [out, in] becomes W + scale / rank * B A with B [out, rank] at 0 and A [rank, in] drawn
as in that paper; only A, B and the head are trained. Merged, the model is one like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from clinical_t5x.console import UserError

# Names of the modules in which attention projects, over the families: BERT and its kin, GPT-2
# (one matrix for all three), Llama and its kin, ModernBERT.
_ATTENTION = (
    "query", "key", "value", "query_global", "key_global", "value_global",
    "c_attn", "q_proj", "k_proj", "v_proj", "o_proj", "Wqkv", "query_key_value",
)  # fmt: skip


def add_adapters(model: Any, *, rank: int, scale: float, seed: int) -> int:
    """Freeze a model but for its head, and put adapters on its attention.

    Returns:
      Number of parameters that are trained.

    Raises:
      UserError: no matrix of attention was found.
    """
    import torch

    torch.manual_seed(seed)
    inner = model.base_model
    for parameter in inner.parameters():
        parameter.requires_grad_(False)
    found = list(_projections(inner))
    if not found:
        raise UserError(
            f"no attention matrices that adapters know were found in {type(model).__name__}; choose"
            " lora_rank 0"
        )
    for parent, name, layer in found:
        setattr(parent, name, _adapter_class()(layer, rank, scale / rank))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def merge_adapters(model: Any) -> None:
    """Put each adapter's product into its matrix, and the plain layer back into its place."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "merged"):
                setattr(module, name, child.merged())


def _projections(model: Any) -> Iterator[tuple[Any, str, Any]]:
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if name in _ATTENTION and getattr(child, "weight", None) is not None:
                yield module, name, child


def _adapter_class() -> type:
    import torch

    class Adapter(torch.nn.Module):
        """A layer of one matrix, and a product of two small ones beside it."""

        def __init__(self, layer: Any, rank: int, scale: float):
            super().__init__()
            self.layer, self.scale = layer, scale
            # GPT-2 keeps its matrices as [in, out].
            self.is_transposed = not isinstance(layer, torch.nn.Linear)
            n_out, n_in = reversed(layer.weight.shape) if self.is_transposed else layer.weight.shape
            self.down = torch.nn.Parameter(torch.empty(rank, n_in))
            self.up = torch.nn.Parameter(torch.zeros(n_out, rank))
            torch.nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

        def forward(self, inputs: Any) -> Any:
            beside = torch.nn.functional.linear(
                torch.nn.functional.linear(inputs, self.down), self.up
            )
            return self.layer(inputs) + self.scale * beside

        def merged(self) -> Any:
            """The layer, its matrix with the product added."""
            product = self.scale * (self.up @ self.down)
            with torch.no_grad():
                self.layer.weight += product.T if self.is_transposed else product
            return self.layer

    return Adapter
