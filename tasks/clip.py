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
from clinical_t5x.data.sources import PreparedDataSource
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.metrics import clip_metrics


def register(
    name: str = "clip_v1",
    *,
    vocabulary: Any = None,
    deid: str = TAGS,
    window_tokens: int = 256,
) -> str:
    """Register CLIP as a SeqIO task.

    Args:
      name: the task's name.
      vocabulary: by default the clinical one.
      deid: "tags" maps de-identified spans to the vocabulary's tags (CLIP's broken-up ones too);
        "keep" leaves them as they are.
      window_tokens: tokens of the whole input, end of sequence included.

    Returns:
      The task's name.
    """
    vocabulary = vocabulary or ClinicalVocabulary()
    return replace_registration(
        name,
        source=PreparedDataSource(
            "clip",
            CLIP,
            splits={split: split for split in ("train", "validation", "test")},
        ),
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
