"""How lines of a learning curve are drawn, and the key that says so.

A system has one colour and one mark in every panel, whether measured or published. Where published
lines are among them, measured ones are solid with filled marks, published ones dashed with hollow
marks.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from clinical_t5x.evaluation.report.charts import style_of
from clinical_t5x.evaluation.report.learning_curve import LearningCurve, Line, Reference
from clinical_t5x.evaluation.report.main_table import PAPER_NAME
from clinical_t5x.evaluation.report.table import title_of
from clinical_t5x.webpage import GREY, INK

PROMPTED = (0, (4, 1.5, 1, 1.5))  # dash and dot
_MARK_SIZE = 5.5


@dataclasses.dataclass(frozen=True)
class LineStyle:
    """Colour, mark, line style and the marks' filling."""

    colour: str
    mark: str
    style: str
    filling: str


@dataclasses.dataclass(frozen=True)
class Styles:
    """The styles of all lines of a curve.

    Attributes:
      systems: Initialisation and network of each system, in the order of their styles.
      origins: Whether lines are published, for all lines.
      with_prompted: Whether any panel has models that were prompted.
    """

    systems: tuple[tuple[str, str], ...]
    origins: frozenset[bool]
    with_prompted: bool

    @classmethod
    def of(cls, curve: LearningCurve) -> Styles:
        """The styles for a curve."""
        lines = [line for panel in curve.panels for line in panel.lines]
        systems = [(line.initialisation, line.model) for line in lines if not line.published]
        known = dict(systems)
        systems += [
            (line.initialisation, known.get(line.initialisation, ""))
            for line in lines
            if line.published
        ]
        return cls(
            tuple(dict.fromkeys(systems)),
            frozenset(curve.origins),
            any(panel.references for panel in curve.panels),
        )

    @property
    def with_published(self) -> bool:
        """Whether line styles tell measured from published."""
        return True in self.origins

    @property
    def named_at_lines(self) -> bool:
        """Whether names stand at the lines' ends; twice as many lines have theirs in the key."""
        return len(self.origins) == 1

    def of_line(self, line: Line) -> LineStyle:
        """How a line is drawn."""
        names = [name for name, _ in self.systems]
        index = (
            names.index(line.initialisation)
            if line.published
            else self.systems.index((line.initialisation, line.model))
        )
        colour, mark, style = style_of(line.initialisation, index)
        if self.with_published:
            style = "--" if line.published else "-"
        return LineStyle(colour, mark, style, "white" if line.published else colour)

    def reference_label(self, reference: Reference) -> str:
        """A prompted model's name, and which kind it is where there are both kinds."""
        if len(self.origins) == 1:
            return reference.name
        return f"{reference.name}, {'published' if reference.published else 'measured'}"

    def write_key(self, figure: Any, axes: Any | None) -> None:
        """What lines are, in the free place or above the panels."""
        handles = [] if self.named_at_lines else self._system_handles()
        handles += self._origin_handles()
        if axes is None:
            figure.legend(handles=handles, loc="outside upper left", ncols=4)
        else:
            axes.legend(handles=handles, loc="center left", handlelength=3)

    def _system_handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        found = []
        several = [name for name, _ in self.systems]
        for k, (name, network) in enumerate(self.systems):
            colour, mark, _ = style_of(name, k)
            label = title_of(name) + (f" ({network})" if several.count(name) > 1 else "")
            found.append(
                Line2D(
                    [], [], color=colour, marker=mark, markersize=_MARK_SIZE, linestyle="none",
                    label=label,
                )
            )  # fmt: skip
        return found

    def _origin_handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        style = {"color": INK, "marker": "o", "markersize": _MARK_SIZE}
        found = []
        if False in self.origins:
            found.append(Line2D([], [], label="measured", **style))
        found.append(
            Line2D(
                [], [], linestyle="--", markerfacecolor="white", label=f"published ({PAPER_NAME})",
                **style,
            )
        )  # fmt: skip
        if self.with_prompted:
            label = "in-context, no training examples"
            found.append(Line2D([], [], color=GREY, linestyle=PROMPTED, label=label))
        return found
