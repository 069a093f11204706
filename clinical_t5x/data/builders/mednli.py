"""TFDS builder of MedNLI."""

from __future__ import annotations

import tensorflow_datasets as tfds

from clinical_t5x.data.builders.benchmark_builder import BenchmarkBuilder
from clinical_t5x.data.builders.versions import MEDNLI


class Mednli(BenchmarkBuilder):
    """MedNLI 1.0.0: premise, hypothesis, label; the unit is the premise."""

    VERSION = tfds.core.Version(MEDNLI)
    BENCHMARK = "mednli"
    FEATURES = {  # noqa: RUF012 - read only
        name: tfds.features.Text() for name in ("id", "unit", "premise", "hypothesis", "label")
    }
