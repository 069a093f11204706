"""Calibration: does what is said with probability 0.8 hold eight times in ten?

Pure functions of probabilities and outcomes, and the same as sums of per-example components, so
that the expected calibration error has an interval by unit and the reliability curve of a finished
evaluation can be drawn from its sums alone.

Bins are half-open to the left, (low, high], as in Guo et al. 2017 and scikit-learn's
`calibration_curve`; a probability of 0 belongs to the first.

Legend: N examples, C classes, B bins.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from clinical_t5x.evaluation.metrics.components import ratio

BINS = 15  # as many as Guo et al. 2017
_EDGES = np.linspace(0.0, 1.0, BINS + 1)
BIN_COLUMNS = tuple(
    f"{what}:{k}" for what in ("bin_count", "bin_confidence", "bin_right") for k in range(BINS)
)


@dataclasses.dataclass(frozen=True)
class Reliability:
    """A reliability curve: of each bin its edges, its count, and two means (NaN when empty).

    Attributes:
      edges: [B + 1].
      counts: [B].
      confidence: mean probability [B].
      accuracy: share of outcomes that came true [B].
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the mean gap, weighted by counts; NaN without any."""
        if not self.counts.sum():
            return float("nan")
        gaps = np.where(self.counts > 0, np.abs(self.accuracy - self.confidence), 0.0)
        return float(self.counts @ gaps / self.counts.sum())


def reliability_curve(
    probabilities: np.ndarray, outcomes: np.ndarray, *, bins: int = BINS, equal_mass: bool = False
) -> Reliability:
    """The reliability curve of probabilities [N] of outcomes [N] (0 or 1).

    Args:
      probabilities: between 0 and 1.
      outcomes: whether it came true.
      bins: how many.
      equal_mass: edges at quantiles of the probabilities, so that bins hold about equally many
        (equal probabilities stay together); else bins of equal width.

    Raises:
      ValueError: for lengths that differ or probabilities outside 0 to 1.
    """
    p, y = _checked(probabilities, outcomes)
    steps = np.linspace(0.0, 1.0, bins + 1)
    edges = np.quantile(p, steps) if equal_mass and len(p) else steps
    place = np.searchsorted(edges[1:-1], p)
    counts, confidence, right = (
        np.bincount(place, weights=weights, minlength=bins) for weights in (None, p, y)
    )
    return Reliability(
        edges,
        counts,
        ratio(confidence, counts, empty=np.nan),
        ratio(right, counts, empty=np.nan),
    )


def expected_calibration_error(
    probabilities: np.ndarray, outcomes: np.ndarray, *, bins: int = BINS, equal_mass: bool = False
) -> float:
    """The mean gap between probability and frequency over bins, weighted by their counts."""
    return reliability_curve(probabilities, outcomes, bins=bins, equal_mass=equal_mass).error


def brier_score(probabilities: np.ndarray, outcomes: np.ndarray) -> float:
    """The mean squared error of probabilities [N] of yes/no outcomes [N]: 0 (best) to 1."""
    p, y = _checked(probabilities, outcomes)
    return float(np.mean((p - y) ** 2))


def multiclass_brier_score(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """The mean over examples of the squared error summed over classes: 0 (best) to 2 (Brier 1950).

    Args:
      probabilities: [N, C]; each row adds up to 1.
      classes: the true class of each example [N].
    """
    p = np.asarray(probabilities, float)
    one_hot = np.eye(p.shape[1])[np.asarray(classes)]
    return float(np.mean(np.sum((p - one_hot) ** 2, axis=1)))


def bin_components(probability: float, outcome: float) -> np.ndarray:
    """What one prediction contributes to bins of equal width: `BIN_COLUMNS`."""
    row = np.zeros((3, BINS))
    place = np.searchsorted(_EDGES[1:-1], probability)
    row[:, place] = 1.0, probability, outcome
    return row.reshape(-1)


def reliability_of_sums(sums: np.ndarray) -> Reliability:
    """The reliability curve that sums of `BIN_COLUMNS` [3 B] hold."""
    counts, confidence, right = np.asarray(sums, float).reshape(3, BINS)
    return Reliability(
        _EDGES,
        counts,
        ratio(confidence, counts, empty=np.nan),
        ratio(right, counts, empty=np.nan),
    )


def error_of_sums(sums: np.ndarray) -> np.ndarray:
    """The expected calibration error of sums of `BIN_COLUMNS` [..., 3 B]; NaN without any."""
    counts, confidence, right = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, BINS), -2, 0)
    gaps = np.abs(right - confidence).sum(axis=-1)
    return ratio(gaps, counts.sum(axis=-1), empty=np.nan)


def _checked(probabilities: np.ndarray, outcomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, y = np.asarray(probabilities, float), np.asarray(outcomes, float)
    if p.shape != y.shape or p.ndim != 1:
        raise ValueError(f"{p.shape} probabilities but {y.shape} outcomes; both must be [N]")
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("probabilities lie between 0 and 1")
    return p, y
