"""Writing a Hugging Face directory tensor by tensor, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.interop import huggingface
from clinical_t5x.interop.safetensors_file import nbytes, write_safetensors
from clinical_t5x.interop.source import TensorInfo, TensorSource
from clinical_t5x.storage import whole_directory

_WEIGHTS = "model.safetensors"
_LONGEST_OUTPUT = 512  # tokens

# Hugging Face's `generate` stops at 20 tokens where nothing says otherwise.
_GENERATION = {
    "decoder_start_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "max_length": _LONGEST_OUTPUT,
}


def write_huggingface(
    source: TensorSource,
    directory: epath.Path,
    *,
    dtype: str | None = None,
    largest_file: int = 5_000_000_000,
    other_files: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
    on_tensor: Callable[[str], None] | None = None,
) -> None:
    """Write config, generation config, weights and `other_files` as transformers reads them.

    Args:
      source: gives the parameters; one is in memory at a time.
      directory: is made, and appears when it is whole.
      dtype: "float32" or "bfloat16"; None keeps each tensor's.
      largest_file: bytes of numbers that a file of weights holds at most; more makes parts and an
        index. A tensor is never divided.
      other_files: name and content of files to put beside: tokenizer, model card.
      overwrite: replace what is there.
      on_tensor: called with each parameter's T5X name when it is written.

    Raises:
      CheckpointError: the source is damaged.
      FileExistsError: the directory exists and is not to be replaced.
      ValueError: Hugging Face's T5 has no such network.
    """
    infos = stored_infos(source, dtype)
    names = {theirs: ours for ours, theirs in huggingface.name_table(source.config).items()}

    def read(name: str) -> np.ndarray:
        array = source.read(names[name])
        if on_tensor is not None:
            on_tensor(names[name])
        return array.T if huggingface.is_transposed(name) else array

    settings = huggingface.config_json(source.config, stored_dtype(source, dtype))
    with whole_directory(directory, overwrite=overwrite) as partial:
        _write_json(partial / "config.json", settings)
        _write_json(partial / "generation_config.json", _GENERATION)
        for name, content in (other_files or {}).items():
            (partial / name).write_bytes(content)
        shards = _shards(infos, largest_file)
        for file, part in shards.items():
            write_safetensors(partial / file, part, read)
        if len(shards) > 1:
            _write_json(partial / f"{_WEIGHTS}.index.json", _index(shards))


def stored_infos(source: TensorSource, dtype: str | None = None) -> dict[str, TensorInfo]:
    """Name, shape and dtype of every tensor as Hugging Face's files have it."""
    infos = {}
    for ours, theirs in huggingface.name_table(source.config).items():
        info = source.infos[ours]
        shape = info.shape[::-1] if huggingface.is_transposed(theirs) else info.shape
        infos[theirs] = TensorInfo(shape, dtype or info.dtype)
    return infos


def stored_dtype(source: TensorSource, dtype: str | None = None) -> str:
    """The dtype that holds all the weights that are written: float32 where they differ."""
    dtypes = {dtype or info.dtype for info in source.infos.values()}
    return dtypes.pop() if len(dtypes) == 1 else "float32"


def _shards(infos: Mapping[str, TensorInfo], largest_file: int) -> dict[str, dict[str, TensorInfo]]:
    """Tensors by file, filled in order."""
    parts: list[dict[str, TensorInfo]] = [{}]
    filled = 0
    for name, info in infos.items():
        size = nbytes(info)
        if parts[-1] and filled + size > largest_file:
            parts.append({})
            filled = 0
        parts[-1][name] = info
        filled += size
    if len(parts) == 1:
        return {_WEIGHTS: parts[0]}
    stem = _WEIGHTS.removesuffix(".safetensors")
    return {
        f"{stem}-{i:05}-of-{len(parts):05}.safetensors": part
        for i, part in enumerate(parts, start=1)
    }


def _index(shards: Mapping[str, Mapping[str, TensorInfo]]) -> dict[str, Any]:
    total = sum(nbytes(info) for part in shards.values() for info in part.values())
    places = {name: file for file, part in shards.items() for name in part}
    return {"metadata": {"total_size": total}, "weight_map": places}


def _write_json(path: epath.Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
