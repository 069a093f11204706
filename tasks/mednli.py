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
from clinical_t5x.data.subset_source import benchmark_source
from clinical_t5x.data.subsets import Subset
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.metrics import mednli_metrics

NAME = "mednli_v1"


def register(
    name: str | None = None,
    *,
    vocabulary: Any = None,
    deid: str = TAGS,
    fraction: float = 1.0,
    subset_seed: int = 0,
    folds: int | None = None,
    fold: int | None = None,
) -> str:
    """Register MedNLI as a SeqIO task.

    Args:
      name: the task's name; by default `mednli_v1`, with what is taken of it where that is not all
        (`mednli_v1_train_1pct_seed0`).
      vocabulary: by default the clinical one.
      deid: "tags" maps de-identified spans to the vocabulary's tags, as in the notes that clinical
        models were trained on; "keep" leaves them as they are.
      fraction: share of the training data, by whole premise groups; validation and test stay whole.
      subset_seed: which of them (clinical_t5x.data.subsets).
      folds: cut train and validation together into so many folds, by premise group.
      fold: the one that becomes the validation split, from 0; the others become the train split.

    Returns:
      The task's name.
    """
    vocabulary = vocabulary or ClinicalVocabulary()
    subset = Subset(fraction, subset_seed, folds, fold)
    return replace_registration(
        name or subset.named(NAME),
        source=benchmark_source("mednli", MEDNLI, subset),
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
