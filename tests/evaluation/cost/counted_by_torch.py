"""Counts the products in the graphs of tiny models of transformers; prints them in JSON.

A program of its own: torch and TensorFlow crash in one process on some machines.
"""

import json
import sys

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

LENGTH, TARGETS, GLOBALS, WRITTEN = 21, 13, 3, 5

# All sizes differ where the families let them.
ENCODER = {
    "vocab_size": 97,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
}
GATED = {**ENCODER, "num_key_value_heads": 2, "head_dim": 10}
NO_POOLER = {"add_pooling_layer": False}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    json.dump({name: _counted(make()) for name, make in MODELS.items()}, sys.stdout)


def _bert():
    return transformers.BertModel(transformers.BertConfig(**ENCODER), **NO_POOLER)


def _roberta():
    return transformers.RobertaModel(transformers.RobertaConfig(**ENCODER), **NO_POOLER)


def _megatron():
    return transformers.MegatronBertModel(transformers.MegatronBertConfig(**ENCODER), **NO_POOLER)


def _modernbert():
    # the mask of a local layer hides keys that plain PyTorch computes: let the window hold all
    config = transformers.ModernBertConfig(**ENCODER, local_attention=2 * LENGTH, pad_token_id=0)
    return transformers.ModernBertModel(config)


def _longformer():
    config = transformers.LongformerConfig(**ENCODER, attention_window=8)
    return transformers.LongformerModel(config, **NO_POOLER)


def _gpt2():
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=97, n_embd=24, n_layer=3, n_head=4, n_inner=40)
    )


def _llama():
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**GATED))


def _qwen3():
    config = transformers.Qwen3Config(**GATED, tie_word_embeddings=False)
    return transformers.Qwen3ForCausalLM(config)


def _t5(**rest):
    config = transformers.T5Config(
        vocab_size=97,
        d_model=24,
        d_kv=10,
        d_ff=40,
        num_layers=3,  # no fewer than the decoder has, or `generate` fails
        num_decoder_layers=2,
        num_heads=4,
        **rest,
    )
    return transformers.T5ForConditionalGeneration(config)


def _t5_1_1():
    return _t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False)


def _t5gemma():
    wider = {**GATED, "hidden_size": 32}
    config = transformers.T5GemmaConfig(encoder=wider, decoder=GATED, vocab_size=97)
    config.decoder.cross_attention_hidden_size = 32
    return transformers.T5GemmaForConditionalGeneration(config)


MODELS = {
    "bert": _bert,
    "roberta": _roberta,
    "megatron-bert": _megatron,
    "modernbert": _modernbert,
    "longformer": _longformer,
    "gpt2": _gpt2,
    "llama": _llama,
    "qwen3": _qwen3,
    "t5": _t5,
    "t5 1.1": _t5_1_1,
    "t5gemma": _t5gemma,
}


def _counted(model) -> dict:
    model.eval()
    if hasattr(model, "set_attn_implementation") and model.config.model_type != "longformer":
        model.set_attn_implementation("eager")
    longformer = model.config.model_type == "longformer"
    # a Longformer pads to whole windows: give it whole ones
    inputs = {"input_ids": torch.ones(1, 24 if longformer else LENGTH, dtype=torch.long)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.ones(1, TARGETS, dtype=torch.long)
    counted = {
        "config": json.loads(model.config.to_json_string(use_diff=False)),
        "length": inputs["input_ids"].shape[1],
        "forward": _forward(model, inputs),
        "training": _training(model, inputs),
        "matrix_parameters": _matrix_parameters(model),
    }
    if hasattr(model, "lm_head") and model.config.model_type != "t5gemma":
        counted["generated"] = _generated(model, inputs["input_ids"])
    if longformer:
        chosen = torch.zeros_like(inputs["input_ids"])
        chosen[:, :GLOBALS] = 1
        counted["with_globals"] = _forward(model, {**inputs, "global_attention_mask": chosen})
    return counted


def _forward(model, inputs) -> dict[str, int]:
    """Products with weights and products of activations, apart."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**inputs, use_cache=False) if _may_cache(model) else model(**inputs)
    counts = {str(kind): flops for kind, flops in counter.get_flop_counts()["Global"].items()}
    attention = counts.pop("aten.bmm", 0)
    return {"matrices": sum(counts.values()), "attention": attention}


def _generated(model, input_ids) -> int:
    """Reading and writing greedily, keys and values kept."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.generate(
            input_ids,
            attention_mask=torch.ones_like(input_ids),
            do_sample=False,
            min_new_tokens=WRITTEN,
            max_new_tokens=WRITTEN,
            pad_token_id=0,
            decoder_start_token_id=0,
        )
    return counter.get_total_flops()


def _may_cache(model) -> bool:
    return hasattr(model, "generate")


def _training(model, inputs) -> int:
    with FlopCounterMode(display=False) as counter:
        model(**inputs)[0].sum().backward()
    return counter.get_total_flops()


def _matrix_parameters(model) -> int:
    """Numbers in matrices, those that say positions or segments left out."""
    tables = ("position", "token_type", "wpe", "relative_attention_bias")
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if parameter.ndim == 2 and not any(table in name for table in tables)
    )


if __name__ == "__main__":
    main()
