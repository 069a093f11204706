"""The low-resource figure: measured learning curves, the paper's, or both, clearly apart.

Measured lines are those of systems with two fractions or more. Models that were prompted saw no
fraction of the training split: they are horizontal lines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from clinical_t5x.evaluation.metrics import FAMILIES
from clinical_t5x.evaluation.registry import MODELS
from clinical_t5x.evaluation.registry.published import (
    FRACTIONS,
    LOW_RESOURCE,
    LOW_RESOURCE_MODELS,
    MAIN,
    TRAINING_UNITS,
    numbers,
)
from clinical_t5x.evaluation.registry.row import IN_CONTEXT
from clinical_t5x.evaluation.report.learning_curve import (
    DRAWN,
    MAJORITY,
    STD,
    LearningCurve,
    Line,
    Panel,
    Point,
    Reference,
    learning_curve,
)
from clinical_t5x.evaluation.report.main_table import (
    ALL_MODELS,
    is_papers_size,
    published_models,
    sentence,
)
from clinical_t5x.evaluation.report.table import COLUMNS, Column, Row
from clinical_t5x.evaluation.results import Evaluation

_COUNTED = {"mednli": "pairs", "radqa": "questions", "clip": "discharge summaries"}


def measured_curve(
    evaluations: Sequence[Evaluation], rows: Sequence[Row], *, split: str
) -> LearningCurve | None:
    """The curve of what was measured; None where no system has two fractions.

    Args:
      evaluations: one for each seed and fraction.
      rows: the same as rows of the table.
      split: what was scored.
    """
    several = systems_of_curve(rows)
    if not several:
        return None

    def belongs(evaluation: Evaluation) -> bool:
        first = evaluation.results[0]
        is_drawn = (first.initialisation, first.model) in several
        return is_drawn or first.initialisation == MAJORITY

    curve = learning_curve([e for e in evaluations if belongs(e)], split=split)
    return dataclasses.replace(
        curve,
        panels=tuple(_with_prompted(panel, rows) for panel in curve.panels),
        others=tuple(_with_prompted(panel, rows) for panel in curve.others),
    )


def _with_prompted(panel: Panel, rows: Sequence[Row]) -> Panel:
    """The panel with a line for each measured system that was prompted."""
    found = tuple(
        Reference(row.title, row.cells[panel.column].value, published=False)
        for row in rows
        if is_prompted(row.initialisation) and panel.column in row.cells
    )
    return dataclasses.replace(panel, references=found)


def systems_of_curve(rows: Sequence[Row]) -> set[tuple[str, str]]:
    """Initialisation and network of the systems that were trained on two fractions or more."""
    fractions: dict[tuple[str, str], set[float]] = {}
    for row in rows:
        fractions.setdefault((row.initialisation, row.model), set()).add(row.fraction)
    return {system for system, found in fractions.items() if len(found) > 1}


def is_prompted(key: str) -> bool:
    """Whether the registry says that this model is used in context, without training."""
    return key in MODELS and MODELS[key].use == IN_CONTEXT


def published_curve() -> LearningCurve:
    """The paper's Figure 4 and Tables 11 to 15: five models at five fractions, three tasks."""
    panels = [_published_panel(column) for column in COLUMNS]
    drawn = [panel for panel in panels if DRAWN[panel.column.family] == panel.column.metric]
    return LearningCurve(
        panels=tuple(drawn),
        others=tuple(panel for panel in panels if panel not in drawn),
        tests=(),
        split="test",
        synthetic="none",
        resamples=0,
    )


def _published_panel(column: Column) -> Panel:
    lines = []
    for key in LOW_RESOURCE_MODELS:
        found = numbers(model=key, task=column.family, metric=column.metric, kind=LOW_RESOURCE)
        points = tuple(
            Point(
                n.fraction, n.mean, n.mean - n.std, n.mean + n.std, STD, (), n.source,
                sentence(n.known_error or ""),
            )
            for n in found
        )  # fmt: skip
        lines.append(Line(key, "", points, published=True))
    # Scores on a part of the test split compare with nothing here.
    references = tuple(
        Reference(row.name, number.mean, published=True)
        for row in published_models(ALL_MODELS)
        if row.use == IN_CONTEXT
        for number in numbers(model=row.key, task=column.family, metric=column.metric, kind=MAIN)
        if number.test_part == 1.0
    )
    return Panel(
        column=column,
        lines=tuple(lines),
        majority=None,
        n=0,
        n_units=0,
        unit=FAMILIES[column.family].unit,
        is_sample=False,
        examples=dict(zip(FRACTIONS, TRAINING_UNITS[column.family], strict=True)),
        counted=_COUNTED[column.family],
        references=references,
    )


def compares(measured: LearningCurve) -> bool:
    """Whether every panel was scored on real data and on the paper's test split."""
    return measured.synthetic == "none" and all(
        is_papers_size(panel.column.family, panel.n, panel.n_units) for panel in measured.panels
    )


def together(measured: LearningCurve, published: LearningCurve) -> LearningCurve:
    """Both in the same panels; a panel that only one has stays as it is."""
    return dataclasses.replace(
        measured,
        panels=_merged(measured.panels, published.panels),
        others=_merged(measured.others, published.others),
    )


def _merged(measured: Sequence[Panel], published: Sequence[Panel]) -> tuple[Panel, ...]:
    by_column = {panel.column: panel for panel in published}
    found = []
    for panel in measured:
        paper = by_column.pop(panel.column, None)
        if paper is not None:
            counts = panel if panel.examples else paper
            panel = dataclasses.replace(
                panel,
                lines=(*panel.lines, *paper.lines),
                references=(*panel.references, *paper.references),
                examples=counts.examples,
                counted=counts.counted,
            )
        found.append(panel)
    order = {column: k for k, column in enumerate(COLUMNS)}
    return tuple(sorted((*found, *by_column.values()), key=lambda p: order[p.column]))
