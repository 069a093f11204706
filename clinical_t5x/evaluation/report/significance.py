"""Which measured systems differ: every pair, for each metric, with Holm's correction.

Systems are compared on the same units (`table.compare`). The correction is over all pairs of one
metric's matrix. Only systems that were trained on the whole training split stand in a matrix; those
of fractions are compared at each fraction by the learning curve.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from clinical_t5x.console import Progress
from clinical_t5x.evaluation import statistics
from clinical_t5x.evaluation.report.csv_rows import csv_of
from clinical_t5x.evaluation.report.table import COLUMNS, Column, Row, compare

LEVEL = 0.05  # p-values below it are called clear


@dataclasses.dataclass(frozen=True)
class System:
    """One system of a matrix: its name, its network, its score and how many seeds that is of."""

    name: str
    model: str
    value: float
    n_seeds: int


@dataclasses.dataclass(frozen=True)
class Pair:
    """A system against one that scores lower.

    Attributes:
      better, worse: Positions among the matrix's systems.
      difference: Better minus worse, its interval, and its p-value as it is.
      p_holm: Corrected over the matrix.
    """

    better: int
    worse: int
    difference: statistics.Difference
    p_holm: float

    @property
    def is_clear(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.p_holm < LEVEL


@dataclasses.dataclass(frozen=True)
class Matrix:
    """All pairs of systems on one metric.

    Attributes:
      column: The metric.
      systems: Best first.
      pairs: By (better, worse), each pair once.
      n_units, unit: What was resampled.
    """

    column: Column
    systems: tuple[System, ...]
    pairs: dict[tuple[int, int], Pair]
    n_units: int
    unit: str

    @property
    def title(self) -> str:
        """What a reader calls it."""
        return f"{self.column.task} {self.column.heading}"

    @property
    def name(self) -> str:
        """What files call it."""
        return f"{self.column.family}_{self.column.metric}"

    @property
    def clear(self) -> int:
        """How many differences are clear."""
        return sum(pair.is_clear for pair in self.pairs.values())


def significance(rows: Sequence[Row]) -> list[Matrix]:
    """A matrix for each metric that two systems or more were measured on."""
    whole = [row for row in rows if row.fraction == 1.0]
    families = list(dict.fromkeys(column.family for column in COLUMNS))
    by_family = {f: [row for row in whole if f in row.evaluations] for f in families}
    jobs = {f: list(itertools.combinations(found, 2)) for f, found in by_family.items()}
    total = sum(len(pairs) for pairs in jobs.values())
    matrices = []
    with Progress("compare systems", total, unit="pairs") as progress:
        for family, pairs in jobs.items():
            compared = {}
            for first, second in pairs:
                mine, theirs = first.evaluations[family], second.evaluations[family]
                compared[id(first), id(second)] = compare(mine, theirs, family)
                progress.advance()
            for column in COLUMNS:
                if column.family == family and pairs:
                    matrices.append(_matrix(column, by_family[family], compared))
    return [matrix for matrix in matrices if matrix.pairs]


def _matrix(
    column: Column,
    rows: Sequence[Row],
    compared: dict[tuple[int, int], dict[str, statistics.Difference]],
) -> Matrix:
    ordered = sorted(
        (row for row in rows if column in row.cells), key=lambda row: -row.cells[column].value
    )
    found = []
    for (k, better), (m, worse) in itertools.combinations(enumerate(ordered), 2):
        swapped = (id(better), id(worse)) not in compared
        key = (id(worse), id(better)) if swapped else (id(better), id(worse))
        difference = compared[key].get(column.metric)
        if difference is not None:
            found.append((k, m, _negated(difference) if swapped else difference))
    corrected = statistics.holm([difference.p_value for _, _, difference in found])
    first = rows[0].evaluations[column.family][0].results[0]
    return Matrix(
        column=column,
        systems=tuple(
            System(row.title, row.model, row.cells[column].value, len(row.cells[column].by_seed))
            for row in ordered
        ),
        pairs={
            (k, m): Pair(k, m, difference, p)
            for (k, m, difference), p in zip(found, corrected, strict=True)
        },
        n_units=first.n_units,
        unit=first.unit,
    )


def _negated(difference: statistics.Difference) -> statistics.Difference:
    """Second minus first of a first minus second."""
    interval = difference.interval
    turned = dataclasses.replace(interval, low=-interval.high, high=-interval.low)
    return dataclasses.replace(difference, value=-difference.value, interval=turned)


CSV_FIELDS = (
    "task", "metric", "better", "better_model", "worse", "worse_model", "difference", "low", "high",
    "level", "method", "p_value", "p_holm", "comparisons", "better_seeds", "worse_seeds", "n_units",
    "unit",
)  # fmt: skip


def rows_as_dicts(matrices: Sequence[Matrix]) -> list[dict[str, Any]]:
    """Every pair as a flat dict, fractions unrounded."""
    found = []
    for matrix in matrices:
        for pair in matrix.pairs.values():
            better, worse = matrix.systems[pair.better], matrix.systems[pair.worse]
            interval = pair.difference.interval
            found.append(
                {
                    "task": matrix.column.family, "metric": matrix.column.metric,
                    "better": better.name, "better_model": better.model, "worse": worse.name,
                    "worse_model": worse.model, "difference": pair.difference.value,
                    "low": interval.low, "high": interval.high, "level": interval.level,
                    "method": interval.method, "p_value": pair.difference.p_value,
                    "p_holm": pair.p_holm, "comparisons": len(matrix.pairs),
                    "better_seeds": better.n_seeds, "worse_seeds": worse.n_seeds,
                    "n_units": interval.n_units, "unit": matrix.unit,
                }
            )  # fmt: skip
    return found


def csv_text(matrices: Sequence[Matrix]) -> str:
    """Every pair as CSV."""
    return csv_of(CSV_FIELDS, rows_as_dicts(matrices))
