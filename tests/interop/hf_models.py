"""Small random T5s made by transformers, and the files that Hugging Face's libraries write."""

from __future__ import annotations

import gzip
import json
from collections import OrderedDict
from pathlib import Path

import numpy as np

SIZES = {
    "vocab_size": 144, "d_model": 8, "d_kv": 3, "d_ff": 16, "num_heads": 2, "num_layers": 2,
    "num_decoder_layers": 2, "decoder_start_token_id": 0,
}  # fmt: skip
LAYOUTS = (
    "safetensors",
    "safetensors shards",
    "bin",
    "bin shards",
    "old bin",
    "bin.gz",
    "msgpack",
    "msgpack shards",
)


def make_model(version: str, **sizes):
    """A `T5ForConditionalGeneration` of T5 1.0 or 1.1 whose arrays are all random."""
    import torch
    import transformers

    tied = version == "1.0"
    config = transformers.T5Config(
        **SIZES
        | {"feed_forward_proj": "relu" if tied else "gated-gelu", "tie_word_embeddings": tied}
        | sizes
    )
    model = transformers.T5ForConditionalGeneration(config).eval()
    if not tied:
        model.lm_head = torch.nn.Linear(config.d_model, config.vocab_size, bias=False)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def state_dict(model, dtype: str = "float32", *, copies: bool = False) -> OrderedDict:
    """The model's tensors by name; with `copies` also the embedding's other names."""
    import torch

    kind = getattr(torch, dtype)
    made = {id(p): p.detach().to(kind) for p in model.parameters()}
    tensors = OrderedDict((name, made[id(p)]) for name, p in model.named_parameters())
    if copies:
        for name in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
            tensors[name] = tensors["shared.weight"]
        tensors.setdefault("lm_head.weight", tensors["shared.weight"])
    return tensors


def as_numpy(tensor) -> np.ndarray:
    """A torch tensor's numbers, bit for bit; bfloat16 too."""
    import ml_dtypes
    import torch

    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def write(directory: Path, model, layout: str, dtype: str = "float32") -> dict[str, np.ndarray]:
    """Write the model in one of `LAYOUTS`; returns its arrays by PyTorch's names."""
    import torch
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    config = model.config.to_dict() | {"torch_dtype": dtype}
    (directory / "config.json").write_text(json.dumps(config))
    tensors = state_dict(model, dtype)
    with_copies = state_dict(model, dtype, copies=model.config.scale_decoder_outputs)
    if layout == "safetensors":
        save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    elif layout == "safetensors shards":
        _shards(directory, tensors, "model", "safetensors", save_file)
    elif layout == "bin shards":
        _shards(directory, with_copies, "pytorch_model", "bin", torch.save)
    elif layout.startswith("msgpack"):
        _write_flax(directory, tensors, layout)
    else:
        file = directory / "pytorch_model.bin"
        torch.save(with_copies, file, _use_new_zipfile_serialization=layout != "old bin")
        if layout == "bin.gz":
            (directory / "Clinical-T5-Base.bin.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    return {name: as_numpy(tensor) for name, tensor in tensors.items()}


def _shards(directory: Path, tensors: OrderedDict, stem: str, ending: str, save) -> None:
    names = list(tensors)
    parts = [names[:5], names[5:20], names[20:]]
    places = {}
    for i, part in enumerate(parts, start=1):
        file = f"{stem}-{i:05}-of-00003.{ending}"
        save(OrderedDict((name, tensors[name]) for name in part), directory / file)
        places |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (directory / f"{stem}.{ending}.index.json").write_text(json.dumps(index))


def _write_flax(directory: Path, tensors: OrderedDict, layout: str) -> None:
    """As transformers' Flax T5 was saved while there was one (up to its release 4)."""
    from flax import serialization, traverse_util

    flat = {}
    for name, tensor in tensors.items():
        array = as_numpy(tensor)
        *parts, _ = name.split(".")
        if name == "shared.weight" or "relative_attention_bias" in name:
            flat["/".join([*parts, "embedding"])] = array
        elif "layer_norm" in name:
            flat["/".join([*parts, "weight"])] = array
        else:
            flat["/".join([*parts, "kernel"])] = np.ascontiguousarray(array.T)
    if layout == "msgpack":
        tree = traverse_util.unflatten_dict(flat, sep="/")
        (directory / "flax_model.msgpack").write_bytes(serialization.to_bytes(tree))
        return
    names, places = list(flat), {}
    for i, part in enumerate((names[:9], names[9:]), start=1):
        file = f"flax_model-{i:05}-of-00002.msgpack"
        tree = traverse_util.unflatten_dict({name: flat[name] for name in part}, sep="/")
        (directory / file).write_bytes(serialization.to_bytes(tree))
        places |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (directory / "flax_model.msgpack.index.json").write_text(json.dumps(index))
