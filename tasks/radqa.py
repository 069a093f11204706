"""RadQA: questions about radiology reports, some without an answer (Lehman et al. 2023, Appendix B)

question: {question} context: {context}   ->   {first answer, or nothing}

`radqa_windows_v1` has the same questions, each with as many windows of its context as it takes to
read all of it in 512 tokens; metrics count questions, as those of `radqa_v1` do.
"""

from __future__ import annotations

from typing import Any

import seqio
import tensorflow as tf

from clinical_t5x.console import UserError
from clinical_t5x.data.builders.versions import RADQA
from clinical_t5x.data.preprocessors import (
    TAGS,
    deid_steps,
    replace_registration,
    retag_questions,
    tokenised_with_end,
)
from clinical_t5x.data.preprocessors_windows import QuestionWindows
from clinical_t5x.data.subset_source import benchmark_source
from clinical_t5x.data.subsets import Subset
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.metrics import Grouped, radqa_metrics, radqa_window_metrics
from clinical_t5x.evaluation.metrics.components import as_text

NAME = "radqa_v1"
WINDOWS_NAME = "radqa_windows_v1"
WINDOW_TOKENS, STRIDE = 512, 256


def register(
    name: str | None = None,
    *,
    vocabulary: Any = None,
    deid: str = TAGS,
    window_tokens: int | None = None,
    stride: int | None = None,
    fraction: float = 1.0,
    subset_seed: int = 0,
    folds: int | None = None,
    fold: int | None = None,
) -> str:
    """Register RadQA as a SeqIO task.

    Args:
      name: the task's name; by default `radqa_v1`, with what is taken of it where that is not all
        (`radqa_v1_train_1pct_seed0`); `radqa_windows_v1` with windows of 512 tokens and stride 256,
        `radqa_windows_{window_tokens}_{stride}_v1` with others.
      vocabulary: by default the clinical one.
      deid: "tags" maps de-identified spans of questions, contexts and answers to the vocabulary's
        tags; "keep" leaves them as they are.
      window_tokens: read contexts in windows: tokens of a whole input, end of sequence included.
        None leaves contexts whole.
      stride: tokens between the beginnings of two windows; by default half of `window_tokens`.
      fraction: share of the training data, by whole contexts; validation and test stay whole.
      subset_seed: which of them (clinical_t5x.data.subsets).
      folds: cut train and validation together into so many folds, by context.
      fold: the one that becomes the validation split, from 0; the others become the train split.

    Returns:
      The task's name.
    """
    vocabulary = vocabulary or ClinicalVocabulary()
    subset = Subset(fraction, subset_seed, folds, fold)
    if window_tokens is None and stride is not None:
        raise UserError("stride is given without window_tokens: it is the step between windows")
    stride = stride or (window_tokens or 0) // 2
    windows = window_tokens is not None
    return replace_registration(
        name or subset.named(_default_name(window_tokens, stride)),
        source=benchmark_source("radqa", RADQA, subset),
        preprocessors=[
            *deid_steps(deid, ("question",)),
            *([retag_questions] if deid == TAGS else []),
            *(_windows(window_tokens, stride) if windows else [text_format]),
            *tokenised_with_end(),
        ],
        postprocess_fn=answers_of_group if windows else answers_or_text,
        metric_fns=[radqa_window_metrics if windows else radqa_metrics],
        output_features={
            "inputs": seqio.Feature(vocabulary),
            "targets": seqio.Feature(vocabulary),
        },
    )


def _default_name(window_tokens: int | None, stride: int) -> str:
    if window_tokens is None:
        return NAME
    default = (window_tokens, stride) == (WINDOW_TOKENS, STRIDE)
    return WINDOWS_NAME if default else f"radqa_windows_{window_tokens}_{stride}_v1"


def _windows(window_tokens: int, stride: int) -> list[Any]:
    return [
        QuestionWindows(window_tokens, stride, before="question: ", between=" context:"),
        window_format,
    ]


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


@seqio.map_over_dataset
def window_format(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What evaluation needs of a window; the context itself stays in the data set."""
    kept = ("id", "group", "unit", "title", "question", "answers", "is_impossible")
    return {name: record[name] for name in (*kept, "inputs", "targets")}


def answers_or_text(
    text: str, example: dict[str, Any] | None = None, *, is_target: bool = False
) -> Any:
    """All gold answers of a target; the text of a prediction without blanks around it."""
    if not is_target:
        return text.strip()
    answers = [] if example is None else list(example["answers"])
    return [a.decode("utf-8") if isinstance(a, bytes) else str(a) for a in answers]


def answers_of_group(
    text: str, example: dict[str, Any] | None = None, *, is_target: bool = False
) -> Any:
    """As `answers_or_text`; a window's target also says of which question it is."""
    answer = answers_or_text(text, example, is_target=is_target)
    return Grouped(as_text(example["group"]), answer) if is_target else answer


register()
register(window_tokens=WINDOW_TOKENS, stride=STRIDE)
