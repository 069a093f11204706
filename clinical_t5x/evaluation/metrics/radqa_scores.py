"""RadQA by likelihood: how likely it is that there is no answer, and SQuAD v2's threshold.

The empty target is end-of-sequence alone, so that its likelihood is exactly the probability that
the model gives to "no answer". The no-answer score is its log-likelihood minus that of the best
answer: the generated one or, where nothing was generated, the best of the other beams, or what
greedy decoding says when its first token may not end the answer. Questions whose no-answer score is
above the threshold stay unanswered; all others get the answer, also where generation gave none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clinical_t5x.evaluation.metrics.calibration import (
    BIN_COLUMNS,
    bin_components,
    error_of_sums,
    expected_calibration_error,
)
from clinical_t5x.evaluation.metrics.components import MetricFamily, ratio
from clinical_t5x.evaluation.metrics.radqa import RADQA
from clinical_t5x.evaluation.metrics.scoring import Scored, Scoring
from clinical_t5x.evaluation.metrics.tuning import Best, best_no_answer_threshold

_EXACT, _F1 = "exact_match", "f1"  # names of the two thresholds
_SUMS = ("questions", "brier")


def _candidates(answer: Any) -> tuple[Any, ...]:
    return ("", answer)


def _observe_scores(
    target: Any, answer: Any, candidates: Sequence[Any], log_likelihoods: np.ndarray
) -> tuple[float, ...]:
    of_empty, of_answer = map(float, log_likelihoods)
    exact, f1 = _exact_and_f1(target, answer)
    p = float(np.exp(min(of_empty, 0.0)))
    return (of_empty, of_answer, of_empty - of_answer, p, exact, f1)


def _exact_and_f1(target: Any, answer: Any) -> tuple[float, float]:
    observed = RADQA.observe(target, answer)
    return observed[1], observed[2]


def _observe(target: Any, scored: Scored) -> np.ndarray:
    p, none = scored.scores["p_no_answer"], 1.0 - _answerable(target)
    return np.concatenate([[1.0, (p - none) ** 2], bin_components(p, none)])


def _reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "no_answer_brier": ratio(sums[..., 1], sums[..., 0], empty=np.nan),
        "no_answer_ece": error_of_sums(sums[..., len(_SUMS) :]),
    }


def _answerable(target: Any) -> float:
    return RADQA.observe(target, "")[3]


def _if_empty(target: Any) -> tuple[float, float]:
    return _exact_and_f1(target, "")


def _observe_at_threshold(target: Any, scored: Scored) -> tuple[float, ...]:
    _, *empty, answerable = RADQA.observe(target, "")[:4]
    answered, values = [], []
    for k, name in enumerate((_EXACT, _F1)):
        answers = scored.scores["no_answer"] <= scored.thresholds[name]
        answered.append(float(answers))
        values.append(scored.scores[("answer_exact", "answer_f1")[k]] if answers else empty[k])
    exact, f1 = values
    return (1.0, answerable, exact, f1, answerable * exact, answerable * f1, *answered)


def _reduce_at_threshold(sums: np.ndarray) -> dict[str, np.ndarray]:
    questions, answerable, exact, f1, exact_has, f1_has, answers_exact, answers_f1 = np.moveaxis(
        sums, -1, 0
    )
    unanswerable = questions - answerable
    return {
        "exact_match_at_threshold": ratio(exact, questions, empty=np.nan),
        "f1_at_threshold": ratio(f1, questions, empty=np.nan),
        "has_answer_exact_match_at_threshold": ratio(exact_has, answerable, empty=np.nan),
        "has_answer_f1_at_threshold": ratio(f1_has, answerable, empty=np.nan),
        "no_answer_exact_match_at_threshold": ratio(exact - exact_has, unanswerable, empty=np.nan),
        "no_answer_f1_at_threshold": ratio(f1 - f1_has, unanswerable, empty=np.nan),
        "answered_at_exact_match_threshold": ratio(answers_exact, questions, empty=np.nan),
        "answered_at_f1_threshold": ratio(answers_f1, questions, empty=np.nan),
    }


def _best(targets: Sequence[Any], scores: Sequence[Mapping[str, float]]) -> dict[str, Best]:
    no_answer = np.array([row["no_answer"] for row in scores])
    empty = np.array([_if_empty(target) for target in targets])
    return {
        name: best_no_answer_threshold(
            no_answer, np.array([row[score] for row in scores]), empty[:, k]
        )
        for k, (name, score) in enumerate(((_EXACT, "answer_exact"), (_F1, "answer_f1")))
    }


def _tune(targets: Sequence[Any], scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: best.threshold for name, best in _best(targets, scores).items()}


def _whole_sample(
    targets: Sequence[Any], scores: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    p = np.array([row["p_no_answer"] for row in scores])
    none = np.array([1.0 - _answerable(target) for target in targets])
    oracle = {f"{name}_oracle": best.value for name, best in _best(targets, scores).items()}
    error = expected_calibration_error(p, none, equal_mass=True)
    return {"no_answer_ece_equal_mass": error, **oracle}


def _surest_window(rows: np.ndarray) -> np.ndarray:
    """Of a context's windows the one that most likely holds an answer, as in BERT's SQuAD."""
    return rows[np.argmin(rows[:, _NAMES.index("no_answer")])]


_NAMES = ("empty_answer", "answer", "no_answer", "p_no_answer", "answer_exact", "answer_f1")

RADQA_ANSWERABILITY = MetricFamily(
    name="radqa_answerability",
    columns=(*_SUMS, *BIN_COLUMNS),
    observe=_observe,
    reduce=_reduce,
    headline=("no_answer_ece",),
    unit="context",
    lower_is_better=frozenset({"no_answer_brier", "no_answer_ece", "no_answer_ece_equal_mass"}),
)

RADQA_AT_THRESHOLD = MetricFamily(
    name="radqa_at_threshold",
    columns=(
        "questions",
        "answerable",
        "exact",
        "f1",
        "exact_answerable",
        "f1_answerable",
        "answered_for_exact",
        "answered_for_f1",
    ),
    observe=_observe_at_threshold,
    reduce=_reduce_at_threshold,
    headline=("exact_match_at_threshold", "f1_at_threshold"),
    unit="context",
)

RADQA_SCORING = Scoring(
    names=_NAMES,
    candidates=_candidates,
    observe=_observe_scores,
    families=(RADQA_ANSWERABILITY,),
    threshold_families=(RADQA_AT_THRESHOLD,),
    tune=_tune,
    whole_sample=_whole_sample,
    needs_answer=True,
    merge=_surest_window,
)
