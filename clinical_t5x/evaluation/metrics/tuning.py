"""Thresholds that are best on a sample: when to answer, when to give a label.

Pure functions. What they find is optimistic on the sample itself; use it on another split.

Legend: N examples, L labels.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

_UNTUNED = 0.5
_ROUNDING = 1e-6
_MOST_ROUNDS = 100  # Dinkelbach's iteration takes a handful


@dataclasses.dataclass(frozen=True)
class Best:
    """A threshold and the mean score that it reaches on the sample it was chosen on."""

    threshold: float
    value: float


def best_no_answer_threshold(
    no_answer: np.ndarray, if_answered: np.ndarray, if_empty: np.ndarray
) -> Best:
    """The threshold of SQuAD v2: questions whose no-answer score is above it stay unanswered.

    As in the published scorer the threshold is one of the scores, the lowest of equally good ones,
    and minus infinity where it is best to answer nothing. (Two cases in which that scorer's running
    sum is not what its threshold then yields are counted as they come out: equal no-answer scores
    stand and fall together, and an answer that normalises to nothing is right when there is none.)

    Args:
      no_answer: score that there is no answer [N]; finite.
      if_answered: what each question scores with its answer [N].
      if_empty: what it scores with the empty answer [N].
    """
    order = np.argsort(no_answer, kind="stable")
    ordered = np.asarray(no_answer, float)[order]
    gains = (np.asarray(if_answered, float) - np.asarray(if_empty, float))[order]
    best, threshold = math.fsum(if_empty), -math.inf
    if not len(ordered):
        return Best(threshold, math.nan)
    counts = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    rough = best + np.cumsum(gains)[counts - 1]
    # Exact sums of those in question: rounding must not decide between equally good ones.
    for count in counts[rough >= max(rough.max(), best) - _ROUNDING]:
        value = math.fsum([*gains[:count], *if_empty])
        if value > best:
            best, threshold = value, float(ordered[count - 1])
    return Best(threshold, best / len(ordered))


def best_label_thresholds(
    probabilities: np.ndarray, gold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds of each label that are best for macro F1, and those that are best for micro F1.

    A label is given where its probability is at least its threshold. Thresholds lie midway between
    neighbouring probabilities; of equally good ones the nearest to 0.5 is taken, which is also that
    of a label that the sample never shows. Macro F1 is best when each label's F1 is; the best micro
    F1 is found exactly by Dinkelbach's iteration, since for a given value of it the labels come
    apart.

    Args:
      probabilities: [N, L].
      gold: 0 or 1 [N, L].

    Returns:
      Thresholds [L] for macro F1 and [L] for micro F1.
    """
    choices = [_Choices.of(p, y) for p, y in zip(probabilities.T, gold.T, strict=True)]
    macro = np.array([choice.best(choice.f1()) for choice in choices])
    return macro, _micro_thresholds(choices)


@dataclasses.dataclass(frozen=True)
class _Choices:
    """All thresholds of one label that differ in effect, nearest to 0.5 first."""

    thresholds: np.ndarray
    hits: np.ndarray
    given: np.ndarray
    positives: float

    @classmethod
    def of(cls, p: np.ndarray, y: np.ndarray) -> _Choices:
        values = np.unique(p)
        between = (values[1:] + values[:-1]) / 2
        least, most = (values[0], values[-1]) if len(values) else (_UNTUNED, _UNTUNED)
        above = (most + 1) / 2 if most < 1 else 2.0
        ends = [min(_UNTUNED, least / 2), _UNTUNED if most < _UNTUNED else above]  # all, and none
        thresholds = np.concatenate([between, ends])
        thresholds = thresholds[np.argsort(np.abs(thresholds - _UNTUNED), kind="stable")]
        ordered = np.argsort(p, kind="stable")
        # How many lie below each threshold, and how many true ones among them.
        below = np.searchsorted(p[ordered], thresholds)
        true_below = np.concatenate([[0.0], np.cumsum(y[ordered])])[below]
        return cls(thresholds, y.sum() - true_below, len(p) - below.astype(float), float(y.sum()))

    def f1(self) -> np.ndarray:
        return 2 * self.hits / np.maximum(self.given + self.positives, 1e-300)

    def best(self, value: np.ndarray) -> float:
        return float(self.thresholds[np.argmax(value)])


def _micro_thresholds(choices: list[_Choices]) -> np.ndarray:
    positives = sum(choice.positives for choice in choices)
    best = 0.0
    for _ in range(_MOST_ROUNDS):
        chosen = [int(np.argmax(2 * c.hits - best * c.given)) for c in choices]
        hits = sum(c.hits[k] for c, k in zip(choices, chosen, strict=True))
        given = sum(c.given[k] for c, k in zip(choices, chosen, strict=True))
        value = 2 * hits / max(given + positives, 1e-300)
        if value <= best:
            break
        best = value
    return np.array([c.best(2 * c.hits - best * c.given) for c in choices])
