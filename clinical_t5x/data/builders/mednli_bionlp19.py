"""TFDS builder of the test set of BioNLP 2019's shared task."""

from __future__ import annotations

import tensorflow_datasets as tfds

from clinical_t5x.data.builders.benchmark_builder import BenchmarkBuilder
from clinical_t5x.data.builders.mednli import Mednli
from clinical_t5x.data.builders.versions import MEDNLI_BIONLP19


class MednliBionlp19(BenchmarkBuilder):
    """MedNLI for Shared Task at ACL BioNLP 2019 (MEDIQA), 1.0.1: a second test set for MedNLI."""

    VERSION = tfds.core.Version(MEDNLI_BIONLP19)
    BENCHMARK = "mednli_bionlp19"
    FEATURES = Mednli.FEATURES
