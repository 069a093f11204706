"""Sizes from a Hugging Face `config.json`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.cost.sizes import ModelSizes, Stack
from clinical_t5x.storage import read_json

Config = Mapping[str, Any]


def read_sizes(path: str | os.PathLike) -> ModelSizes:
    """The sizes in a model's directory, or in its `config.json` itself.

    Raises:
      UserError: there is no such file, or not of a family that is known.
    """
    path = epath.Path(path)
    file = path / "config.json" if path.is_dir() else path
    if not file.exists():
        raise UserError(f"{file} does not exist; name a Hugging Face directory or its config.json")
    try:
        config = read_json(file)
    except ValueError as error:
        raise UserError(f"{file} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"{file} is not a Hugging Face configuration")
    try:
        return sizes_of_config(config)
    except KeyError as error:
        raise UserError(f"{file} does not say {error.args[0]}") from None


def sizes_of_config(config: Config) -> ModelSizes:
    """The sizes in a configuration.

    Raises:
      UserError: it is not of a family that is known.
      KeyError: a size is missing.
    """
    family = config.get("model_type")
    if family not in _READERS:
        raise UserError(
            f"operations of model_type {family!r} cannot be counted; known are"
            f" {', '.join(sorted(_READERS))}"
        )
    return _READERS[family](config)


def _bert(config: Config) -> ModelSizes:
    return _encoder(config, _encoder_stack(config))


def _longformer(config: Config) -> ModelSizes:
    window = config["attention_window"]
    windows = [window] if isinstance(window, int) else window
    if len(set(windows)) > 1:
        raise UserError("a Longformer with a different window in each layer cannot be counted")
    # half of the window on either side, and the position itself
    stack = _encoder_stack(
        config,
        window=windows[0] // 2 * 2 + 1,
        local_layers=config["num_hidden_layers"],
        global_projections=True,
    )
    return _encoder(config, stack)


def _modernbert(config: Config) -> ModelSizes:
    layers = config["num_hidden_layers"]
    kinds = config.get("layer_types")
    if kinds is not None:
        local = sum(kind == "sliding_attention" for kind in kinds)
    else:
        local = layers - len(range(0, layers, config["global_attn_every_n_layers"]))
    stack = _encoder_stack(
        config,
        mlp_matrices=3,
        window=config["local_attention"] // 2 * 2 + 1,
        local_layers=local,
    )
    return _encoder(config, stack)


def _encoder(config: Config, stack: Stack) -> ModelSizes:
    return ModelSizes(stack, None, config["vocab_size"], (stack.width,))


def _encoder_stack(config: Config, **rest: Any) -> Stack:
    heads = config["num_attention_heads"]
    return Stack(
        layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        heads=heads,
        kv_heads=heads,
        head_dim=config["hidden_size"] // heads,
        mlp_dim=config["intermediate_size"],
        **rest,
    )


def _gpt2(config: Config) -> ModelSizes:
    width, heads = config["n_embd"], config["n_head"]
    stack = Stack(
        layers=config["n_layer"],
        width=width,
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        mlp_dim=config.get("n_inner") or 4 * width,
    )
    return ModelSizes(None, stack, config["vocab_size"], _tables(config, width, tied=True))


def _llama(config: Config) -> ModelSizes:
    stack = _gated_stack(config)
    # Qwen's configurations name a window that only `use_sliding_window` puts to use.
    if config.get("use_sliding_window") is False:
        stack = _gated_stack({**config, "sliding_window": None})
    return ModelSizes(None, stack, config["vocab_size"], _tables(config, stack.width, tied=False))


def _gated_stack(config: Config, *, memory_width: int | None = None) -> Stack:
    heads, layers = config["num_attention_heads"], config["num_hidden_layers"]
    window = config.get("sliding_window")
    kinds = config.get("layer_types")
    if window is None:
        local = 0
    elif kinds is None:
        local = layers
    else:
        local = sum(kind == "sliding_attention" for kind in kinds)
    return Stack(
        layers=layers,
        width=config["hidden_size"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or config["hidden_size"] // heads,
        mlp_dim=config["intermediate_size"],
        mlp_matrices=3,
        window=window if local else None,
        local_layers=local,
        memory_width=memory_width,
    )


def _t5(config: Config) -> ModelSizes:
    gated = str(config.get("feed_forward_proj", "relu")).startswith("gated")

    def stack(layers: int, memory_width: int | None) -> Stack:
        return Stack(
            layers=layers,
            width=config["d_model"],
            heads=config["num_heads"],
            kv_heads=config["num_heads"],
            head_dim=config["d_kv"],
            mlp_dim=config["d_ff"],
            mlp_matrices=3 if gated else 2,
            memory_width=memory_width,
        )

    layers = config["num_layers"]
    decoder_layers = config.get("num_decoder_layers")
    # transformers 5 writes "tied" for T5 1.1, too, and means `scale_decoder_outputs` (see interop)
    tied = config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True))
    return ModelSizes(
        stack(layers, None),
        stack(layers if decoder_layers is None else decoder_layers, config["d_model"]),
        config["vocab_size"],
        (config["d_model"],) * (1 if tied else 2),
    )


def _t5gemma(config: Config) -> ModelSizes:
    encoder, decoder = config["encoder"], config["decoder"]
    return ModelSizes(
        _gated_stack(encoder),
        _gated_stack(decoder, memory_width=encoder["hidden_size"]),
        decoder["vocab_size"],
        # the output's table is the decoder's where it is tied
        (encoder["hidden_size"], *_tables(config, decoder["hidden_size"], tied=True)),
    )


def _tables(config: Config, width: int, *, tied: bool) -> tuple[int, ...]:
    """Widths of the tables of inputs and output; `tied` is what the family does by default."""
    return (width,) if config.get("tie_word_embeddings", tied) else (width, width)


_READERS: Mapping[str, Callable[[Config], ModelSizes]] = {
    "bert": _bert,
    "roberta": _bert,
    "megatron-bert": _bert,
    "longformer": _longformer,
    "modernbert": _modernbert,
    "gpt2": _gpt2,
    "llama": _llama,
    "mistral": _llama,
    "qwen2": _llama,
    "qwen3": _llama,
    "t5": _t5,
    "t5gemma": _t5gemma,
}
