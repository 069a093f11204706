"""Measured systems as data: which are rows, which metrics are columns, and the differences.

Rows are systems (an initialisation of a model), a cell is the mean over its training seeds with an
interval over units, and over seeds where there are several. Nothing here formats: see `text.py` and
`page.py`; what the paper published stands beside these rows in `main_table.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.evaluation import statistics
from clinical_t5x.evaluation.metrics import FAMILIES
from clinical_t5x.evaluation.registry import MODELS
from clinical_t5x.evaluation.results import (
    Evaluation,
    Result,
    aligned_sums,
    check_comparable,
    check_one_system,
)

_TITLES = {"majority": "Majority / empty", "scratch": "From scratch", "pretrained": "Pre-trained"}
_ORDER = (*_TITLES, *MODELS)


@dataclasses.dataclass(frozen=True)
class Column:
    """One metric of one metric family, and its heading."""

    family: str
    metric: str
    task: str
    heading: str


COLUMNS = (
    Column("mednli", "accuracy", "MedNLI", "accuracy"),
    Column("radqa", "exact_match", "RadQA", "exact match"),
    Column("radqa", "f1", "RadQA", "F1"),
    Column("clip", "micro_f1", "CLIP", "micro F1"),
    Column("clip", "macro_f1", "CLIP", "macro F1"),
)


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number with its interval; `by_seed` holds the value of each training seed.

    `low` and `high` are None when there are too few units for an interval; `std` is the sample
    standard deviation over seeds, None for a single one.
    """

    value: float
    low: float | None
    high: float | None
    method: str
    by_seed: tuple[float, ...]
    n: int
    n_units: int
    unit: str
    std: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One system: its cells by column, and the evaluations (one for each seed) by family.

    Systems that were trained on different fractions of the training split are different systems.
    """

    initialisation: str
    model: str
    cells: dict[Column, Cell]
    evaluations: dict[str, tuple[Evaluation, ...]]
    fraction: float = 1.0

    @property
    def title(self) -> str:
        """What a reader calls the row."""
        return title_of(self.initialisation) + fraction_note(self.fraction)


@dataclasses.dataclass(frozen=True)
class DifferenceLine:
    """A paired difference between two rows on one metric; `p_holm` is corrected over the table."""

    column: Column
    first: str
    second: str
    model: str
    difference: statistics.Difference
    p_holm: float
    seeds: tuple[int, int]
    n_units: int
    unit: str
    fraction: float = 1.0

    @property
    def title(self) -> str:
        """What a reader calls the line."""
        return f"{self.column.task} {self.column.heading}{fraction_note(self.fraction)}"


def fraction_note(fraction: float) -> str:
    """What follows a system's name when it was trained on a part of the training split."""
    return "" if fraction == 1.0 else f", {100 * fraction:g} % of training"


def title_of(initialisation: str) -> str:
    """What a reader calls systems of this initialisation; a registry's row by its name."""
    if initialisation in MODELS:
        return MODELS[initialisation].name
    return _TITLES.get(initialisation, initialisation)


def rank_of(initialisation: str) -> int:
    """Where systems of this initialisation stand in a table."""
    return _ORDER.index(initialisation) if initialisation in _ORDER else len(_ORDER)


def one_network_a_name(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The evaluations, each of a named model's tasks with the same words for its network.

    A model that has another head for each task is another network on each, and yet one system: its
    networks are joined into one name, unless one task alone has several of them. Words such as
    "scratch" name no model: their networks stay apart.
    """
    networks: dict[str, dict[str, set[str]]] = {}
    for evaluation in evaluations:
        first = evaluation.results[0]
        by_task = networks.setdefault(first.initialisation, {})
        by_task.setdefault(first.task, set()).add(first.model)
    joined = {
        name: _joined(sorted(set.union(*by_task.values())))
        for name, by_task in networks.items()
        if name not in _TITLES and all(len(found) == 1 for found in by_task.values())
    }

    def renamed(evaluation: Evaluation) -> Evaluation:
        first = evaluation.results[0]
        model = joined.get(first.initialisation, first.model)
        results = tuple(dataclasses.replace(result, model=model) for result in evaluation.results)
        return dataclasses.replace(evaluation, results=results)

    return [renamed(evaluation) for evaluation in evaluations]


def _joined(networks: Sequence[str]) -> str:
    """Several networks in few words: "roberta 168K, 169K", or "A / B" where they differ in more."""
    kinds = {network.rpartition(" ")[0] for network in networks}
    if len(kinds) == 1 and "" not in kinds:
        sizes = ", ".join(network.rpartition(" ")[2] for network in networks)
        return f"{kinds.pop()} {sizes}"
    return " / ".join(networks)


def main_rows(evaluations: Sequence[Evaluation]) -> list[Row]:
    """The rows of the table: floors, from scratch, pre-trained, the registry's models, others.

    Raises:
      UserError: when results were not measured on the same examples, or two runs claim to be the
        same system with the same seed.
    """
    check_comparable(evaluations)
    grouped: dict[tuple[str, str, float], dict[str, list[Evaluation]]] = {}
    for evaluation in evaluations:
        first = evaluation.results[0]
        model = "" if first.initialisation == "majority" else first.model
        for family in evaluation.sums:
            if family in FAMILIES:
                row = grouped.setdefault((first.initialisation, model, first.fraction), {})
                row.setdefault(family, []).append(evaluation)
    keys = sorted(grouped, key=lambda key: (rank_of(key[0]), key))
    return [_row(*key, grouped[key]) for key in keys]


def _row(
    initialisation: str, model: str, fraction: float, by_family: dict[str, list[Evaluation]]
) -> Row:
    ordered = {family: _by_seed(found) for family, found in by_family.items()}
    cells = {}
    for family, found in ordered.items():
        intervals = _intervals(found, family)
        for column in COLUMNS:
            if column.family == family:
                cells[column] = _cell(found, column, intervals.get(column.metric))
    return Row(initialisation, model, cells, ordered, fraction)


def _by_seed(evaluations: list[Evaluation]) -> tuple[Evaluation, ...]:
    """One evaluation for each seed, in order; two of the same seed are a mistake."""
    check_one_system(evaluations)
    seeds: dict[int | None, Evaluation] = {}
    for evaluation in evaluations:
        first = evaluation.results[0]
        other = seeds.setdefault(first.seed, evaluation)
        if other is not evaluation:
            raise UserError(
                f"{evaluation.place} and {other.place} both claim to be {first.model}"
                f" ({first.initialisation}, seed {first.seed}) on {first.task}; leave one out of"
                " --runs, or train with different seeds"
            )
    return tuple(
        seeds[seed] for seed in sorted(seeds, key=lambda seed: -1 if seed is None else seed)
    )


def _stacked(evaluations: Sequence[Evaluation], family: str) -> np.ndarray:
    """Unit sums of several seeds in the order of the first one's units: [S, U, K]."""
    return np.stack([aligned_sums(evaluations[0], other, family)[1] for other in evaluations])


def _intervals(found: Sequence[Evaluation], family: str) -> dict[str, statistics.Interval]:
    if len(found) > 1:
        summaries = statistics.over_seeds(_stacked(found, family), FAMILIES[family].reduce)
        return {
            metric: summary.interval
            for metric, summary in summaries.items()
            if summary.interval is not None
        }
    return {
        result.metric: statistics.Interval(
            result.low, result.high, result.level, result.method, result.n_units
        )
        for result in found[0].results
        if result.low is not None and result.high is not None
    }


def _cell(
    found: Sequence[Evaluation], column: Column, interval: statistics.Interval | None
) -> Cell:
    results: list[Result] = [evaluation.result(column.metric) for evaluation in found]
    values = tuple(result.value for result in results)
    first = results[0]
    return Cell(
        value=float(np.mean(values)),
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        method="none" if interval is None else interval.method,
        by_seed=values,
        n=first.n,
        n_units=first.n_units,
        unit=first.unit,
        std=float(np.std(values, ddof=1)) if len(values) > 1 else None,
    )


def compare(
    mine: Sequence[Evaluation], theirs: Sequence[Evaluation], family: str
) -> dict[str, statistics.Difference]:
    """Every metric of one system minus that of another, on the same units.

    With a training seed each, units are resampled (paired bootstrap); with several, seeds as well.

    Args:
      mine: one evaluation for each seed.
      theirs: the same of the other system; their number may differ.
      family: the metric family.
    """
    stacks = [
        np.stack([aligned_sums(mine[0], evaluation, family)[1] for evaluation in side])
        for side in (mine, theirs)
    ]
    single = len(mine) == len(theirs) == 1
    test = statistics.paired_bootstrap if single else statistics.difference_over_seeds
    return test(*stacks, FAMILIES[family].reduce)


def paired_differences(
    rows: Sequence[Row], *, first: str = "pretrained", second: str = "scratch"
) -> list[DifferenceLine]:
    """Differences `first` minus `second` on every column.

    For each model and each fraction of the training split that has both.
    """
    by_key = {(row.initialisation, row.model, row.fraction): row for row in rows}
    found = []
    for row in rows:
        other = by_key.get((second, row.model, row.fraction))
        if row.initialisation != first or other is None:
            continue
        for family in row.evaluations:
            if family in other.evaluations:
                found += _family_differences(row, other, family)
    order = {column: k for k, column in enumerate(COLUMNS)}
    found.sort(key=lambda line: (line.model, order[line.column], line.fraction))
    corrected = statistics.holm([line.difference.p_value for line in found])
    return [dataclasses.replace(line, p_holm=p) for line, p in zip(found, corrected, strict=True)]


def _family_differences(row: Row, other: Row, family: str) -> list[DifferenceLine]:
    mine, theirs = row.evaluations[family], other.evaluations[family]
    differences = compare(mine, theirs, family)
    result = mine[0].results[0]
    return [
        DifferenceLine(
            column=column,
            first=title_of(row.initialisation),
            second=title_of(other.initialisation),
            model=row.model,
            difference=differences[column.metric],
            p_holm=1.0,
            seeds=(len(mine), len(theirs)),
            n_units=result.n_units,
            unit=result.unit,
            fraction=row.fraction,
        )
        for column in COLUMNS
        if column.family == family and column.metric in differences
    ]
