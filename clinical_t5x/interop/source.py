"""What every kind of checkpoint offers to whoever reads it: tensors under T5X's names, one by one.

A reader of each layout (Hugging Face's files, T5X's two layouts, our own) is a `TensorSource`.
Whatever takes a checkpoint in (training, conversion) asks one for names and shapes first and then
for one tensor after another, so that no more than the model and one tensor need be in memory.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np

from clinical_t5x.models.config import T5Config
from clinical_t5x.models.position import NUM_BUCKETS

_LAYER = re.compile(r"(encoder|decoder)/layers_(\d+)/")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """What is known of a tensor before it is read.

    Attributes:
      shape: as T5X has it (matrices `[in, out]`).
      dtype: numpy's name, or "bfloat16".
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def numpy_dtype(self) -> np.dtype:
        """The dtype as numpy has it."""
        return jnp.dtype(self.dtype)


class TensorSource(Protocol):
    """A T5 checkpoint of any layout, read tensor by tensor.

    Attributes:
      kind: the layout in words, for people ("Hugging Face, safetensors").
      path: the directory or file, for people.
      config: the network's sizes, unrolled; what the layout does not say is inferred from shapes.
      step: updates that the parameters have seen, or None where the layout does not say.
      infos: every parameter by its T5X name ("encoder/layers_0/attention/query/kernel"), unrolled.
        Tensors are read cheapest in this order.
    """

    kind: str
    path: str
    config: T5Config
    step: int | None
    infos: Mapping[str, TensorInfo]

    def read(self, name: str) -> np.ndarray:
        """The whole tensor in T5X's orientation and in its own dtype.

        Raises:
          CheckpointError: the file is damaged.
        """
        ...


def config_from_shapes(shapes: Mapping[str, tuple[int, ...]], **known: Any) -> T5Config:
    """The unrolled configuration that gives these parameters.

    Shapes tell all sizes, but not the gate's function: a gated MLP is taken for T5 1.1's GELU.

    Args:
      shapes: of every parameter, by T5X's unrolled names.
      **known: fields of `T5Config` that are known otherwise.

    Raises:
      CheckpointError: these are not the parameters of a T5.
    """
    layers = {"encoder": 0, "decoder": 0}
    for name in shapes:
        match = _LAYER.match(name)
        if match:
            layers[match[1]] = max(layers[match[1]], int(match[2]) + 1)
    try:
        vocab_size, emb_dim = shapes["token_embedder/embedding"]
        num_heads, buckets = shapes["encoder/relpos_bias/rel_embedding"]
        joined = shapes["encoder/layers_0/attention/query/kernel"][1]
        gated = "encoder/layers_0/mlp/wi_0/kernel" in shapes
        wi = "wi_0" if gated else "wi"
        mlp_dim = shapes[f"encoder/layers_0/mlp/{wi}/kernel"][1]
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(f"these are not the parameters of a T5 ({error})") from None
    if buckets != NUM_BUCKETS or joined % num_heads:
        raise CheckpointError(
            f"these are not the parameters of a T5: {buckets} buckets of distances (T5 has "
            f"{NUM_BUCKETS}), {joined} columns of queries for {num_heads} heads"
        )
    fields = {
        "vocab_size": vocab_size,
        "emb_dim": emb_dim,
        "num_heads": num_heads,
        "head_dim": joined // num_heads,
        "mlp_dim": mlp_dim,
        "num_encoder_layers": layers["encoder"],
        "num_decoder_layers": layers["decoder"],
        "mlp_activations": ("gelu", "linear") if gated else ("relu",),
        "logits_via_embedding": "decoder/logits_dense/kernel" not in shapes,
    }
    try:
        return T5Config(**fields | known)
    except ValueError as error:
        raise CheckpointError(f"these are not the parameters of a T5 ({error})") from None
