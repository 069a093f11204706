"""MedNLI: does a premise from a note entail a hypothesis? (Lehman et al. 2023, Appendix B)

mednli premise: {premise} hypothesis: {hypothesis}.   ->   entailment | neutral | contradiction
"""

from __future__ import annotations

from typing import Any

import seqio
import tensorflow as tf

from clinical_t5x.data.builders.versions import MEDNLI
from clinical_t5x.data.preprocessors import (
    TAGS,
    deid_steps,
    replace_registration,
    tokenised_with_end,
)
from clinical_t5x.data.sources import PreparedDataSource
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.metrics import mednli_metrics


def register(name: str = "mednli_v1", *, vocabulary: Any = None, deid: str = TAGS) -> str:
    """Register MedNLI as a SeqIO task.

    Args:
      name: the task's name.
      vocabulary: by default the clinical one.
      deid: "tags" maps de-identified spans to the vocabulary's tags, as in the notes that clinical
        models were trained on; "keep" leaves them as they are.

    Returns:
      The task's name.
    """
    vocabulary = vocabulary or ClinicalVocabulary()
    return replace_registration(
        name,
        source=PreparedDataSource(
            "mednli",
            MEDNLI,
            splits={split: split for split in ("train", "validation", "test")},
        ),
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


@seqio.map_over_dataset
def text_format(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Premise and hypothesis in one line that ends with a full stop; the label as a word."""
    hypothesis = tf.strings.strip(record["hypothesis"])
    inputs = tf.strings.join(["mednli premise: ", record["premise"], " hypothesis: ", hypothesis])
    ended = tf.strings.regex_full_match(inputs, r"(?s).*\.")
    return {
        "id": record["id"],
        "unit": record["unit"],
        "label": record["label"],
        "inputs": tf.where(ended, inputs, inputs + "."),
        "targets": record["label"],
    }


register()
