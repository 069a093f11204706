"""RadQA: exact match and token F1 as the SQuAD v2 scorer defines them, without a threshold.

Answers are normalised (lower case, no ASCII punctuation, no articles, single spaces); a question
is scored against its best gold answer; gold answers that normalise to nothing are left out, and a
question without any is right exactly when the prediction normalises to nothing.
"""

from __future__ import annotations

import collections
import re
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from clinical_t5x.evaluation.metrics.components import (
    MetricFamily,
    as_text,
    as_texts,
    ratio,
    reduces_to,
)
from clinical_t5x.evaluation.metrics.groups import merged_metrics_by_score, surest_of

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower case, then no ASCII punctuation, then no articles, then single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(gold: str, prediction: str) -> float:
    """1.0 when both normalise to the same string, else 0.0."""
    return float(normalise_answer(gold) == normalise_answer(prediction))


def token_f1(gold: str, prediction: str) -> float:
    """F1 of the bags of normalised words; two empty answers agree, one empty answer scores 0."""
    return _f1(normalise_answer(gold).split(), normalise_answer(prediction).split())


def _f1(gold_words: Sequence[str], predicted_words: Sequence[str]) -> float:
    if not gold_words or not predicted_words:
        return float(gold_words == predicted_words)
    shared = collections.Counter(gold_words) & collections.Counter(predicted_words)
    overlap = shared.total()
    if overlap == 0:
        return 0.0
    precision = overlap / len(predicted_words)
    recall = overlap / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def _observe(target: Any, prediction: Any) -> tuple[float, ...]:
    listed = [answer for answer in as_texts(target) if answer.strip()]
    golds = [words for words in (normalise_answer(answer).split() for answer in listed) if words]
    predicted = normalise_answer(as_text(prediction)).split()
    exact = float(predicted in (golds or [[]]))
    f1 = max(_f1(words, predicted) for words in golds or [[]])
    answerable = float(bool(listed))
    answered = float(bool(predicted))
    return (1.0, exact, f1, answerable, answerable * exact, answerable * f1, answered)


def _reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
    questions, exact, f1, answerable, exact_answerable, f1_answerable, answered = np.moveaxis(
        sums, -1, 0
    )
    unanswerable = questions - answerable
    return {
        "exact_match": ratio(exact, questions, empty=np.nan),
        "f1": ratio(f1, questions, empty=np.nan),
        "has_answer_exact_match": ratio(exact_answerable, answerable, empty=np.nan),
        "has_answer_f1": ratio(f1_answerable, answerable, empty=np.nan),
        "no_answer_exact_match": ratio(exact - exact_answerable, unanswerable, empty=np.nan),
        "answered": ratio(answered, questions, empty=np.nan),
    }


_COLUMNS = (
    "questions",
    "exact",
    "f1",
    "answerable",
    "exact_answerable",
    "f1_answerable",
    "answered",
)

RADQA = MetricFamily(
    name="radqa",
    columns=_COLUMNS,
    observe=_observe,
    reduce=_reduce,
    headline=("exact_match", "f1"),
    unit="context",
    # Windows of one context: those that answer compete, the others found nothing.
    merge=surest_of(_COLUMNS.index("answered")),
)


@reduces_to(RADQA)
def radqa_metrics(targets: Sequence[Any], predictions: Sequence[Any]) -> dict[str, float]:
    """Exact match and F1, overall and by answerability, and the share of questions answered.

    Args:
      targets: for each question its gold answers; none (or one empty string) when unanswerable.
      predictions: decoded answers; the empty string says that there is no answer.
    """
    return RADQA.components(targets, predictions).values()


# Targets are `Grouped`: windows of a context, one row a question.
radqa_window_metrics = merged_metrics_by_score(RADQA)
