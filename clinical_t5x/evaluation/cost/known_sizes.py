"""The sizes of the registry's models, in the words of their own configurations."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from clinical_t5x.evaluation.cost.config_file import sizes_of_config
from clinical_t5x.evaluation.cost.sizes import ModelSizes


def known_sizes(key: str) -> ModelSizes | None:
    """The sizes of a row of the registry; None where they are not public."""
    config = _CONFIGS.get(key)
    return None if config is None else _sizes(key)


@functools.cache
def _sizes(key: str) -> ModelSizes:
    return sizes_of_config(_CONFIGS[key])


def _encoder(family: str, layers: int, width: int, vocab_size: int, **rest: Any) -> dict[str, Any]:
    return {
        "model_type": family,
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
        "vocab_size": vocab_size,
        **rest,
    }


def _t5(layers: int, width: int, heads: int, mlp: int, head_dim: int = 64) -> dict[str, Any]:
    return {
        "model_type": "t5",
        "num_layers": layers,
        "num_decoder_layers": layers,
        "d_model": width,
        "num_heads": heads,
        "d_kv": head_dim,
        "d_ff": mlp,
        "vocab_size": 32_128,
        "feed_forward_proj": "relu",
        "tie_word_embeddings": True,
    }


_T5_BASE = _t5(12, 768, 12, 3072)
_T5_LARGE = _t5(24, 1024, 16, 4096)
_GEMMA_2B = {
    "num_hidden_layers": 26,
    "hidden_size": 2304,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "intermediate_size": 9216,
    "vocab_size": 256_000,
    "sliding_window": 4096,
    "layer_types": ["sliding_attention", "full_attention"] * 13,
}

_CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "t5_base": _T5_BASE,
    "clinical_t5_base_ckpt": _T5_BASE,
    "clinical_t5_base": _T5_BASE,
    "scifive": _T5_BASE,
    "t5_large": _T5_LARGE,
    "clinical_t5_large": _T5_LARGE,
    "scifive_large": _T5_LARGE,
    "t5_xl": _t5(24, 1024, 32, 16_384, head_dim=128),
    "flan_t5_xxl": {
        **_t5(24, 4096, 64, 10_240),
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
    },
    "clinicalbert": _encoder("bert", 12, 768, 28_996),
    "clinical_longformer": _encoder("longformer", 12, 768, 50_265, attention_window=512),
    "roberta_large": _encoder("roberta", 24, 1024, 50_265),
    "bioclinroberta": _encoder("roberta", 24, 1024, 50_001),
    "gatortron": _encoder("megatron-bert", 24, 1024, 50_176),
    "bioclinical_modernbert": {
        **_encoder("modernbert", 28, 1024, 50_368),
        "intermediate_size": 2624,
        "local_attention": 128,
        "global_attn_every_n_layers": 3,
    },
    "pubmedgpt": {
        "model_type": "gpt2",
        "n_layer": 32,
        "n_embd": 2560,
        "n_head": 20,
        "vocab_size": 28_896,
    },
    # The largest model of Brown et al. 2020; whether text-davinci-003 is of that size is not known.
    "gpt3": {
        "model_type": "gpt2",
        "n_layer": 96,
        "n_embd": 12_288,
        "n_head": 96,
        "vocab_size": 50_257,
    },
    "t5gemma": {"model_type": "t5gemma", "encoder": _GEMMA_2B, "decoder": _GEMMA_2B},
    "qwen3_8b": {
        "model_type": "qwen3",
        "num_hidden_layers": 36,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 12_288,
        "vocab_size": 151_936,
        "tie_word_embeddings": False,
    },
}
