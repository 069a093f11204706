"""Bootstrap by unit: intervals of every metric, and paired differences of two systems.

Legend: S training seeds, U units, K components, B resamples, M metrics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from clinical_t5x.evaluation.metrics.components import Reduce
from clinical_t5x.evaluation.statistics.resampling import (
    TIE,
    draws_by_seed,
    draws_of_mean,
    mean_over_seeds,
    stacked,
    stacked_pair,
)

RESAMPLES = 10_000
LEVEL = 0.95
METHODS = ("bca", "percentile")


@dataclasses.dataclass(frozen=True)
class Interval:
    """A confidence interval of one metric: its method and the number of units it resampled."""

    low: float
    high: float
    level: float
    method: str
    n_units: int


@dataclasses.dataclass(frozen=True)
class Difference:
    """A paired difference, its interval and the two-sided p-value of no difference."""

    value: float
    interval: Interval
    p_value: float


def bootstrap_intervals(
    sums: np.ndarray,
    reduce: Reduce,
    *,
    level: float = LEVEL,
    method: str = "bca",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Confidence intervals of every metric that `reduce` computes, by resampling units.

    Args:
      sums: component sums of each unit [U, K]; or [S, U, K] for several training seeds on the same
        units, where the metric is the mean over seeds (the interval then speaks of the sample of
        units for these seeds, not of other seeds; `over_seeds` speaks of both).
      reduce: from component sums [..., K] to metrics [...].
      level: coverage wanted.
      method: "bca" (bias-corrected and accelerated; Efron 1987) or "percentile".
      resamples: number of bootstrap resamples, B.
      seed: fixes the resamples.

    Returns:
      An interval for each metric that is defined on the whole sample; none at all for fewer than
      two units, which say nothing about how units differ.
    """
    return intervals_by_method(
        sums, reduce, methods=(method,), level=level, resamples=resamples, seed=seed
    )[method]


def intervals_by_method(
    sums: np.ndarray,
    reduce: Reduce,
    *,
    methods: Sequence[str] = METHODS,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Interval]]:
    """The intervals of several methods from the same resamples, by method and metric.

    Arguments and intervals are those of `bootstrap_intervals`.
    """
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"method must be bca or percentile, not {method!r}")
    stack = stacked(sums)
    n_units = stack.shape[1]
    if n_units < 2:
        return {method: {} for method in methods}
    values = mean_over_seeds(reduce, stack.sum(axis=1))
    defined = {name: value for name, value in values.items() if not np.isnan(value)}
    draws = draws_of_mean(stack, reduce, resamples=resamples, seed=seed)
    leave_one_out = _leave_one_out(stack, reduce) if "bca" in methods else {}
    found: dict[str, dict[str, Interval]] = {method: {} for method in methods}
    for name, value in defined.items():
        for method in methods:
            tails = np.array([(1 - level) / 2, (1 + level) / 2])
            if method == "bca":
                tails = _bca_tails(tails, value, draws[name], leave_one_out[name])
            low, high = np.nanquantile(draws[name], tails)
            found[method][name] = Interval(float(low), float(high), level, method, n_units)
    return found


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    reduce: Reduce,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Difference]:
    """Differences first minus second on the same units, with percentile intervals and p-values.

    Both systems are resampled with the same units. The p-value is that of the centred bootstrap:
    how often |difference* - difference| reaches |difference|, counted with +1 in numerator and
    denominator so that it is never 0.

    Args:
      first: component sums [U, K] or, for several training seeds, [S, U, K].
      second: the same units in the same order; its number of seeds may differ.
      reduce: from component sums [..., K] to metrics [...].
      level: coverage wanted.
      resamples: number of bootstrap resamples, B.
      seed: fixes the resamples.

    Returns:
      A difference for each metric that is defined on both samples; none for fewer than two units.
    """
    first, second = stacked_pair(first, second)
    n_units = first.shape[1]
    if n_units < 2:
        return {}
    values_first = mean_over_seeds(reduce, first.sum(axis=1))
    values_second = mean_over_seeds(reduce, second.sum(axis=1))
    draws = draws_by_seed(np.concatenate([first, second]), reduce, resamples=resamples, seed=seed)
    differences = {}
    for name, value in values_first.items():
        delta = float(value - values_second[name])
        if np.isnan(delta):
            continue
        by_seed = draws[name]
        drawn = by_seed[: len(first)].mean(axis=0) - by_seed[len(first) :].mean(axis=0)
        drawn = drawn[~np.isnan(drawn)]
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        interval = Interval(float(low), float(high), level, "percentile", n_units)
        extreme = np.count_nonzero(np.abs(drawn - delta) >= abs(delta) - TIE)
        p_value = (extreme + 1) / (len(drawn) + 1)
        differences[name] = Difference(delta, interval, float(p_value))
    return differences


def _leave_one_out(stack: np.ndarray, reduce: Reduce) -> dict[str, np.ndarray]:
    """Each metric without one unit at a time: arrays [U]."""
    return mean_over_seeds(reduce, stack.sum(axis=1, keepdims=True) - stack)


def _bca_tails(
    tails: np.ndarray, value: float, draws: np.ndarray, leave_one_out: np.ndarray
) -> np.ndarray:
    """The quantiles to read for a BCa interval; plain ones where the correction is undefined."""
    from scipy.special import ndtr, ndtri

    draws = draws[~np.isnan(draws)]
    below = np.mean(draws < value) + 0.5 * np.mean(draws == value)
    leave_one_out = leave_one_out[~np.isnan(leave_one_out)]
    if not 0 < below < 1 or not _varies(leave_one_out):
        return tails
    deviations = leave_one_out.mean() - leave_one_out
    spread = float(np.sum(deviations**2))
    bias = ndtri(below)
    acceleration = float(np.sum(deviations**3)) / (6 * spread**1.5)
    shifted = bias + ndtri(tails)
    return ndtr(bias + shifted / (1 - acceleration * shifted))


def _varies(values: np.ndarray) -> bool:
    return len(values) > 1 and bool(values.max() > values.min())
