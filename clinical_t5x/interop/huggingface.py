"""Hugging Face's names for T5's parameters, and its configuration.

A `torch.nn.Linear` keeps its weight as `[out, in]`, ours is `[in, out]`; its embedding of the
relative position bias is `[buckets, heads]`, ours `[heads, buckets]`. So all matrices but the token
embedding are transposed, and nothing else happens to the numbers. Arrays are numpy: torch is not
needed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clinical_t5x.interop import t5x_names
from clinical_t5x.models.config import T5Config

_ATTENTION = {"query": "q", "key": "k", "value": "v", "out": "o"}
_MLP_ACTIVATIONS = {
    "relu": ("relu",),
    "gated-gelu": ("gelu", "linear"),
    "gated-silu": ("silu", "linear"),
}
# Kinds of model that are T5s, and the MLP of each where its configuration does not say.
_MODEL_TYPES = {"t5": "relu", "mt5": "gated-gelu"}
_SIZES = ("vocab_size", "d_model", "num_heads", "d_kv", "d_ff", "num_layers")
# Position of a sublayer in a Hugging Face block: its number and its name there.
_SUBLAYERS = {
    "encoder": {"attention": (0, "SelfAttention"), "mlp": (1, "DenseReluDense")},
    "decoder": {
        "self_attention": (0, "SelfAttention"),
        "encoder_decoder_attention": (1, "EncDecAttention"),
        "mlp": (2, "DenseReluDense"),
    },
}
_NORMS = {
    "encoder": {"pre_attention_layer_norm": 0, "pre_mlp_layer_norm": 1},
    "decoder": {
        "pre_self_attention_layer_norm": 0,
        "pre_cross_attention_layer_norm": 1,
        "pre_mlp_layer_norm": 2,
    },
}
# Names that Hugging Face's files may hold beside `shared.weight`, for the same array.
COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


def hf_name(name: str) -> str:
    """Hugging Face's name of the parameter that T5X calls `name` ("encoder/layers_0/...")."""
    parts = name.split("/")
    if name == "token_embedder/embedding":
        return "shared.weight"
    if name == "decoder/logits_dense/kernel":
        return "lm_head.weight"
    stack = parts[0]
    if parts[1] == "relpos_bias":
        return f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    if parts[1] == f"{stack}_norm":
        return f"{stack}.final_layer_norm.weight"
    block = f"{stack}.block.{parts[1].removeprefix('layers_')}"
    if parts[2] in _NORMS[stack]:
        return f"{block}.layer.{_NORMS[stack][parts[2]]}.layer_norm.weight"
    number, sublayer = _SUBLAYERS[stack][parts[2]]
    return f"{block}.layer.{number}.{sublayer}.{_ATTENTION.get(parts[3], parts[3])}.weight"


def name_table(config: T5Config) -> dict[str, str]:
    """Hugging Face's name for each of T5X's, in T5X's order."""
    return {name: hf_name(name) for name in t5x_names.t5x_shapes(config)}


def _is_transposed(name: str) -> bool:
    return name.endswith(("/kernel", "/rel_embedding"))


def is_transposed(hf_name: str) -> bool:
    """Whether T5X has the array that PyTorch's files call `hf_name` the other way round."""
    return not (hf_name in ("shared.weight", *COPIES) or hf_name.endswith("layer_norm.weight"))


def from_flax_name(flax_name: str) -> tuple[str, bool]:
    """PyTorch's name for Flax's ("encoder/block/0/layer/0/SelfAttention/q/kernel").

    Returns:
      The name, and whether it is a kernel: Flax has kernels the other way round than PyTorch.
    """
    *parts, last = flax_name.split("/")
    known = last in ("kernel", "embedding", "weight")
    return ".".join([*parts, "weight" if known else last]), last == "kernel"


def hf_shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array that a Hugging Face checkpoint of this configuration holds."""
    return {
        hf_name(name): shape[::-1] if _is_transposed(name) else shape
        for name, shape in t5x_names.t5x_shapes(config).items()
    }


def to_params(state_dict: Mapping[str, np.ndarray], config: T5Config) -> dict[str, Any]:
    """Our parameters out of a Hugging Face state dict of numpy arrays, bit for bit.

    Args:
      state_dict: Hugging Face's names and arrays; the copies of `shared.weight` that some files
        hold, and for tied logits `lm_head.weight`, may be there or not.
      config: decides the names, and whether layers are stacked.

    Returns:
      The nested dict that the model takes, in the arrays' own dtype.

    Raises:
      ValueError: listing missing and unknown names and shapes that differ, or naming a copy that is
        not equal to what it copies.
    """
    state_dict = dict(state_dict)
    copies = (*COPIES, "lm_head.weight") if config.logits_via_embedding else COPIES
    for copy in copies:
        array = state_dict.pop(copy, None)
        if array is None:
            continue
        if not np.array_equal(array, state_dict.setdefault("shared.weight", array)):
            raise ValueError(f"{copy} differs from shared.weight: these are not tied embeddings")
    t5x_names.check_named(
        {name: np.shape(array) for name, array in state_dict.items()}, hf_shapes(config)
    )
    named = {}
    for name, theirs in name_table(config).items():
        array = state_dict[theirs]
        named[name] = np.ascontiguousarray(array.T) if _is_transposed(name) else array
    return t5x_names.from_named(named, config)


def from_params(params: Mapping[str, Any], config: T5Config) -> dict[str, np.ndarray]:
    """The Hugging Face state dict (numpy) of our parameters, bit for bit, without tied copies."""
    state_dict = {}
    for name, array in t5x_names.to_named(params, config).items():
        array = np.asarray(array)
        state_dict[hf_name(name)] = np.ascontiguousarray(array.T) if _is_transposed(name) else array
    return state_dict


def t5_config(hf_config: Mapping[str, Any], **overrides: Any) -> T5Config:
    """Our configuration for the content of a Hugging Face T5 `config.json`.

    Args:
      hf_config: the JSON object.
      **overrides: fields of `T5Config` to set otherwise, as `scan_layers` or `dtype`.

    Raises:
      ValueError: for a model that is no T5, a size that is missing, or an activation, a number of
        buckets, or an epsilon that T5 does not have.
    """
    kind = hf_config.get("model_type", "t5")
    if kind not in _MODEL_TYPES:
        raise ValueError(f"model_type is {kind!r}; known: {[*_MODEL_TYPES]}")
    feed_forward = hf_config.get("feed_forward_proj", _MODEL_TYPES[kind])
    if feed_forward not in _MLP_ACTIVATIONS:
        raise ValueError(f"feed_forward_proj is {feed_forward!r}; known: {[*_MLP_ACTIVATIONS]}")
    fixed = {
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": 1e-6,
    }
    for name, value in fixed.items():
        if hf_config.get(name, value) != value:
            raise ValueError(f"{name} is {hf_config[name]}, but every T5 here has {value}")
    # Hugging Face's older files say with `tie_word_embeddings` whether logits are rescaled (T5 1.0)
    # or have a matrix of their own (1.1); its newer ones always tie on paper and say it with the
    # other. mT5 is always of the second kind.
    tied = hf_config.get("scale_decoder_outputs", hf_config.get("tie_word_embeddings", True))
    missing = [name for name in _SIZES if not isinstance(hf_config.get(name), int)]
    if missing:
        raise ValueError(f"{', '.join(missing)} must be there, as whole numbers")
    fields = {
        "vocab_size": hf_config["vocab_size"],
        "emb_dim": hf_config["d_model"],
        "num_heads": hf_config["num_heads"],
        "head_dim": hf_config["d_kv"],
        "mlp_dim": hf_config["d_ff"],
        "num_encoder_layers": hf_config["num_layers"],
        "num_decoder_layers": hf_config.get("num_decoder_layers") or hf_config["num_layers"],
        "mlp_activations": _MLP_ACTIVATIONS[feed_forward],
        "dropout_rate": hf_config.get("dropout_rate", 0.1),
        "logits_via_embedding": bool(tied) and kind == "t5",
    }
    return T5Config(**fields | overrides)


def config_json(config: T5Config, dtype: str = "float32") -> dict[str, Any]:
    """The content of a Hugging Face `config.json` for weights of this configuration.

    Releases 4 and 5 of transformers read it alike: both take `tie_word_embeddings` for whether
    logits are tied and rescaled, `num_decoder_layers` and `feed_forward_proj` are in both.

    Args:
      config: the network's; its dtype of computation and its way to stack layers are not told.
      dtype: of the stored weights.

    Raises:
      ValueError: Hugging Face's T5 has no such MLP.
    """
    projections = {activations: name for name, activations in _MLP_ACTIVATIONS.items()}
    if config.mlp_activations not in projections:
        raise ValueError(
            f"mlp_activations is {config.mlp_activations}; Hugging Face's T5 has {[*projections]}"
        )
    feed_forward = projections[config.mlp_activations]
    gated, _, activation = feed_forward.rpartition("-")
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.emb_dim,
        "d_kv": config.head_dim,
        "d_ff": config.mlp_dim,
        "num_heads": config.num_heads,
        "num_layers": config.num_encoder_layers,
        "num_decoder_layers": config.num_decoder_layers,
        "feed_forward_proj": feed_forward,
        "is_gated_act": bool(gated),
        "dense_act_fn": "gelu_new" if activation == "gelu" else activation,
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": 1e-6,
        "dropout_rate": config.dropout_rate,
        "initializer_factor": 1.0,
        "tie_word_embeddings": config.logits_via_embedding,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "use_cache": True,
        "torch_dtype": dtype,
    }
