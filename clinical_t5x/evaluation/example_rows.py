"""What an evaluation knows of every example: components, scores, and counts of its generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clinical_t5x.evaluation import hosts
from clinical_t5x.evaluation.likelihood import rounded
from clinical_t5x.evaluation.metrics.components import MetricFamily
from clinical_t5x.evaluation.metrics.scoring import Scoring
from clinical_t5x.evaluation.predictor import Generation


class ExampleRows:
    """Arrays with a row for every example of a split.

    Attributes:
      matrices: components by family [N, K].
      scores: scores by likelihood [N, S]; None where none are asked for.
      predictions: what the metrics take of each generation; None of those that a file gave.
      done: which examples are finished [N].
      at_limit: which generations were cut off [N].
      tokens: of each generation [N].
      confidence: among examples that share a question, NaN where it is not known [N].
      contested: number of examples whose confidence decided.
    """

    def __init__(self, families: Sequence[MetricFamily], n: int, scoring: Scoring | None = None):
        self._scoring = scoring
        self.matrices = {family: np.zeros((n, len(family.columns))) for family in families}
        self.scores = None if scoring is None else np.full((n, len(scoring.names)), np.nan)
        self.predictions: list[Any] = [None] * n
        self.done = np.zeros(n, dtype=bool)
        self.at_limit = np.zeros(n, dtype=bool)
        self.tokens = np.zeros(n, dtype=np.int64)
        self.confidence = np.full(n, np.nan)
        self.contested = 0

    def observe(
        self, position: int, target: Any, prediction: Any, generation: Generation
    ) -> dict[str, dict[str, float]]:
        """Score a fresh prediction; its components that are not 0, by family and name."""
        self.predictions[position] = prediction
        self._mark(position, generation.score, generation.at_limit, generation.n_tokens)
        kept = {}
        for family, matrix in self.matrices.items():
            matrix[position] = family.observe(target, prediction)
            named = zip(family.columns, matrix[position], strict=True)
            kept[family.name] = {name: float(value) for name, value in named if value}
        return kept

    def keep_scores(self, position: int, scores: Sequence[float]) -> dict[str, float]:
        """Keep a fresh prediction's scores by likelihood; by name, as they are written."""
        self.scores[position] = rounded(scores)
        return self._scoring.by_name(self.scores[position])

    def restore(self, position: int, line: Mapping[str, Any]) -> None:
        """Take an example from its line in a prediction file."""
        self._mark(position, line["score"], line["at_limit"], line["tokens"])
        for family, matrix in self.matrices.items():
            for name, value in line["components"][family.name].items():
                matrix[position, family.columns.index(name)] = value
        if self._scoring is not None:
            self.scores[position] = [line["scores"][name] for name in self._scoring.names]

    def share(self) -> None:
        """Give every host what the first one knows."""
        for name in ("done", "at_limit", "tokens", "confidence"):
            setattr(self, name, hosts.from_first(getattr(self, name)))
        if self.scores is not None:
            self.scores = hosts.from_first(self.scores)
        self.matrices = {
            family: hosts.from_first(matrix) for family, matrix in self.matrices.items()
        }

    def _mark(self, position: int, score: float | None, at_limit: bool, tokens: int) -> None:
        self.done[position] = True
        # Rounded as in the file, so that a resumed evaluation merges as one in a single go.
        self.confidence[position] = np.nan if score is None else round(score, 4)
        self.at_limit[position] = at_limit
        self.tokens[position] = tokens
