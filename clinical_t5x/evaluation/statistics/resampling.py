"""What the resampling methods share: sums by unit, metrics averaged over seeds, draws of units.

Legend: S training seeds, U units, K components, B resamples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clinical_t5x.evaluation.metrics.components import Reduce

# The tolerance keeps ties (discrete metrics) on the side of "as extreme".
TIE = 1e-12
_CHUNK_CELLS = 250_000  # resample-by-unit numbers held at once: 2 MB, which caches hold


def stacked(sums: np.ndarray) -> np.ndarray:
    """Component sums [U, K] or [S, U, K] as [S, U, K]; other shapes are a ValueError."""
    sums = np.asarray(sums, dtype=np.float64)
    stack = sums[None] if sums.ndim == 2 else sums
    if stack.ndim != 3 or 0 in stack.shape[:2]:
        raise ValueError(
            f"component sums must be [U, K] or [S, U, K], S and U > 0; got {sums.shape}"
        )
    return stack


def stacked_pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both systems' sums as [S, U, K] each; a ValueError when units or components differ."""
    first, second = stacked(first), stacked(second)
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(f"paired samples differ in shape: {first.shape[1:]}, {second.shape[1:]}")
    return first, second


def mean_over_seeds(reduce: Reduce, sums: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of sums [S, ..., K], averaged over the leading seed dim: [...]."""
    return {name: values.mean(axis=0) for name, values in reduce(sums).items()}


def draws_by_seed(
    stack: np.ndarray, reduce: Reduce, *, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Each metric of each training seed on B resamples of the units, the same for all: [S, B]."""
    parts = [
        reduce(np.einsum("bu,suk->sbk", counts, stack, optimize=True))
        for counts in _resample_counts(stack.shape[1], resamples, seed)
    ]
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def draws_of_mean(
    stack: np.ndarray, reduce: Reduce, *, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Each metric, averaged over training seeds, on B resamples of the units: [B]."""
    by_seed = draws_by_seed(stack, reduce, resamples=resamples, seed=seed)
    return {name: values.mean(axis=0) for name, values in by_seed.items()}


def chunks(resamples: int, n_units: int) -> Iterator[int]:
    """Numbers of resamples that fit into memory together; they add up to `resamples`."""
    chunk = max(1, _CHUNK_CELLS // max(1, n_units))
    for start in range(0, resamples, chunk):
        yield min(chunk, resamples - start)


def _resample_counts(n_units: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each unit is drawn in each resample, in chunks [B', U]; a function of the seed."""
    rng = np.random.default_rng(seed)
    for rows in chunks(resamples, n_units):
        drawn = rng.integers(n_units, size=(rows, n_units))
        drawn += n_units * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n_units)
        yield counts.reshape(rows, n_units).astype(np.float64)
