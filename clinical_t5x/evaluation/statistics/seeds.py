"""Several training seeds: their mean, their spread, and intervals that speak of other seeds too.

A model's score varies with the examples it is tested on and with the seed it was trained with.
The hierarchical bootstrap resamples both: units with replacement, the same ones for all seeds,
which were tested on the same examples, and seeds with replacement. Seeds differ on single units as
well, which the draws of units have already: that part is taken off the seeds' spread, or it would
count twice. And seeds are few, so that resampled as they are they vary too little: deviations are
widened by sqrt(S / (S - 1)), and the interval by Student's t over the normal quantile, with
Satterthwaite's degrees of freedom over the two sources. docs/evaluation.md has its coverage.

Legend: S training seeds, U units, K components, B resamples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from clinical_t5x.evaluation.metrics.components import Reduce
from clinical_t5x.evaluation.statistics.bootstrap import (
    LEVEL,
    RESAMPLES,
    Difference,
    Interval,
    bootstrap_intervals,
)
from clinical_t5x.evaluation.statistics.resampling import (
    TIE,
    draws_by_seed,
    stacked,
    stacked_pair,
)

METHOD = "hierarchical"


@dataclasses.dataclass(frozen=True)
class SeedSummary:
    """One metric over training seeds.

    Attributes:
      values: of each seed, in order.
      mean: over seeds.
      std: sample standard deviation over seeds (ddof=1); None for a single seed.
      interval: of the mean, over seeds and units ("hierarchical"); for a single seed over units
        alone ("bca"); None for fewer than two units.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None
    interval: Interval | None


@dataclasses.dataclass(frozen=True)
class SeedDifference(Difference):
    """A difference of means over seeds; `n_seeds` of the first and of the second system."""

    n_seeds: tuple[int, int]


def over_seeds(
    sums: np.ndarray,
    reduce: Reduce,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, SeedSummary]:
    """Mean, standard deviation and interval of every metric over training seeds.

    Args:
      sums: component sums [S, U, K], all seeds tested on the same units in the same order; [U, K]
        is one seed.
      reduce: from component sums [..., K] to metrics [...].
      level: coverage wanted.
      resamples: number of bootstrap resamples, B.
      seed: fixes the resamples.

    Returns:
      A summary for each metric that is defined for all seeds.
    """
    stack = stacked(sums)
    n_seeds, n_units, _ = stack.shape
    values = reduce(stack.sum(axis=1))
    defined = {name: each for name, each in values.items() if not np.isnan(each).any()}
    intervals: dict[str, Interval] = {}
    if n_seeds == 1:
        intervals = bootstrap_intervals(stack, reduce, level=level, resamples=resamples, seed=seed)
    elif n_units > 1:
        draws = draws_by_seed(stack, reduce, resamples=resamples, seed=seed)
        picks = _picks(n_seeds, resamples, seed, 0)
        for name, each in defined.items():
            side = _side(each, draws[name], picks)
            spread = _Spread.of([side], n_units, level)
            low, high = spread.interval(each.mean(), side.drawn)
            if draws[name].min() >= 0 and draws[name].max() <= 1:  # a fraction stays one
                low, high = max(low, 0.0), min(high, 1.0)
            intervals[name] = Interval(low, high, level, METHOD, n_units)
    return {
        name: SeedSummary(
            values=tuple(each.tolist()),
            mean=float(each.mean()),
            std=float(each.std(ddof=1)) if n_seeds > 1 else None,
            interval=intervals.get(name),
        )
        for name, each in defined.items()
    }


def difference_over_seeds(
    first: np.ndarray,
    second: np.ndarray,
    reduce: Reduce,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, SeedDifference]:
    """Differences of means over seeds, first minus second, that speak of other seeds and units.

    Units are shared, seeds are drawn for each system by itself. The seed of a system that has only
    one counts as fixed: the interval then says nothing about that system's other seeds.

    Args:
      first: component sums [S, U, K] or [U, K].
      second: the same units in the same order; its number of seeds may differ.
      reduce: from component sums [..., K] to metrics [...].
      level: coverage wanted.
      resamples: number of bootstrap resamples, B.
      seed: fixes the resamples.

    Returns:
      A difference for each metric that is defined for all seeds; none for fewer than two units.
    """
    pair = stacked_pair(first, second)
    n_units = pair[0].shape[1]
    if n_units < 2:
        return {}
    n_seeds = (len(pair[0]), len(pair[1]))
    values = [reduce(stack.sum(axis=1)) for stack in pair]
    drawn = draws_by_seed(np.concatenate(pair), reduce, resamples=resamples, seed=seed)
    draws = [
        {name: each[part] for name, each in drawn.items()}
        for part in (slice(n_seeds[0]), slice(n_seeds[0], None))
    ]
    picks = [_picks(count, resamples, seed, which) for which, count in enumerate(n_seeds)]
    differences = {}
    for name in values[0]:
        delta = float(values[0][name].mean() - values[1][name].mean())
        if np.isnan(delta):
            continue
        sides = [_side(values[k][name], draws[k][name], picks[k]) for k in range(2)]
        gaps = sides[0].drawn - sides[1].drawn
        spread = _Spread.of(sides, n_units, level)
        low, high = spread.interval(delta, gaps)
        interval = Interval(low, high, level, METHOD, n_units)
        deviations = np.abs(gaps[~np.isnan(gaps)] - delta)
        extreme = np.count_nonzero(deviations * spread.widening >= abs(delta) - TIE)
        p_value = (extreme + 1) / (len(deviations) + 1)
        differences[name] = SeedDifference(delta, interval, float(p_value), n_seeds)
    return differences


@dataclasses.dataclass(frozen=True)
class _Side:
    """One system's metric: its draws over seeds and units, over units alone, and its seeds.

    Attributes:
      drawn: [B] over both.
      of_units: [B] the mean over seeds, on the same units.
      seed_variance: of the mean over seeds, by what seeds have in common over all units.
      spread_variance: the same as the seeds' spread shows it, differences on single units included.
      n_seeds: how many.
    """

    drawn: np.ndarray
    of_units: np.ndarray
    seed_variance: float
    spread_variance: float
    n_seeds: int


def _side(values: np.ndarray, draws: np.ndarray, picks: np.ndarray) -> _Side:
    """From the seeds' values [S], their draws [S, B], and which seeds are drawn [S, B]."""
    n_seeds = len(values)
    of_units = draws.mean(axis=0)
    spread = float(values.var(ddof=1)) if n_seeds > 1 else 0.0
    if spread == 0:
        return _Side(of_units, of_units, 0.0, 0.0, n_seeds)
    # What seeds make of single units differs, too; the draws of units have that already.
    shared = float(np.nanvar(draws - of_units, axis=1).mean()) * n_seeds / (n_seeds - 1)
    of_seeds = max(0.0, spread - shared)
    scale = np.sqrt(of_seeds / spread * n_seeds / (n_seeds - 1))
    drawn = of_units + scale * (values - values.mean())[picks].mean(axis=0)
    return _Side(drawn, of_units, of_seeds / n_seeds, spread / n_seeds, n_seeds)


@dataclasses.dataclass(frozen=True)
class _Spread:
    """How much wider than its quantiles an interval must be, and its quantiles."""

    widening: float
    tails: tuple[float, float]

    @classmethod
    def of(cls, sides: Sequence[_Side], n_units: int, level: float) -> _Spread:
        """Student's t over the normal quantile, degrees of freedom by Satterthwaite."""
        from scipy.stats import norm, t

        tails = ((1 - level) / 2, (1 + level) / 2)
        signs = (1, -1)
        of_units = sum(sign * side.of_units for sign, side in zip(signs, sides, strict=False))
        variance = float(np.nanvar(of_units))
        total = variance + sum(side.seed_variance for side in sides)
        if total == 0:
            return cls(1.0, tails)
        # As uncertain as the spread that they come from: so few seeds are not known to agree.
        uncertain = variance**2 / (n_units - 1) + sum(
            side.spread_variance**2 / (side.n_seeds - 1) for side in sides if side.n_seeds > 1
        )
        freedom = max(1.0, total**2 / uncertain)
        return cls(float(t.ppf(tails[1], freedom) / norm.ppf(tails[1])), tails)

    def interval(self, value: float, drawn: np.ndarray) -> tuple[float, float]:
        """The quantiles of the draws, widened around the value."""
        low, high = np.nanquantile(drawn, self.tails)
        return (
            float(value - self.widening * (value - low)),
            float(value + self.widening * (high - value)),
        )


def _picks(n_seeds: int, resamples: int, seed: int, which: int) -> np.ndarray:
    """Which seeds each resample takes: [S, B]; a function of the seed and of the system."""
    rng = np.random.default_rng([seed, 1 + which])
    return rng.integers(n_seeds, size=(n_seeds, resamples))
