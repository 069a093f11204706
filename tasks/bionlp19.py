"""MEDIQA 2019's inference test set (BioNLP): another 405 pairs for models trained on MedNLI.

The format is MedNLI's; there is a test split and nothing to train on.
"""

from __future__ import annotations

from typing import Any

import seqio

from clinical_t5x.data.builders.versions import MEDNLI_BIONLP19
from clinical_t5x.data.preprocessors import (
    TAGS,
    deid_steps,
    replace_registration,
    tokenised_with_end,
)
from clinical_t5x.data.sources import PreparedDataSource
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.metrics import mednli_metrics
from tasks.mednli import text_format

NAME = "mednli_bionlp19_v1"


def register(name: str = NAME, *, vocabulary: Any = None, deid: str = TAGS) -> str:
    """Register the test set as a SeqIO task.

    Args:
      name: the task's name.
      vocabulary: by default the clinical one.
      deid: "tags" or "keep", as for the MedNLI task that a model was trained on.

    Returns:
      The task's name.
    """
    vocabulary = vocabulary or ClinicalVocabulary()
    return replace_registration(
        name,
        source=PreparedDataSource("mednli_bionlp19", MEDNLI_BIONLP19, splits={"test": "test"}),
        preprocessors=[
            *deid_steps(deid, ("premise", "hypothesis")),
            text_format,
            *tokenised_with_end(),
        ],
        metric_fns=[mednli_metrics],
        output_features={
            "inputs": seqio.Feature(vocabulary),
            "targets": seqio.Feature(vocabulary),
        },
    )


register()
