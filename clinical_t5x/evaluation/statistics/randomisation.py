"""Approximate randomisation: are two systems' answers exchangeable, unit by unit?

If the two systems are equally good, it does not matter whose answers to a unit are called whose.
So the answers of whole units are swapped at random, and the p-value is how often the difference
of a metric gets as large as the one seen (Noreen 1989; Yeh 2000).

Legend: S training seeds, U units, K components, B swaps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from clinical_t5x.evaluation.metrics.components import Reduce
from clinical_t5x.evaluation.statistics.bootstrap import RESAMPLES
from clinical_t5x.evaluation.statistics.resampling import (
    TIE,
    chunks,
    mean_over_seeds,
    stacked_pair,
)


@dataclasses.dataclass(frozen=True)
class RandomisationTest:
    """A difference and its two-sided p-value.

    Attributes:
      value: first minus second.
      p_value: of exchangeable systems.
      exact: whether all ways to swap were counted, not a random sample of them.
      swaps: how many were counted.
      n_units: units, those included on which both systems do the same.
    """

    value: float
    p_value: float
    exact: bool
    swaps: int
    n_units: int


def approximate_randomisation(
    first: np.ndarray,
    second: np.ndarray,
    reduce: Reduce,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, RandomisationTest]:
    """Test every metric's difference first minus second by swapping units' answers.

    When the units on which the systems differ are few enough for all ways to swap them to be at
    most `resamples`, all are counted and the p-value is exact; otherwise random swaps are counted,
    with +1 in numerator and denominator so that it is never 0. A swap on which a metric is
    undefined counts as extreme.

    Args:
      first: component sums [U, K]; or [S, U, K] for several training seeds, where the metric is the
        mean over seeds and a unit's answers are swapped for all seeds together (seed k of the first
        with seed k of the second): the test speaks of these seeds and of other units.
      second: the same shape, units in the same order.
      reduce: from component sums [..., K] to metrics [...].
      resamples: number of swaps, B.
      seed: fixes the swaps.

    Returns:
      A test for each metric that is defined for both systems.
    """
    first, second = stacked_pair(first, second)
    if len(first) != len(second):
        raise ValueError(
            f"swapping needs as many training seeds on both sides, not {len(first)} and"
            f" {len(second)}; difference_over_seeds takes any numbers"
        )
    n_units = first.shape[1]
    sums_first, sums_second = first.sum(axis=1), second.sum(axis=1)
    seen = _difference(reduce, sums_first[:, None], sums_second[:, None])
    gaps = second - first
    gaps = gaps[:, np.any(gaps != 0, axis=(0, 2))]
    n_differ = gaps.shape[1]
    # Swapping all units only turns the sign: half of all ways stand for the others.
    exact = n_differ == 0 or 2.0 ** (n_differ - 1) <= resamples
    ways = _all_swaps(n_differ) if exact else _random_swaps(n_differ, resamples, seed)
    extreme = dict.fromkeys(seen, 0)
    counted = 0
    for swaps in ways:
        moved = np.einsum("bu,suk->sbk", swaps, gaps, optimize=True)
        deltas = _difference(reduce, sums_first[:, None] + moved, sums_second[:, None] - moved)
        counted += len(swaps)
        for name, values in deltas.items():
            inside = np.abs(values) < abs(seen[name][0]) - TIE  # False for NaN
            extreme[name] += int(np.count_nonzero(~inside))
    return {
        name: RandomisationTest(
            value=float(delta[0]),
            p_value=extreme[name] / counted if exact else (extreme[name] + 1) / (counted + 1),
            exact=exact,
            swaps=counted,
            n_units=n_units,
        )
        for name, delta in seen.items()
        if not np.isnan(delta[0])
    }


def _difference(reduce: Reduce, first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of sums [S, B, K], averaged over seeds, first minus second: [B]."""
    minuend, subtrahend = mean_over_seeds(reduce, first), mean_over_seeds(reduce, second)
    return {name: values - subtrahend[name] for name, values in minuend.items()}


def _all_swaps(n_units: int) -> Iterator[np.ndarray]:
    """Every way to swap all units but the first, 1.0 for a swap: one array [2**(U-1), U]."""
    ways = 2 ** max(0, n_units - 1)
    # The first unit's bit lies above those that are counted: it is never swapped.
    bits = np.arange(n_units)[::-1]
    yield ((np.arange(ways)[:, None] >> bits) & 1).astype(np.float64)


def _random_swaps(n_units: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Fair coins for each unit, in chunks [B', U]; a function of the seed."""
    rng = np.random.default_rng(seed)
    for rows in chunks(resamples, n_units):
        yield rng.integers(2, size=(rows, n_units), dtype=np.int8).astype(np.float64)
