"""Which layout a checkpoint has, by the names of its files; nothing heavy is imported for it."""

from __future__ import annotations

import re
from typing import Any

from etils import epath

NATIVE, T5X, HUGGING_FACE = "clinical_t5x", "T5X", "Hugging Face"
_STEP_DIRECTORY = re.compile(r"checkpoint_(0|[1-9]\d*)")
_WEIGHTS = (".safetensors", ".bin", ".bin.gz", ".msgpack")
_INDEX = ".index.json"


def layout_of(path: Any) -> str | None:
    """The layout of the one checkpoint at `path`, or None: a MODEL_DIR, or no checkpoint."""
    path = epath.Path(path)
    if not path.is_dir():
        is_weights = path.exists() and path.name.endswith((*_WEIGHTS, _INDEX))
        return HUGGING_FACE if is_weights else None
    if (path / "params").is_dir():
        return NATIVE
    if (path / "state").is_dir() or (path / "checkpoint").is_file():
        return T5X
    weights = (entry for entry in path.iterdir() if entry.name.endswith((*_WEIGHTS, _INDEX)))
    return HUGGING_FACE if any(weights) else None


def steps(directory: Any) -> list[int]:
    """Steps of the checkpoints `checkpoint_N` in a MODEL_DIR, ours or T5X's, oldest first."""
    directory = epath.Path(directory)
    if not directory.is_dir():
        return []
    found = (_STEP_DIRECTORY.fullmatch(entry.name) for entry in directory.iterdir())
    return sorted(int(match[1]) for match in found if match)
