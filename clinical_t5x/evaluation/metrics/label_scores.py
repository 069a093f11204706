"""Labels by likelihood: where every target is one of a few words, each word's probability.

Accuracy by the most probable word needs no parsing of what was generated; the probabilities' Brier
score, log loss and calibration say how far they can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from clinical_t5x.evaluation.metrics.calibration import (
    BIN_COLUMNS,
    bin_components,
    error_of_sums,
    expected_calibration_error,
)
from clinical_t5x.evaluation.metrics.components import MetricFamily, ratio
from clinical_t5x.evaluation.metrics.mednli import MEDNLI_LABELS, parse_label
from clinical_t5x.evaluation.metrics.scoring import Scored, Scoring, log_sum, normalised

_SUMS = ("examples", "right", "brier", "log_loss", "mass")


def label_scoring(
    name: str,
    labels: Sequence[str],
    *,
    parse: Callable[[Any], str | None] = str,
    unit: str = "unit",
) -> Scoring:
    """The scoring of a task whose targets are words, each scored with its end of sequence.

    Args:
      name: of the family of its metrics, `NAME_likelihood`.
      labels: the words.
      parse: the label that a target names.
      unit: what is resampled, in words.

    Returns:
      Scores `log_likelihood:LABEL` (nats) and `p:LABEL` (adding up to 1); metrics
      `accuracy_by_likelihood`, `brier` (0 to 2), `ece` and `ece_equal_mass` (of the most probable
      label), `log_loss` (nats) and `label_mass`, the share of the model's probability that the
      words have together.
    """
    labels = tuple(labels)
    log_names = tuple(f"log_likelihood:{label}" for label in labels)

    def logs_of(scores: Mapping[str, float]) -> np.ndarray:
        return np.array([scores[log_name] for log_name in log_names])

    def gold_of(target: Any) -> int:
        return labels.index(parse(target))

    def observe(target: Any, scored: Scored) -> np.ndarray:
        logs, gold = logs_of(scored.scores), gold_of(target)
        p = normalised(logs)
        first = int(np.argmax(p))
        right = float(first == gold)
        brier = float(np.sum((p - np.eye(len(p))[gold]) ** 2))
        # A difference of logs: a probability that underflows has a loss all the same.
        log_loss = log_sum(logs) - logs[gold]
        mass = np.exp(min(log_sum(logs), 0.0))
        return np.append([1.0, right, brier, log_loss, mass], bin_components(p[first], right))

    def whole_sample(
        targets: Sequence[Any], scores: Sequence[Mapping[str, float]]
    ) -> dict[str, float]:
        p = np.array([normalised(logs_of(row)) for row in scores])
        right = p.argmax(axis=1) == [gold_of(target) for target in targets]
        return {"ece_equal_mass": expected_calibration_error(p.max(axis=1), right, equal_mass=True)}

    family = MetricFamily(
        name=f"{name}_likelihood",
        columns=(*_SUMS, *BIN_COLUMNS),
        observe=observe,
        reduce=_reduce,
        headline=("accuracy_by_likelihood", "ece"),
        unit=unit,
        lower_is_better=frozenset({"brier", "ece", "ece_equal_mass", "log_loss"}),
    )
    return Scoring(
        names=(*log_names, *(f"p:{label}" for label in labels)),
        candidates=lambda answer: labels,
        observe=lambda target, answer, candidates, logs: np.append(logs, normalised(logs)),
        families=(family,),
        whole_sample=whole_sample,
    )


def _reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
    examples, right, brier, log_loss, mass = np.moveaxis(sums[..., : len(_SUMS)], -1, 0)
    return {
        "accuracy_by_likelihood": ratio(right, examples, empty=np.nan),
        "brier": ratio(brier, examples, empty=np.nan),
        "ece": error_of_sums(sums[..., len(_SUMS) :]),
        "log_loss": ratio(log_loss, examples, empty=np.nan),
        "label_mass": ratio(mass, examples, empty=np.nan),
    }


MEDNLI_SCORING = label_scoring("mednli", MEDNLI_LABELS, parse=parse_label, unit="premise group")
(MEDNLI_LIKELIHOOD,) = MEDNLI_SCORING.families
