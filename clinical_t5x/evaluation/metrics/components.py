"""Metrics as reductions of sums: what one example contributes, and what the sums mean.

Legend: N examples, U units, K components.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Reduce = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class MetricFamily:
    """The metrics of one kind of task.

    `observe(target, prediction)` gives the K components of one example, named by `columns`;
    `reduce(sums)` turns component sums of shape [..., K] into metrics of shape [...], NaN where a
    metric is undefined (no answerable question in the sample, say). `headline` names the metrics a
    table shows; `unit` is what is resampled, in words. `display(prediction)` is what may be kept of
    a prediction without asking: label names, never free text. `merge` (groups.Merge) says how
    examples that share a question count as one; families without it take no such examples.
    `whole_units` are families whose components are those of a unit and not of an example.
    """

    name: str
    columns: tuple[str, ...]
    observe: Callable[[Any, Any], Sequence[float]]
    reduce: Reduce
    headline: tuple[str, ...]
    unit: str = "unit"
    lower_is_better: frozenset[str] = frozenset()
    display: Callable[[Any], str | None] = lambda prediction: None
    merge: Any = None
    whole_units: tuple[WholeUnits, ...] = ()

    def components(self, targets: Sequence[Any], predictions: Sequence[Any]) -> Components:
        """The components of each (target, prediction) pair, in order."""
        if len(targets) != len(predictions):
            raise ValueError(f"{len(targets)} targets but {len(predictions)} predictions")
        matrix = np.zeros((len(targets), len(self.columns)))
        for row, (target, prediction) in enumerate(zip(targets, predictions, strict=True)):
            matrix[row] = self.observe(target, prediction)
        return Components(self, matrix)

    def values(self, sums: np.ndarray) -> dict[str, float]:
        """The metrics of component sums [K], without those that are undefined."""
        return {name: float(value) for name, value in self.reduce(sums).items() if value == value}


@dataclasses.dataclass(frozen=True)
class WholeUnits:
    """Metrics over units: `components` makes a unit's row of `family` from its sums, [U, K] both.

    So a note's labels are those of its sentences, whatever the number of sentences that give one.
    """

    family: MetricFamily
    components: Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Components:
    """What every example contributes to the metrics of a family: `matrix` is [N, K]."""

    family: MetricFamily
    matrix: np.ndarray

    def values(self) -> dict[str, float]:
        """The metrics over all examples."""
        return self.family.values(self.matrix.sum(axis=0))

    def by_unit(self, units: Sequence[str]) -> tuple[list[str], np.ndarray]:
        """Sum the components of each unit: distinct units in order of appearance, sums [U, K]."""
        if len(units) != len(self.matrix):
            raise ValueError(f"{len(self.matrix)} examples but {len(units)} units")
        names: dict[str, int] = {}
        index = np.array([names.setdefault(unit, len(names)) for unit in units], dtype=np.int64)
        sums = np.zeros((len(names), self.matrix.shape[1]))
        np.add.at(sums, index, self.matrix)
        return list(names), sums


def reduces_to(family: MetricFamily) -> Callable[[Callable], Callable]:
    """Mark a SeqIO metric function as the reduction of `family`'s components."""

    def mark(metric_fn: Callable) -> Callable:
        metric_fn.family = family
        return metric_fn

    return mark


def family_of(metric_fn: Callable) -> MetricFamily | None:
    """The family that a metric function reduces, or None for a metric of another kind."""
    return getattr(metric_fn, "family", None)


def ratio(numerator: np.ndarray, denominator: np.ndarray, *, empty: float) -> np.ndarray:
    """Element-wise `numerator / denominator`, and `empty` where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, float), np.asarray(denominator, float)
    )
    result = np.full(denominator.shape, empty)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def as_text(value: Any) -> str:
    """A string from what SeqIO and TFDS hand over: str, UTF-8 bytes, or a scalar array of them."""
    if isinstance(value, np.ndarray):
        value = value.item()
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def as_texts(value: Any) -> list[str]:
    """A list of strings from a sequence or array of them; one string is a list of one."""
    if isinstance(value, str | bytes) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return [as_text(value)]
    return [as_text(item) for item in value]
