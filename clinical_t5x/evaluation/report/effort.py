"""Score against the FLOPs of pre-training, as data (the paper's Figure 3).

FLOPs are 6 P T with the paper's parameters and tokens: the corrected ones, from which the paper
drew its figure, not those of its Table 3. Models whose tokens are not known are left out and named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from clinical_t5x.evaluation.cost import model_cost
from clinical_t5x.evaluation.registry import MODELS, ModelRow
from clinical_t5x.evaluation.registry.row import IN_CONTEXT
from clinical_t5x.evaluation.report.learning_curve import DRAWN
from clinical_t5x.evaluation.report.main_table import PUBLISHED, Entry, MainTable, TableLine
from clinical_t5x.evaluation.report.table import COLUMNS, Column

GENERAL, BIOMEDICAL, CLINICAL = "general", "biomedical", "clinical"
# General corpora have some biomedical text as well; more than this share is a choice.
_BIOMEDICAL_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class EffortPoint:
    """A system's score and the FLOPs that its pre-training took.

    Attributes:
      key: Of its row in the registry.
      name: What a reader calls it.
      origin: "measured" or "published".
      flops: 6 P T over all text.
      entry: The score.
      architecture: "encoder-decoder", "encoder" or "decoder".
      text: The most special text of its pre-training: "general", "biomedical" or "clinical".
      prompted: Whether it was used in context.
      synthetic: Whether it was measured on synthetic data.
    """

    key: str
    name: str
    origin: str
    flops: float
    entry: Entry
    architecture: str
    text: str
    prompted: bool
    synthetic: bool

    @property
    def is_published(self) -> bool:
        """Whether it is the paper's."""
        return self.origin == PUBLISHED


@dataclasses.dataclass(frozen=True)
class EffortPanel:
    """One benchmark: its points, and who is left out and why."""

    column: Column
    points: tuple[EffortPoint, ...]
    left_out: tuple[str, ...]


def effort_panels(table: MainTable) -> list[EffortPanel]:
    """A panel for each benchmark that any model of the registry has a score on."""
    found = []
    for column in COLUMNS:
        if DRAWN[column.family] != column.metric:
            continue
        lines = [line for line in table.lines if line.key in MODELS and column in line.entries]
        lines = [line for line in lines if line.fraction in (None, 1.0)]
        points = [_point(line, column) for line in lines if _reason(line, column) is None]
        left_out = [f"{line.name} ({_reason(line, column)})" for line in lines]
        left_out = [
            said
            for said, line in zip(left_out, lines, strict=True)
            if _reason(line, column) is not None
        ]
        if points:
            found.append(EffortPanel(column, tuple(points), tuple(dict.fromkeys(left_out))))
    return found


def _reason(line: TableLine, column: Column) -> str | None:
    """Why a line has no point; None where it has one."""
    if model_cost(line.key).pretraining.total is None:
        return "tokens of pre-training not known"
    part = line.entries[column].test_part
    return None if part == 1.0 else f"scored on {100 * part:g} % of the test split"


def _point(line: TableLine, column: Column) -> EffortPoint:
    row = MODELS[line.key]
    return EffortPoint(
        key=line.key,
        name=line.name,
        origin=line.origin,
        flops=model_cost(line.key).pretraining.total,
        entry=line.entries[column],
        architecture=row.architecture,
        text=kind_of_text(row),
        prompted=row.use == IN_CONTEXT,
        synthetic=line.synthetic,
    )


def kind_of_text(row: ModelRow) -> str:
    """The most special kind of text that a model was pre-trained on by choice."""
    tokens = row.tokens
    if tokens.clinical:
        return CLINICAL
    if tokens.biomedical and tokens.total and tokens.biomedical > _BIOMEDICAL_SHARE * tokens.total:
        return BIOMEDICAL
    return GENERAL


def same_design(points: Sequence[EffortPoint]) -> list[list[EffortPoint]]:
    """Points that one line joins: one network in several sizes on one kind of text, as T5.

    The paper's families of more than one size are the general T5s, the Clinical-T5s that were
    trained from scratch, and the SciFives.
    """
    families: dict[tuple[str, str], list[EffortPoint]] = {}
    for point in points:
        family = _FAMILIES.get(point.key)
        if family is not None:
            families.setdefault((family, point.origin), []).append(point)
    return [sorted(found, key=lambda p: p.flops) for found in families.values() if len(found) > 1]


_FAMILIES = {
    "t5_base": "T5",
    "t5_large": "T5",
    "t5_xl": "T5",
    "clinical_t5_base": "Clinical-T5",
    "clinical_t5_large": "Clinical-T5",
    "scifive": "SciFive",
    "scifive_large": "SciFive",
}
