"""RadQA: questions about radiology reports, some without an answer (Lehman et al. 2023, Appendix B)

question: {question} context: {context}   ->   {first answer, or nothing}
"""

from __future__ import annotations

from typing import Any

import seqio
import tensorflow as tf

from clinical_t5x.data.builders.versions import RADQA
from clinical_t5x.data.preprocessors import (
    TAGS,
    deid_steps,
    replace_registration,
    retag_questions,
    tokenised_with_end,
)
from clinical_t5x.data.subset_source import benchmark_source
from clinical_t5x.data.subsets import Subset
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.metrics import radqa_metrics

NAME = "radqa_v1"


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
    """Register RadQA as a SeqIO task.

    Args:
      name: the task's name; by default `radqa_v1`, with what is taken of it where that is not all
        (`radqa_v1_train_1pct_seed0`).
      vocabulary: by default the clinical one.
      deid: "tags" maps de-identified spans of questions, contexts and answers to the vocabulary's
        tags; "keep" leaves them as they are.
      fraction: share of the training data, by whole contexts; validation and test stay whole.
      subset_seed: which of them (clinical_t5x.data.subsets).
      folds: cut train and validation together into so many folds, by context.
      fold: the one that becomes the validation split, from 0; the others become the train split.

    Returns:
      The task's name.
    """
    vocabulary = vocabulary or ClinicalVocabulary()
    subset = Subset(fraction, subset_seed, folds, fold)
    return replace_registration(
        name or subset.named(NAME),
        source=benchmark_source("radqa", RADQA, subset),
        preprocessors=[
            *deid_steps(deid, ("question",)),
            *([retag_questions] if deid == TAGS else []),
            text_format,
            *tokenised_with_end(),
        ],
        postprocess_fn=answers_or_text,
        metric_fns=[radqa_metrics],
        output_features={
            "inputs": seqio.Feature(vocabulary),
            "targets": seqio.Feature(vocabulary),
        },
    )


@seqio.map_over_dataset
def text_format(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Question and context in one text; the first answer, or nothing, as the target."""
    question, context = (
        tf.strings.regex_replace(record[name], r"^\s+", "") for name in ("question", "context")
    )
    return {
        "id": record["id"],
        "unit": record["unit"],
        "title": record["title"],
        "question": record["question"],
        "answers": record["answers"],
        "is_impossible": record["is_impossible"],
        "inputs": tf.strings.join(["question: ", question, " context: ", context]),
        "targets": tf.concat([record["answers"], [""]], axis=0)[0],
    }


def answers_or_text(
    text: str, example: dict[str, Any] | None = None, *, is_target: bool = False
) -> Any:
    """All gold answers of a target; the text of a prediction without blanks around it."""
    if not is_target:
        return text.strip()
    answers = [] if example is None else list(example["answers"])
    return [a.decode("utf-8") if isinstance(a, bytes) else str(a) for a in answers]


register()
