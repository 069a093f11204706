"""How sure a number is: bootstrap intervals by unit, paired differences, McNemar's test.

Hypotheses share a premise, questions share a context, sentences share a discharge summary: they
are not independent, so whole units are resampled (a cluster bootstrap). Metrics are recomputed
from resampled component sums, therefore any metric of a family has an interval, macro F1 included.

Legend: S training seeds, U units, K components, B resamples, M metrics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from clinical_t5x.evaluation.metrics.components import Reduce

RESAMPLES = 10_000
LEVEL = 0.95
_CHUNK_CELLS = 4_000_000  # resample-by-unit counts held at once: 32 MB


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


@dataclasses.dataclass(frozen=True)
class McNemar:
    """McNemar's exact test on paired right/wrong answers: the discordant counts and p."""

    only_first: int
    only_second: int
    n: int
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
        units for these seeds, not of other seeds).
      reduce: from component sums [..., K] to metrics [...].
      level: coverage wanted.
      method: "bca" (bias-corrected and accelerated; Efron 1987) or "percentile".
      resamples: number of bootstrap resamples, B.
      seed: fixes the resamples.

    Returns:
      An interval for each metric that is defined on the whole sample; none at all for fewer than
      two units, which say nothing about how units differ.
    """
    if method not in ("bca", "percentile"):
        raise ValueError(f"method must be bca or percentile, not {method!r}")
    stack = _stack(sums)
    n_units = stack.shape[1]
    if n_units < 2:
        return {}
    values = _mean_over_seeds(reduce, stack.sum(axis=1))
    draws = _draws(stack, reduce, resamples=resamples, seed=seed)
    leave_one_out = _leave_one_out(stack, reduce) if method == "bca" else {}
    intervals = {}
    for name, value in values.items():
        if np.isnan(value):
            continue
        tails = np.array([(1 - level) / 2, (1 + level) / 2])
        if method == "bca":
            tails = _bca_tails(tails, value, draws[name], leave_one_out[name])
        low, high = np.nanquantile(draws[name], tails)
        intervals[name] = Interval(float(low), float(high), level, method, n_units)
    return intervals


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
    first, second = _stack(first), _stack(second)
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(f"paired samples differ in shape: {first.shape[1:]}, {second.shape[1:]}")
    n_units = first.shape[1]
    if n_units < 2:
        return {}
    values_first = _mean_over_seeds(reduce, first.sum(axis=1))
    values_second = _mean_over_seeds(reduce, second.sum(axis=1))
    draws_first = _draws(first, reduce, resamples=resamples, seed=seed)
    draws_second = _draws(second, reduce, resamples=resamples, seed=seed)
    differences = {}
    for name, value in values_first.items():
        delta = float(value - values_second[name])
        if np.isnan(delta):
            continue
        draws = draws_first[name] - draws_second[name]
        draws = draws[~np.isnan(draws)]
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        interval = Interval(float(low), float(high), level, "percentile", n_units)
        # The tolerance keeps ties (discrete metrics) on the side of "as extreme".
        extreme = np.count_nonzero(np.abs(draws - delta) >= abs(delta) - 1e-12)
        p_value = (extreme + 1) / (len(draws) + 1)
        differences[name] = Difference(delta, interval, float(p_value))
    return differences


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> McNemar:
    """McNemar's exact two-sided test that two systems are right equally often.

    It takes examples as independent; where they come in units, trust `paired_bootstrap` more.

    Args:
      first_right: [N] booleans, whether the first system is right.
      second_right: [N] booleans for the second system, same examples in the same order.
    """
    from scipy.stats import binomtest

    first_right = np.asarray(first_right, dtype=bool)
    second_right = np.asarray(second_right, dtype=bool)
    if first_right.shape != second_right.shape:
        raise ValueError(
            f"paired samples differ in shape: {first_right.shape}, {second_right.shape}"
        )
    only_first = int(np.count_nonzero(first_right & ~second_right))
    only_second = int(np.count_nonzero(second_right & ~first_right))
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return McNemar(only_first, only_second, len(first_right), p_value)


def _stack(sums: np.ndarray) -> np.ndarray:
    sums = np.asarray(sums, dtype=np.float64)
    stack = sums[None] if sums.ndim == 2 else sums
    if stack.ndim != 3 or stack.shape[1] == 0:
        raise ValueError(f"component sums must be [U, K] or [S, U, K], U > 0; got {sums.shape}")
    return stack


def _mean_over_seeds(reduce: Reduce, sums: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of sums [S, ..., K], averaged over the leading seed dim: [...]."""
    return {name: values.mean(axis=0) for name, values in reduce(sums).items()}


def _draws(
    stack: np.ndarray, reduce: Reduce, *, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Each metric on B resamples of the units: arrays [B]."""
    parts = [
        _mean_over_seeds(reduce, np.einsum("bu,suk->sbk", counts, stack, optimize=True))
        for counts in _resample_counts(stack.shape[1], resamples, seed)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _resample_counts(n_units: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each unit is drawn in each resample, in chunks [B', U]; a function of the seed."""
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_CELLS // n_units)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(n_units, size=(rows, n_units))
        flat = (drawn + n_units * np.arange(rows)[:, None]).ravel()
        yield np.bincount(flat, minlength=rows * n_units).reshape(rows, n_units).astype(np.float64)


def _leave_one_out(stack: np.ndarray, reduce: Reduce) -> dict[str, np.ndarray]:
    """Each metric without one unit at a time: arrays [U]."""
    return _mean_over_seeds(reduce, stack.sum(axis=1, keepdims=True) - stack)


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
