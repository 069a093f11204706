"""What a report is about: evaluations, loss curves and corpus counts found in run directories, and
what the paper published, where it is asked for.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.entropy import ENTROPY_FILE
from clinical_t5x.evaluation.report import low_resource
from clinical_t5x.evaluation.report.cost_table import CostTable, cost_table
from clinical_t5x.evaluation.report.learning_curve import LearningCurve
from clinical_t5x.evaluation.report.main_table import NONE, PUBLISHED, MainTable, main_table
from clinical_t5x.evaluation.report.significance import Matrix, significance
from clinical_t5x.evaluation.report.table import (
    DifferenceLine,
    Row,
    main_rows,
    one_network_a_name,
    paired_differences,
)
from clinical_t5x.evaluation.results import (
    Evaluation,
    find_evaluations,
    walk_runs,
)
from clinical_t5x.storage import read_json

METRICS_FILE = "metrics.jsonl"


@dataclasses.dataclass(frozen=True)
class Curve:
    """The metrics of one run over its steps.

    Attributes:
      run: name of the run's directory.
      initialisation: of the run when its evaluations say so, else empty.
      points: lines of metrics.jsonl: step, split and numbers.
      unigram_entropy: nats per token of the held-out targets, when the run recorded it.
    """

    run: str
    initialisation: str
    points: tuple[dict[str, Any], ...]
    unigram_entropy: float | None

    def series(self, split: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) of one metric on one split."""
        return [
            (point["step"], point[metric])
            for point in self.points
            if point.get("split") == split and point.get(metric) is not None
        ]

    @property
    def evaluated_splits(self) -> tuple[str, ...]:
        """Splits with held-out losses, such as 'eval/mimic_pretrain_v1'."""
        found = {point.get("split", "") for point in self.points}
        return tuple(sorted(split for split in found if split.startswith("eval/")))

    @property
    def is_pretraining(self) -> bool:
        """Whether it trained on notes: it recorded their entropy, or its task says so."""
        return self.unigram_entropy is not None or any(
            "pretrain" in split for split in self.evaluated_splits
        )


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything a report shows.

    Attributes:
      split: that was scored.
      table: measured and published lines; without fractions of systems that a curve shows.
      rows: what was measured.
      differences: pre-trained against from scratch.
      matrices: all measured systems against each other, for each metric.
      learning: score against fraction by the name of its figure; measured and published in one
        where they compare.
      costs: of the models that the table has.
      evaluations: of the rows, one for each seed.
      curves: losses of runs.
      corpus: manifest of a prepared corpus.
      command: how the report was asked for.
    """

    split: str
    table: MainTable
    rows: tuple[Row, ...]
    differences: tuple[DifferenceLine, ...]
    matrices: tuple[Matrix, ...]
    learning: dict[str, LearningCurve]
    costs: CostTable
    evaluations: tuple[Evaluation, ...]
    curves: tuple[Curve, ...]
    corpus: dict[str, Any] | None
    command: str

    @property
    def synthetic(self) -> str:
        """'all', 'some' or 'none' of what is shown is from synthetic data."""
        flags = [evaluation.results[0].synthetic for evaluation in self.evaluations]
        if self.corpus is not None:
            flags.append(bool(self.corpus.get("synthetic")))
        published = PUBLISHED in self.table.origins
        if any(flags) and all(flags) and not published:
            return "all"
        return "some" if any(flags) else "none"


def collect(
    run_directories: Sequence[str | os.PathLike] = (),
    *,
    split: str = "test",
    published: str = NONE,
    corpus: str | os.PathLike | None = None,
    command: str = "",
) -> ReportData:
    """Read everything a report needs.

    Args:
      run_directories: run directories, or parents of several; none for a report of the paper.
      split: the split to report.
      published: which of the paper's models stand beside them: "none", "main" or "all".
      corpus: directory of a prepared corpus, for its counts.
      command: how the report was asked for, to be printed in it.

    Raises:
      UserError: when there is nothing to report, or results cannot stand side by side.
    """
    if published != NONE and split != "test":
        raise UserError(f"the paper's numbers are of the test split, not of {split}; leave one out")
    if published == NONE and not run_directories:
        raise UserError("there is nothing to report: name runs, or ask for the paper's numbers")
    everything = find_evaluations(run_directories)
    chosen = one_network_a_name(_of_split(everything, split, run_directories))
    rows = main_rows(chosen)
    table = main_table(_rows_of_table(rows), published)
    return ReportData(
        split=split,
        table=table,
        rows=tuple(rows),
        differences=tuple(paired_differences(rows)),
        matrices=tuple(significance(rows)),
        learning=_learning(chosen, rows, table, split),
        costs=cost_table(table, chosen),
        evaluations=tuple(chosen),
        curves=tuple(_curves(run_directories, everything)),
        corpus=None if corpus is None else _corpus(corpus),
        command=command,
    )


def _of_split(
    everything: Sequence[Evaluation], split: str, run_directories: Sequence[str | os.PathLike]
) -> list[Evaluation]:
    """The last evaluation of each run and task on the split; refused when there is none."""
    chosen = _latest([e for e in everything if e.results[0].split == split])
    if run_directories and not chosen:
        splits = sorted({e.results[0].split for e in everything})
        there = f"; there are results on {', '.join(splits)} (--split)" if splits else ""
        raise UserError(
            f"no complete evaluation on the {split} split in"
            f" {', '.join(map(str, run_directories))}{there}; make one with: python -m"
            " clinical_t5x.eval"
        )
    return chosen


def _rows_of_table(rows: Sequence[Row]) -> list[Row]:
    """All rows but those of fractions that the learning curve shows."""
    in_curve = low_resource.systems_of_curve(rows)
    return [
        row
        for row in rows
        if row.fraction == 1.0 or (row.initialisation, row.model) not in in_curve
    ]


def _learning(
    evaluations: Sequence[Evaluation], rows: Sequence[Row], table: MainTable, split: str
) -> dict[str, LearningCurve]:
    """Learning curves by the name of their figure."""
    measured = low_resource.measured_curve(evaluations, rows, split=split)
    published = low_resource.published_curve() if PUBLISHED in table.origins else None
    if measured is None or published is None:
        only = measured or published
        return {} if only is None else {"curve": only}
    if table.is_apart or not low_resource.compares(measured):
        return {"curve": measured, "curve_paper": published}
    return {"curve": low_resource.together(measured, published)}


def _latest(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Of several checkpoints of one run, task and split, the evaluation of the last."""
    latest: dict[tuple[str, str], Evaluation] = {}
    for evaluation in evaluations:
        first = evaluation.results[0]
        key = (_run_of(evaluation), first.task)
        known = latest.get(key)
        if known is None or _step(known) <= _step(evaluation):
            latest[key] = evaluation
    return list(latest.values())


def _step(evaluation: Evaluation) -> int:
    step = evaluation.results[0].checkpoint_step
    return -1 if step is None else step


def _run_of(evaluation: Evaluation) -> str:
    return os.fspath(PurePath(evaluation.directory or "").parent.parent)


def _curves(
    run_directories: Sequence[str | os.PathLike], evaluations: Sequence[Evaluation]
) -> list[Curve]:
    initialisations = {_run_of(e): e.results[0].initialisation for e in evaluations}
    checkpoints = {
        os.fspath(PurePath(e.results[0].checkpoint).parent): e.results[0].initialisation
        for e in evaluations
        if e.results[0].checkpoint
    }
    found: dict[str, Curve] = {}
    for run in walk_runs(run_directories):
        points = _points(run / METRICS_FILE)
        if points:
            place = os.fspath(run)
            named = initialisations.get(place) or checkpoints.get(place, "")
            found.setdefault(place, Curve(run.name, named, points, _entropy(run, points)))
    return list(found.values())


def _points(path: epath.Path) -> tuple[dict[str, Any], ...]:
    if not path.exists():
        return ()
    points = []
    for line in path.read_text().splitlines():
        try:
            points.append(json.loads(line))
        except json.JSONDecodeError:  # the line that a kill cut short
            break
    return tuple(point for point in points if "step" in point)


def _entropy(run: epath.Path, points: Sequence[dict[str, Any]]) -> float | None:
    """The unigram entropy that a run recorded: in a file of its own, or with its metrics."""
    if (run / ENTROPY_FILE).exists():
        return float(read_json(run / ENTROPY_FILE)["unigram_entropy"])
    for point in reversed(points):
        if point.get("unigram_entropy") is not None:
            return float(point["unigram_entropy"])
    return None


def _corpus(directory: str | os.PathLike) -> dict[str, Any]:
    manifest = epath.Path(directory) / "manifest.json"
    if not manifest.exists():
        raise UserError(f"{manifest} does not exist; --corpus names a prepared corpus's directory")
    return read_json(manifest)
