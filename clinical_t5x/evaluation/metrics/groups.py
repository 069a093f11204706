"""Several examples, one question: how their components become the one row that metrics count.

A long context is read in windows, a sentence is asked about one label at a time; metrics count
questions and sentences all the same. The task's postprocessor gives such targets as `Grouped`, the
metric family says how the rows of a group become one (`Merge`). Rows hold components, not text, so
that a resumed evaluation merges what it finds on disk.

Legend: N examples, W examples of one group, G groups, K components.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from clinical_t5x.evaluation.metrics.components import Components, MetricFamily, reduces_to


class Grouped(NamedTuple):
    """The target of an example that shares a question with others: the question's id, its gold."""

    group: str
    gold: Any


@dataclasses.dataclass(frozen=True)
class Merge:
    """How the rows of a group become one.

    Attributes:
      combine: rows [W, K] and confidences [W] (higher is surer) -> row [K].
      contested: rows [W, K] -> which of them compete [W]; only where several do is their confidence
        of any account.
    """

    combine: Callable[[np.ndarray, np.ndarray], np.ndarray]
    contested: Callable[[np.ndarray], np.ndarray] = lambda rows: np.zeros(len(rows), bool)


def surest_of(column: int) -> Merge:
    """One row counts for its group: of those whose `column` is not 0 the surest, else the first.

    Of equally sure ones the first; an unknown confidence (NaN) is below all known ones.
    """

    def contested(rows: np.ndarray) -> np.ndarray:
        return rows[:, column] != 0

    def combine(rows: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        competing = np.flatnonzero(contested(rows))
        if not len(competing):
            return rows[0]
        known = np.where(np.isnan(confidence), -np.inf, confidence)
        return rows[competing[np.argmax(known[competing])]]

    return Merge(combine, contested)


def column_by_column(reductions: Sequence[Callable[..., np.ndarray]]) -> Merge:
    """Each component by its own reduction (np.sum, np.min, np.max), in the order of the columns."""

    def combine(rows: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        return np.array([f(rows[:, k]) for k, f in enumerate(reductions)])

    return Merge(combine)


def positions_of_groups(groups: Sequence[str]) -> dict[str, list[int]]:
    """Where the examples of each group stand, groups in order of appearance."""
    positions: dict[str, list[int]] = {}
    for position, group in enumerate(groups):
        positions.setdefault(group, []).append(position)
    return positions


def contested_positions(
    family: MetricFamily, matrix: np.ndarray, groups: Sequence[str]
) -> list[int]:
    """Examples whose confidence decides what counts for their group."""
    found: list[int] = []
    for positions in positions_of_groups(groups).values():
        if len(positions) > 1:
            competing = np.flatnonzero(family.merge.contested(matrix[positions]))
            if len(competing) > 1:
                found += [positions[k] for k in competing]
    return found


def merged(
    family: MetricFamily, matrix: np.ndarray, groups: Sequence[str], confidence: np.ndarray
) -> np.ndarray:
    """One row for each group, in order of appearance: [G, K].

    Args:
      family: of the components; it has a `merge`.
      matrix: components of every example [N, K].
      groups: the group of every example.
      confidence: of every example [N]; NaN where it is not known.
    """
    rows = np.zeros((len(set(groups)), matrix.shape[1]))
    for row, positions in zip(rows, positions_of_groups(groups).values(), strict=True):
        alone = len(positions) == 1
        row[:] = (
            matrix[positions[0]]
            if alone
            else family.merge.combine(matrix[positions], confidence[positions])
        )
    return rows


def merged_metrics(family: MetricFamily) -> Callable[..., dict[str, float]]:
    """A SeqIO metric function over groups, for families whose merging needs no confidence.

    Its targets are `Grouped`.
    """

    @reduces_to(family)
    def metrics(targets: Sequence[Grouped], predictions: Sequence[Any]) -> dict[str, float]:
        return _merged_values(family, targets, predictions, np.full(len(targets), np.nan))

    return metrics


def merged_metrics_by_score(family: MetricFamily) -> Callable[..., dict[str, float]]:
    """A SeqIO metric function over groups whose confidence is the model's `scores`.

    SeqIO calls it where the model gives auxiliary values (`predict_with_aux_fn`), as T5X's do.
    """

    @reduces_to(family)
    def metrics(
        targets: Sequence[Grouped], predictions: Sequence[Any], aux_values: dict[str, Any]
    ) -> dict[str, float]:
        scores = np.asarray(aux_values["scores"], float).reshape(len(targets), -1)[:, -1]
        return _merged_values(family, targets, predictions, scores)

    return metrics


def _merged_values(
    family: MetricFamily,
    targets: Sequence[Grouped],
    predictions: Sequence[Any],
    confidence: np.ndarray,
) -> dict[str, float]:
    golds = [target.gold for target in targets]
    matrix = family.components(golds, predictions).matrix
    groups = [target.group for target in targets]
    return Components(family, merged(family, matrix, groups, confidence)).values()
