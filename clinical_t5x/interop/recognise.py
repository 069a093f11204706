"""A checkpoint of whatever layout, opened: what the directory holds says which layout it is."""

from __future__ import annotations

import os
from typing import Any

from etils import epath

from clinical_t5x.interop import layouts, native, t5x_checkpoint, weight_files
from clinical_t5x.interop.huggingface_source import HuggingFaceSource
from clinical_t5x.interop.source import CheckpointError, TensorSource
from clinical_t5x.storage import absolute


def open_checkpoint(path: str | os.PathLike, **overrides: Any) -> TensorSource:
    """Open the checkpoint at `path` and check that it is a whole T5.

    Args:
      path: a Hugging Face directory or file of weights, a T5X checkpoint, one of ours, or a
        MODEL_DIR of the latter two (its newest checkpoint is taken).
      **overrides: fields of `T5Config` that are known otherwise.

    Raises:
      CheckpointError: there is no checkpoint, it is damaged, or it is no T5's.
    """
    place = absolute(path)
    if not place.exists():
        raise CheckpointError(
            f"{path} does not exist; name a directory or file of weights (nothing is fetched from"
            " elsewhere)"
        )
    for candidate in (place, newest_step(place)):
        if candidate is None:
            continue
        if native.recognises(candidate):
            return native.open_native(candidate, **overrides)
        if t5x_checkpoint.recognises(candidate):
            return t5x_checkpoint.open_t5x(candidate, **overrides)
        if weight_files.recognises(candidate):
            return HuggingFaceSource(candidate, **overrides)
    raise CheckpointError(_refusal(place))


def is_checkpoint(path: str | os.PathLike) -> bool:
    """Whether `path` itself, as its names go, is a checkpoint; a MODEL_DIR is none."""
    place = absolute(path)
    return any(one.recognises(place) for one in (native, t5x_checkpoint, weight_files))


def newest_step(directory: epath.Path) -> epath.Path | None:
    """The directory `checkpoint_N` of the largest N in a MODEL_DIR, or None."""
    steps = layouts.steps(directory)
    return directory / f"checkpoint_{steps[-1]}" if steps else None


def _refusal(place: epath.Path) -> str:
    if not place.is_dir():
        return f"{place} is no file of weights; known: *.safetensors, *.bin, *.bin.gz, *.msgpack"
    if (place / "config.json").exists():
        return weight_files.nothing_found(place)
    return (
        f"{place} is no checkpoint; expected a Hugging Face directory (config.json and weights), a"
        " T5X checkpoint, one of ours, or a MODEL_DIR with checkpoint_N in it"
    )
