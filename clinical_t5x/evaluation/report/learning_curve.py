"""A learning curve as data: score against the fraction of the training split, by system.

A point is the mean over training seeds; its interval speaks of other seeds and of other test
examples (whole units), or of other examples alone where there is one seed. For each fraction every
system is compared with the reference on the same units; Holm's correction is over all comparisons
of the page. One metric a task is tested, the one that is drawn; the others are in the CSV.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.evaluation import statistics
from clinical_t5x.evaluation.metrics import FAMILIES
from clinical_t5x.evaluation.metrics.components import MetricFamily
from clinical_t5x.evaluation.report.csv_rows import csv_of
from clinical_t5x.evaluation.report.table import COLUMNS, Column, rank_of, title_of
from clinical_t5x.evaluation.results import (
    Evaluation,
    aligned_sums,
    check_comparable,
    check_one_system,
)

# What is drawn and tested of each benchmark.
DRAWN = {"mednli": "accuracy", "radqa": "f1", "clip": "micro_f1"}

MAJORITY, SCRATCH = "majority", "scratch"
STD = "std"  # of a published point's bar: a standard deviation over seeds up and down


@dataclasses.dataclass(frozen=True)
class Point:
    """A system's score at one fraction, 0 to 1.

    Attributes:
      fraction: Of the training split.
      value: Mean over seeds.
      low, high: 95 % interval; None where there are too few units for one.
      method: "hierarchical" (over seeds and units), "bca" (over units), "none", or of published
        points "std": a standard deviation over seeds up and down, which is no interval.
      by_seed: The score of each training seed.
      source: The paper's table that a published point is from.
      note: What must be known to read it.
    """

    fraction: float
    value: float
    low: float | None
    high: float | None
    method: str
    by_seed: tuple[float, ...]
    source: str = ""
    note: str = ""

    @property
    def std(self) -> float | None:
        """The standard deviation over seeds, published or measured; None for one seed."""
        if self.method == STD and self.high is not None:
            return self.high - self.value
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else None


@dataclasses.dataclass(frozen=True)
class Line:
    """One system's points on one metric, in order of fraction.

    `published` lines are the paper's, the others were measured.
    """

    initialisation: str
    model: str
    points: tuple[Point, ...]
    published: bool = False

    @property
    def title(self) -> str:
        """What a reader calls the system."""
        return title_of(self.initialisation)


@dataclasses.dataclass(frozen=True)
class Test:
    """A paired difference at one fraction, first minus second."""

    column: Column
    fraction: float
    first: str
    second: str
    difference: statistics.Difference
    p_holm: float
    seeds: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Reference:
    """A score that no fraction of the training split belongs to: of a model that was prompted."""

    name: str
    value: float
    published: bool


@dataclasses.dataclass(frozen=True)
class Panel:
    """One metric of one task: every system's line, and the baseline.

    Attributes:
      column: The metric.
      lines: From scratch, pre-trained, others; published ones last.
      majority: The baseline's score, or None.
      n, n_units, unit: What was scored, and what was resampled; 0 where nothing was measured.
      is_sample: Whether that was a sample of the split.
      examples: Training examples by fraction, where they are known.
      counted: What those are.
      references: Models without training examples.
    """

    column: Column
    lines: tuple[Line, ...]
    majority: float | None
    n: int
    n_units: int
    unit: str
    is_sample: bool
    examples: Mapping[float, int]
    counted: str = "examples"
    references: tuple[Reference, ...] = ()


@dataclasses.dataclass(frozen=True)
class LearningCurve:
    """Everything that is drawn and said.

    Attributes:
      panels: One a task.
      others: The metrics that are not drawn, for the CSV.
      tests: Of the drawn metrics.
      split: What was scored.
      synthetic: "all", "some" or "none" of the results are of synthetic data.
      resamples: Of the bootstrap.
    """

    panels: tuple[Panel, ...]
    others: tuple[Panel, ...]
    tests: tuple[Test, ...]
    split: str
    synthetic: str
    resamples: int = statistics.RESAMPLES

    @property
    def methods(self) -> set[str]:
        """How the intervals were made."""
        points = [point for panel in self.panels for line in panel.lines for point in line.points]
        return {point.method for point in points} - {"none"}

    @property
    def origins(self) -> set[bool]:
        """Whether lines are published, for all lines."""
        return {line.published for panel in self.panels for line in panel.lines}


def learning_curve(
    evaluations: Sequence[Evaluation],
    *,
    reference: str | None = None,
    examples: Mapping[tuple[str, float], int] | None = None,
    families: Mapping[str, MetricFamily] | None = None,
    split: str = "test",
    resamples: int = statistics.RESAMPLES,
) -> LearningCurve:
    """Put evaluations of the same tasks at several fractions together.

    Args:
      evaluations: Of any systems; those on other splits are left out.
      reference: The initialisation that the others are compared with; default "scratch" where
        there is one, else the first.
      examples: Training examples by (metric family, fraction), to be said beside the fractions.
      families: Further metric families than the benchmarks', by name.
      split: What was scored.
      resamples: Of the bootstrap.

    Raises:
      UserError: nothing was scored on the split, or results cannot stand side by side.
    """
    chosen = [e for e in evaluations if e.results[0].split == split]
    if not any(e.results[0].initialisation != MAJORITY for e in chosen):
        raise UserError(f"there is no result on the {split} split to draw yet")
    check_comparable(chosen)
    known = {name: FAMILIES[name] for name in DRAWN} | dict(families or {})
    by_system = _by_system(chosen, known)
    names = {initialisation for _, initialisation, _ in by_system} - {MAJORITY}
    if reference is None:
        reference = SCRATCH if SCRATCH in names else min(names, key=lambda n: (rank_of(n), n))
    panels, others, tests = [], [], []
    for family in sorted({key[0] for key in by_system}, key=_family_rank):
        systems = {key[1:]: found for key, found in by_system.items() if key[0] == family}
        counted = {f: n for (name, f), n in (examples or {}).items() if name == family}
        made = _panels(known[family], systems, counted, resamples)
        panels += made[:1]
        others += made[1:]
        if made:
            tests += _tests(known[family], made[0].column, systems, reference, resamples)
    corrected = statistics.holm([test.difference.p_value for test in tests]) if tests else []
    flags = {e.results[0].synthetic for e in chosen}
    return LearningCurve(
        panels=tuple(panels),
        others=tuple(others),
        tests=tuple(
            dataclasses.replace(t, p_holm=p) for t, p in zip(tests, corrected, strict=True)
        ),
        split=split,
        synthetic={True: "some", False: "none"}[True in flags] if False in flags else "all",
        resamples=resamples,
    )


# By (family, initialisation, network): the runs at each fraction, in order of seed.
_Systems = dict[tuple[str, str, str], dict[float, list[Evaluation]]]


def _by_system(evaluations: Sequence[Evaluation], known: Mapping[str, MetricFamily]) -> _Systems:
    found: _Systems = {}
    for evaluation in evaluations:
        first = evaluation.results[0]
        for family in evaluation.sums:
            if family in known:
                network = "" if first.initialisation == MAJORITY else first.model
                key = (family, first.initialisation, network)
                runs = found.setdefault(key, {}).setdefault(first.fraction, [])
                _refuse_twice(runs, evaluation)
                runs.append(evaluation)
    for fractions in found.values():
        for runs in fractions.values():
            runs.sort(key=lambda e: -1 if e.results[0].seed is None else e.results[0].seed)
            check_one_system(runs)
    return found


def _refuse_twice(runs: Sequence[Evaluation], evaluation: Evaluation) -> None:
    first = evaluation.results[0]
    for other in runs:
        known = other.results[0]
        if (known.seed, known.subset_seed) == (first.seed, first.subset_seed):
            raise UserError(
                f"{evaluation.place} and {other.place} both claim to be {first.initialisation} with"
                f" seed {first.seed} at {100 * first.fraction:g} % of training; leave one out"
            )


def _family_rank(family: str) -> tuple[int, str]:
    order = list(dict.fromkeys(column.family for column in COLUMNS))
    return (order.index(family) if family in order else len(order), family)


def _columns(family: MetricFamily) -> list[Column]:
    """The metrics of a family, the one that is drawn first."""
    known = [column for column in COLUMNS if column.family == family.name]
    if not known:
        known = [Column(family.name, name, family.name, name) for name in family.headline]
    drawn = DRAWN.get(family.name, known[0].metric if known else "")
    return sorted(known, key=lambda column: column.metric != drawn)


def _panels(
    family: MetricFamily,
    systems: Mapping[tuple[str, str], Mapping[float, list[Evaluation]]],
    examples: Mapping[float, int],
    resamples: int,
) -> list[Panel]:
    lines: dict[str, list[Line]] = {}
    columns, majority = _columns(family), {}
    for (initialisation, network), fractions in sorted(
        systems.items(), key=lambda item: (rank_of(item[0][0]), item[0])
    ):
        summaries = {
            fraction: statistics.over_seeds(
                _stack(runs, runs[0], family.name), family.reduce, resamples=resamples
            )
            for fraction, runs in sorted(fractions.items())
        }
        for column in columns:
            points = tuple(
                _point(fraction, summary[column.metric])
                for fraction, summary in summaries.items()
                if column.metric in summary
            )
            if initialisation == MAJORITY:
                majority[column.metric] = points[0].value if points else None
            elif points:
                lines.setdefault(column.metric, []).append(Line(initialisation, network, points))
    any_run = next(runs[0] for fractions in systems.values() for runs in fractions.values())
    first = any_run.results[0]
    return [
        Panel(
            column=column,
            lines=tuple(lines[column.metric]),
            majority=majority.get(column.metric),
            n=first.n,
            n_units=first.n_units,
            unit=first.unit,
            is_sample="/sample-" in first.task_version,
            examples=examples,
        )
        for column in columns
        if column.metric in lines
    ]


def _stack(runs: Sequence[Evaluation], reference: Evaluation, family: str) -> np.ndarray:
    """Unit sums of several seeds in the order of the reference's units: [S, U, K]."""
    return np.stack([aligned_sums(reference, run, family)[1] for run in runs])


def _point(fraction: float, summary: statistics.SeedSummary) -> Point:
    interval = summary.interval
    return Point(
        fraction=fraction,
        value=summary.mean,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        method="none" if interval is None else interval.method,
        by_seed=summary.values,
    )


def _tests(
    family: MetricFamily,
    column: Column,
    systems: Mapping[tuple[str, str], Mapping[float, list[Evaluation]]],
    reference: str,
    resamples: int,
) -> list[Test]:
    found = []
    for (initialisation, network), fractions in sorted(systems.items()):
        others = systems.get((reference, network), {})
        if initialisation in (reference, MAJORITY):
            continue
        for fraction in sorted(fractions.keys() & others.keys()):
            mine, theirs = fractions[fraction], others[fraction]
            stacks = [_stack(runs, mine[0], family.name) for runs in (mine, theirs)]
            differences = statistics.difference_over_seeds(
                *stacks, family.reduce, resamples=resamples
            )
            if column.metric in differences:
                found.append(
                    Test(
                        column=column,
                        fraction=fraction,
                        first=title_of(initialisation),
                        second=title_of(reference),
                        difference=differences[column.metric],
                        p_holm=1.0,
                        seeds=(len(mine), len(theirs)),
                    )
                )
    return found


CSV_FIELDS = (
    "kind", "origin", "task", "metric", "system", "network", "fraction", "training_examples",
    "value", "std", "low", "high", "method", "by_seed", "p_value", "p_holm", "n", "n_units", "unit",
    "split", "synthetic", "source", "note",
)  # fmt: skip


def rows_as_dicts(curve: LearningCurve) -> list[dict[str, Any]]:
    """Points, baselines and tests, one flat dict each, fractions unrounded."""
    found: list[dict[str, Any]] = []
    shared = {"split": curve.split, "synthetic": curve.synthetic}
    for panel in (*curve.panels, *curve.others):
        of_panel = {
            "task": panel.column.family, "metric": panel.column.metric, "n": panel.n,
            "n_units": panel.n_units, "unit": panel.unit, **shared,
        }  # fmt: skip
        if panel.majority is not None:
            baseline = {"kind": "baseline", "system": MAJORITY, "value": panel.majority}
            found.append(baseline | {"origin": "measured"} | of_panel)
        for reference in panel.references:
            value = {"kind": "in-context", "system": reference.name, "value": reference.value}
            found.append(value | {"origin": _origin(reference.published)} | of_panel)
        for line in panel.lines:
            for point in line.points:
                low, high = (None, None) if line.published else (point.low, point.high)
                found.append(
                    {
                        "kind": "score", "origin": _origin(line.published),
                        "system": line.initialisation, "network": line.model,
                        "fraction": point.fraction, "value": point.value, "std": point.std,
                        "training_examples": panel.examples.get(point.fraction),
                        "low": low, "high": high, "method": point.method,
                        "by_seed": " ".join(f"{value:.6f}" for value in point.by_seed),
                        "source": point.source, "note": point.note, **of_panel,
                    }
                )  # fmt: skip
    for test in curve.tests:
        difference = test.difference
        found.append(
            {
                "kind": "difference", "origin": "measured", "task": test.column.family,
                "metric": test.column.metric,
                "system": f"{test.first} minus {test.second}", "fraction": test.fraction,
                "value": difference.value, "low": difference.interval.low,
                "high": difference.interval.high, "method": difference.interval.method,
                "p_value": difference.p_value, "p_holm": test.p_holm,
                "n_units": difference.interval.n_units, **shared,
            }
        )  # fmt: skip
    return found


def _origin(published: bool) -> str:
    return "published" if published else "measured"


def csv_text(curve: LearningCurve) -> str:
    """Points, baselines and tests as CSV."""
    return csv_of(CSV_FIELDS, rows_as_dicts(curve))
