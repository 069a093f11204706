"""From what is known of every example to metrics with intervals by unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clinical_t5x.evaluation import statistics
from clinical_t5x.evaluation.example_rows import ExampleRows
from clinical_t5x.evaluation.metrics.components import Components, MetricFamily
from clinical_t5x.evaluation.metrics.groups import merged, positions_of_groups
from clinical_t5x.evaluation.metrics.scoring import Scored, Scoring

METHOD = "bca"


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric's value, and its interval where it is a function of sums over units."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    higher_is_better: bool = True


class Measurement:
    """Metrics of a split as they are worked out, family after family.

    Args:
      units: the unit of each example.
      groups: the question of each example; most examples are questions of their own.
      resamples: of the bootstrap.

    Attributes:
      metrics: found so far, in order.
      sums: component sums of each unit by family name [U, K].
      units: distinct units in the order of `sums`; empty before the first family.
    """

    def __init__(self, units: Sequence[str], groups: Sequence[str], resamples: int):
        self._resamples = resamples
        self._groups = groups
        self._places = list(positions_of_groups(groups).values())
        self._units_of_groups = [units[places[0]] for places in self._places]
        self.metrics: list[Metric] = []
        self.sums: dict[str, np.ndarray] = {}
        self.units: list[str] = []

    @property
    def n(self) -> int:
        """Number of questions or sentences: groups of examples."""
        return len(self._places)

    def add_components(self, rows: ExampleRows) -> None:
        """Metrics of every family of components, and of whole units."""
        for family, matrix in rows.matrices.items():
            self._add(family, merged(family, matrix, self._groups, rows.confidence))
            for whole in family.whole_units:
                self._add_sums(whole.family, whole.components(self.sums[family.name]))

    def add_scores(
        self,
        scoring: Scoring,
        targets: Sequence[Any],
        scores: np.ndarray,
        thresholds: Mapping[str, float] | None,
    ) -> dict[str, float]:
        """Metrics of scores; the thresholds that would be best here, by name.

        Args:
          scoring: what the scores are.
          targets: of each example.
          scores: of each example [N, S].
          thresholds: tuned on another split; None leaves out what needs them.
        """
        golds = [targets[places[0]] for places in self._places]
        rows = [scoring.by_name(self._of_group(scoring, scores[places])) for places in self._places]
        families = scoring.families
        if thresholds is not None:
            families += scoring.threshold_families
        scored = [Scored(row, thresholds or {}) for row in rows]
        for family in families:
            self._add(family, family.components(golds, scored).matrix)
        lower = {name for family in scoring.families for name in family.lower_is_better}
        for name, value in scoring.whole_sample(golds, rows).items():
            self.metrics.append(Metric(name, value, higher_is_better=name not in lower))
        return {} if scoring.tune is None else scoring.tune(golds, rows)

    def _of_group(self, scoring: Scoring, rows: np.ndarray) -> np.ndarray:
        return rows[0] if len(rows) == 1 else scoring.merge(rows)

    def _add(self, family: MetricFamily, matrix: np.ndarray) -> None:
        self.units, sums = Components(family, matrix).by_unit(self._units_of_groups)
        self._add_sums(family, sums)

    def _add_sums(self, family: MetricFamily, sums: np.ndarray) -> None:
        self.sums[family.name] = sums
        intervals = statistics.bootstrap_intervals(
            sums, family.reduce, method=METHOD, resamples=self._resamples
        )
        for name, value in family.values(sums.sum(axis=0)).items():
            interval = intervals.get(name)
            low, high = (interval.low, interval.high) if interval else (None, None)
            better = name not in family.lower_is_better
            self.metrics.append(Metric(name, value, low, high, better))
