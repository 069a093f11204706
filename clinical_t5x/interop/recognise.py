"""A checkpoint of whatever layout, opened: what the directory holds says which layout it is."""

from __future__ import annotations

import os
from typing import Any

from clinical_t5x.interop import weight_files
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
        raise CheckpointError(f"{path} does not exist; name a directory or file of weights")
    if weight_files.recognises(place):
        return HuggingFaceSource(place, **overrides)
    raise CheckpointError(weight_files.nothing_found(place))
