"""TFDS builder of RadQA."""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from clinical_t5x.data.builders.benchmark_builder import BenchmarkBuilder
from clinical_t5x.data.builders.versions import RADQA


class Radqa(BenchmarkBuilder):
    """RadQA 1.0.0: question, context, answers; the unit is the context."""

    VERSION = tfds.core.Version(RADQA)
    BENCHMARK = "radqa"
    FEATURES = {  # noqa: RUF012 - read only
        **{name: tfds.features.Text() for name in ("id", "unit", "title", "question", "context")},
        "answers": tfds.features.Sequence(tfds.features.Text()),
        "answer_starts": tfds.features.Sequence(np.int32),
        "is_impossible": np.bool_,
    }
