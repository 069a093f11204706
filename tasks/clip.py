"""CLIP: which follow-up a sentence of a discharge summary asks for (Lehman et al. 2023, Appendix B)

{context window} ; {sentence}   ->   {labels in alphabetical order, joined by ", "}
"""

from __future__ import annotations

from typing import Any

import seqio
import tensorflow as tf

from clinical_t5x.data.builders.versions import CLIP
from clinical_t5x.data.preprocessors import (
    TAGS,
    ContextWindow,
    deid_steps,
    replace_registration,
    tokenised_with_end,
)
from clinical_t5x.data.subset_source import benchmark_source
from clinical_t5x.data.subsets import Subset
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.metrics import clip_metrics

NAME = "clip_v1"


def register(
    name: str | None = None,
    *,
    vocabulary: Any = None,
    deid: str = TAGS,
    window_tokens: int = 256,
    fraction: float = 1.0,
    subset_seed: int = 0,
    folds: int | None = None,
    fold: int | None = None,
) -> str:
    """Register CLIP as a SeqIO task.

    Args:
      name: the task's name; by default `clip_v1`, with what is taken of it where that is not all
        (`clip_v1_train_1pct_seed0`).
      vocabulary: by default the clinical one.
      deid: "tags" maps de-identified spans to the vocabulary's tags (CLIP's broken-up ones too);
        "keep" leaves them as they are.
      window_tokens: tokens of the whole input, end of sequence included.
      fraction: share of the training data, by whole summaries; validation and test stay whole.
      subset_seed: which of them (clinical_t5x.data.subsets).
      folds: cut train and validation together into so many folds, by summary.
      fold: the one that becomes the validation split, from 0; the others become the train split.

    Returns:
      The task's name.
    """
    vocabulary = vocabulary or ClinicalVocabulary()
    subset = Subset(fraction, subset_seed, folds, fold)
    return replace_registration(
        name or subset.named(NAME),
        source=benchmark_source("clip", CLIP, subset),
        preprocessors=[
            *deid_steps(deid, ("context_before", "sentence", "context_after")),
            ContextWindow(window_tokens),
            text_format,
            *tokenised_with_end(),
        ],
        metric_fns=[clip_metrics],
        output_features={
            "inputs": seqio.Feature(vocabulary),
            "targets": seqio.Feature(vocabulary),
        },
    )


@seqio.map_over_dataset
def text_format(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The windowed input as it is; the labels, which the data set holds sorted, as text."""
    return {
        "id": record["id"],
        "unit": record["unit"],
        "sentence": record["sentence"],
        "labels": record["labels"],
        "sentence_cut": record["sentence_cut"],
        "inputs": record["inputs"],
        "targets": tf.strings.reduce_join(record["labels"], separator=", "),
    }


register()
