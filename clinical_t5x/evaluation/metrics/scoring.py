"""Scores by likelihood: which targets are scored beside generation, and what their scores mean.

A `Scoring` belongs to a metric family (`MetricFamily.scoring`). The evaluator asks it for the
candidate targets of each example, has the predictor score them, and keeps what `observe` makes of
the log-likelihoods as the example's `scores`. Everything else follows from these numbers alone:
metrics with intervals by unit, thresholds, and metrics at thresholds that were tuned on another
split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from clinical_t5x.evaluation.metrics.components import MetricFamily


class Scored(NamedTuple):
    """What families of scores observe as an example's prediction.

    Attributes:
      scores: the example's scores by name.
      thresholds: tuned on another split, by name; empty where there are none.
    """

    scores: Mapping[str, float]
    thresholds: Mapping[str, float] = {}


@dataclasses.dataclass(frozen=True)
class Scoring:
    """How the examples of a kind of task are scored by likelihood.

    Attributes:
      names: of the scores of an example, S of them.
      candidates: what is scored beside a generation: target texts, and generations themselves
        (their own tokens).
      observe: (target, what the metrics take of the answer, candidates, log-likelihoods) -> scores
        [S]. The answer is the generation or, where that is empty, the best that is not.
      families: metrics of scores: `observe(target, Scored)`.
      threshold_families: metrics that need thresholds; their names end in `_at_threshold`.
      tune: (targets, scores) -> thresholds by name, from all examples of a split; optimistic there.
      whole_sample: (targets, scores) -> metrics that are not sums over examples.
      needs_answer: whether an empty generation is followed by a search for one that is not.
      merge: scores [W, S] of examples that share a question -> those of the question [S].
    """

    names: tuple[str, ...]
    candidates: Callable[[Any], Sequence[Any]]
    observe: Callable[[Any, Any, Sequence[Any], np.ndarray], Sequence[float]]
    families: tuple[MetricFamily, ...]
    threshold_families: tuple[MetricFamily, ...] = ()
    tune: Callable[[Sequence[Any], Sequence[Mapping[str, float]]], dict[str, float]] | None = None
    whole_sample: Callable[[Sequence[Any], Sequence[Mapping[str, float]]], dict[str, float]] = (
        lambda targets, scores: {}
    )
    needs_answer: bool = False
    merge: Callable[[np.ndarray], np.ndarray] | None = None

    def by_name(self, row: Sequence[float]) -> dict[str, float]:
        """Scores [S] by name."""
        return dict(zip(self.names, map(float, row), strict=True))


def log_sum(log_likelihoods: np.ndarray) -> float:
    """The log of a sum of likelihoods that are given as logs; minus infinity for none."""
    values = np.asarray(log_likelihoods, float)
    return float(np.logaddexp.reduce(values)) if len(values) else float("-inf")


def normalised(log_likelihoods: np.ndarray) -> np.ndarray:
    """Probabilities in proportion to likelihoods that are given as logs: [C] -> [C]."""
    values = np.asarray(log_likelihoods, float)
    return np.exp(values - log_sum(values))


def scored_by(scoring: Scoring) -> Callable[[Callable], Callable]:
    """Say of a metric function how examples of its tasks are scored by likelihood."""

    def mark(metric_fn: Callable) -> Callable:
        metric_fn.scoring = scoring
        return metric_fn

    return mark


def scoring_of(metric_fn: Callable) -> Scoring | None:
    """How examples of a metric function's tasks are scored, or None."""
    return getattr(metric_fn, "scoring", None)
