"""Configurations of tiny networks by family: everything small, nothing left out.

Names that configurations share: hidden size, layers, heads, inner size. Longformer's window and
ModernBERT's alternation of local and global attention are there as in the large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

HIDDEN, LAYERS, HEADS, INNER = 64, 2, 2, 128
_POSITIONS = 512

_BERT_LIKE = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
}
_LLAMA_LIKE = {**_BERT_LIKE, "num_key_value_heads": 1, "head_dim": HIDDEN // HEADS}


def _bert(kind: str, vocabulary: int, tokens: Any) -> Any:
    import transformers

    return getattr(transformers, kind)(
        vocab_size=vocabulary, max_position_embeddings=_POSITIONS, pad_token_id=tokens.pad_token_id,
        **_BERT_LIKE,
    )  # fmt: skip


def _roberta(kind: str, vocabulary: int, tokens: Any, **further: Any) -> Any:
    import transformers

    further.setdefault("max_position_embeddings", _POSITIONS + 2)
    return getattr(transformers, kind)(
        vocab_size=vocabulary, type_vocab_size=1, **_special(tokens), **_BERT_LIKE, **further
    )


def _modernbert(vocabulary: int, tokens: Any) -> Any:
    import transformers

    return transformers.ModernBertConfig(
        vocab_size=vocabulary,
        **_BERT_LIKE,
        local_attention=64,
        global_attn_every_n_layers=2,
        max_position_embeddings=8192,
        pad_token_id=tokens.pad_token_id,
        cls_token_id=tokens.cls_token_id,
        sep_token_id=tokens.sep_token_id,
        bos_token_id=tokens.cls_token_id,
        eos_token_id=tokens.sep_token_id,
    )


def _gpt2(vocabulary: int, tokens: Any) -> Any:
    import transformers

    return transformers.GPT2Config(
        vocab_size=vocabulary, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, n_positions=1024,
        bos_token_id=tokens.eos_token_id, eos_token_id=tokens.eos_token_id,
    )  # fmt: skip


def _llama_like(kind: str, vocabulary: int, tokens: Any) -> Any:
    import transformers

    return getattr(transformers, kind)(
        vocab_size=vocabulary, **_LLAMA_LIKE, max_position_embeddings=8192, **_special(tokens)
    )


def _t5gemma(vocabulary: int, tokens: Any) -> Any:
    import transformers

    half = {
        **_LLAMA_LIKE,
        "vocab_size": vocabulary,
        "max_position_embeddings": 8192,
        "sliding_window": 64,
        "query_pre_attn_scalar": HIDDEN // HEADS,
    }
    return transformers.T5GemmaConfig(
        encoder=half, decoder=dict(half), vocab_size=vocabulary, **_special(tokens)
    )


def t5(vocabulary: int, *, gated: bool) -> Any:
    """T5 1.0 of the size of gin/models/tiny.gin, so that our own trainer takes it; T5 1.1 if gated.

    Args:
      vocabulary: rows of the embedding.
      gated: a gated GELU and an output matrix of its own, as Flan-T5 has.
    """
    import transformers

    return transformers.T5Config(
        vocab_size=vocabulary,
        d_model=128,
        d_kv=32,
        d_ff=512,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu" if gated else "relu",
        tie_word_embeddings=not gated,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )


def _special(tokens: Any) -> dict[str, int | None]:
    return {
        f"{name}_token_id": getattr(tokens, f"{name}_token_id") for name in ("pad", "bos", "eos")
    }


# By family: (number of tokens, tokenizer) -> configuration.
CONFIGURATIONS: Mapping[str, Callable[[int, Any], Any]] = {
    "bert": lambda *given: _bert("BertConfig", *given),
    "megatron-bert": lambda *given: _bert("MegatronBertConfig", *given),
    "roberta": lambda *given: _roberta("RobertaConfig", *given),
    "longformer": lambda *given: _roberta(
        "LongformerConfig",
        *given,
        attention_window=[32] * LAYERS,
        max_position_embeddings=4098,
        sep_token_id=given[1].sep_token_id,
    ),
    "modernbert": _modernbert,
    "gpt2": _gpt2,
    "llama": lambda *given: _llama_like("LlamaConfig", *given),
    "qwen3": lambda *given: _llama_like("Qwen3Config", *given),
    "t5gemma": _t5gemma,
}
