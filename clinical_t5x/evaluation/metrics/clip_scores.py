"""CLIP by likelihood: how probable each label is, thresholds for each, and calibration.

A target names a set of labels, in alphabetical order. The model's distribution over targets is
therefore one over sets, and a label's probability is the share of the sets that hold it. Scored are
no label, each label alone, each pair (29 targets), and the generated set where it is larger; what
all of them have of the model's probability is kept as `candidate_mass`, so that a user sees what
was left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clinical_t5x.evaluation.metrics.calibration import (
    BIN_COLUMNS,
    bin_components,
    error_of_sums,
    expected_calibration_error,
)
from clinical_t5x.evaluation.metrics.clip import CLIP_LABELS, indicators, parse_labels
from clinical_t5x.evaluation.metrics.components import MetricFamily, ratio
from clinical_t5x.evaluation.metrics.scoring import Scored, Scoring, log_sum, normalised
from clinical_t5x.evaluation.metrics.tuning import best_label_thresholds

_L = len(CLIP_LABELS)
_P = tuple(f"p:{label}" for label in CLIP_LABELS)
_MACRO, _MICRO = (tuple(f"{kind}:{label}" for label in CLIP_LABELS) for kind in ("macro", "micro"))
LABEL_SETS = tuple(
    ", ".join(labels) for size in range(3) for labels in itertools.combinations(CLIP_LABELS, size)
)


def _candidates(generation: Any) -> tuple[str, ...]:
    labels, _ = parse_labels(generation.text)
    generated = ", ".join(labels)
    return LABEL_SETS if generated in LABEL_SETS else (*LABEL_SETS, generated)


def _observe_scores(
    target: Any, answer: Any, candidates: Sequence[str], log_likelihoods: np.ndarray
) -> np.ndarray:
    given = np.array([indicators(parse_labels(text)[0]) for text in candidates])
    p = np.clip(normalised(log_likelihoods) @ given, 0.0, 1.0)
    return np.append(p, np.exp(min(log_sum(log_likelihoods), 0.0)))


def _probabilities(scores: Mapping[str, float]) -> np.ndarray:
    return np.array([scores[name] for name in _P])


def _gold(target: Any) -> np.ndarray:
    return indicators(parse_labels(target)[0])


def _observe(target: Any, scored: Scored) -> np.ndarray:
    p, gold = _probabilities(scored.scores), _gold(target)
    bins = np.sum([bin_components(*pair) for pair in zip(p, gold, strict=True)], axis=0)
    return np.concatenate([[1.0, scored.scores["candidate_mass"]], (p - gold) ** 2, bins])


def _reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
    sentences, errors = sums[..., 0], sums[..., 2 : 2 + _L]
    metrics = {
        "brier": ratio(errors.mean(axis=-1), sentences, empty=np.nan),
        "ece": error_of_sums(sums[..., 2 + _L :]),
        "candidate_mass": ratio(sums[..., 1], sentences, empty=np.nan),
    }
    return metrics | {
        f"brier_{label}": ratio(errors[..., k], sentences, empty=np.nan)
        for k, label in enumerate(CLIP_LABELS)
    }


def _observe_at_threshold(target: Any, scored: Scored) -> np.ndarray:
    p, gold = _probabilities(scored.scores), _gold(target)
    parts = []
    for names in (_MACRO, _MICRO):
        given = (p >= [scored.thresholds[name] for name in names]).astype(float)
        parts += [gold * given, given]
    return np.concatenate([*parts, gold])


def _reduce_at_threshold(sums: np.ndarray) -> dict[str, np.ndarray]:
    macro_hits, macro_given, micro_hits, micro_given, gold = (
        sums[..., k * _L : (k + 1) * _L] for k in range(5)
    )
    f1 = ratio(2 * macro_hits, macro_given + gold, empty=0.0)
    hits, given, positives = (part.sum(axis=-1) for part in (micro_hits, micro_given, gold))
    metrics = {
        "micro_f1_at_threshold": ratio(2 * hits, given + positives, empty=0.0),
        "macro_f1_at_threshold": f1.mean(axis=-1),
    }
    return metrics | {f"f1_{label}_at_threshold": f1[..., k] for k, label in enumerate(CLIP_LABELS)}


def _tune(targets: Sequence[Any], scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    p = np.array([_probabilities(row) for row in scores])
    macro, micro = best_label_thresholds(p, np.array([_gold(target) for target in targets]))
    return {name: float(t) for name, t in zip(_MACRO + _MICRO, [*macro, *micro], strict=True)}


def _whole_sample(
    targets: Sequence[Any], scores: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    p = np.array([_probabilities(row) for row in scores]).ravel()
    gold = np.array([_gold(target) for target in targets]).ravel()
    thresholds = _tune(targets, scores)
    rows = [Scored(row, thresholds) for row in scores]
    best = CLIP_AT_THRESHOLD.components(targets, rows).values()
    return {
        "ece_equal_mass": expected_calibration_error(p, gold, equal_mass=True),
        "micro_f1_oracle": best["micro_f1_at_threshold"],
        "macro_f1_oracle": best["macro_f1_at_threshold"],
    }


CLIP_LIKELIHOOD = MetricFamily(
    name="clip_likelihood",
    columns=(
        "sentences",
        "candidate_mass",
        *(f"brier:{label}" for label in CLIP_LABELS),
        *BIN_COLUMNS,
    ),
    observe=_observe,
    reduce=_reduce,
    headline=("ece",),
    unit="discharge summary",
    lower_is_better=frozenset(
        {"brier", "ece", "ece_equal_mass", *(f"brier_{label}" for label in CLIP_LABELS)}
    ),
)

CLIP_AT_THRESHOLD = MetricFamily(
    name="clip_at_threshold",
    columns=tuple(
        f"{what}:{label}"
        for what in ("macro_hits", "macro_given", "micro_hits", "micro_given", "gold")
        for label in CLIP_LABELS
    ),
    observe=_observe_at_threshold,
    reduce=_reduce_at_threshold,
    headline=("micro_f1_at_threshold", "macro_f1_at_threshold"),
    unit="discharge summary",
)

CLIP_SCORING = Scoring(
    names=(*_P, "candidate_mass"),
    candidates=_candidates,
    observe=_observe_scores,
    families=(CLIP_LIKELIHOOD,),
    threshold_families=(CLIP_AT_THRESHOLD,),
    tune=_tune,
    whole_sample=_whole_sample,
)
