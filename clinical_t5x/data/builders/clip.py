"""TFDS builder of CLIP."""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from clinical_t5x.data.builders.benchmark_builder import BenchmarkBuilder
from clinical_t5x.data.builders.versions import CLIP

_TEXTS = ("id", "unit", "sentence", "context_before", "context_after")


class Clip(BenchmarkBuilder):
    """CLIP: sentences of discharge summaries with follow-up labels; the unit is the note."""

    VERSION = tfds.core.Version(CLIP)
    BENCHMARK = "clip"
    FEATURES = {  # noqa: RUF012 - read only
        **{name: tfds.features.Text() for name in _TEXTS},
        "sent_index": np.int32,
        "labels": tfds.features.Sequence(tfds.features.Text()),
    }
