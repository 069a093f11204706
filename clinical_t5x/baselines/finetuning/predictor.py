"""A fine-tuned model behind the `Predictor` protocol: its answers in the task's own form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from clinical_t5x.baselines.finetuning.forward import outputs_of
from clinical_t5x.baselines.finetuning.problems import CLASSES, Problem, Scores
from clinical_t5x.baselines.finetuning.reading import Record
from clinical_t5x.baselines.finetuning.settings import Settings
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.metrics import MEDNLI_LABELS
from clinical_t5x.evaluation.predictor import Candidate, Generation, Request


class FineTunedPredictor:
    """Answers requests by the raw records behind them.

    Args:
      model: with its head, on its device.
      problem: the benchmark.
      records: raw records of the split that is asked about.
      thresholds: tuned on the validation split.
      settings: hyperparameters.
      pad_id: token that fills rows up.
      identity: of weights, thresholds and settings.
    """

    def __init__(
        self,
        model: Any,
        problem: Problem,
        records: Sequence[Record],
        thresholds: Mapping[str, float],
        *,
        settings: Settings,
        pad_id: int,
        identity: str,
    ):
        self._model, self._problem, self._settings = model, problem, settings
        self._records = {record["id"]: record for record in records}
        self._thresholds = dict(thresholds)
        self._pad_id, self._identity = pad_id, identity
        self._known: dict[str, np.ndarray] = {}  # log-probabilities of what was asked
        self.batch_size = max(64, settings.rows_at_once)

    def identity(self) -> str:
        """Equal for equal weights, thresholds and settings."""
        return self._identity

    def generate(
        self, requests: Sequence[Request], *, max_target_tokens: int
    ) -> Iterator[tuple[int, Generation]]:
        """Each request's answer.

        The limit is that of systems that generate: a class, labels or a span of the context has
        none, but for the settings' `longest_answer`.
        """
        for start in range(0, len(requests), self.batch_size):
            part = requests[start : start + self.batch_size]
            scores = self._scores(part)
            texts = self._problem.texts(scores, self._thresholds)
            for k, text in enumerate(texts):
                yield start + k, Generation(text)

    def _scores(self, requests: Sequence[Request]) -> Scores:
        records = [self._records[request.id] for request in requests]
        rows, _ = self._problem.rows(records)
        outputs = outputs_of(
            self._model,
            rows,
            self._problem.head,
            rows_at_once=self._settings.rows_at_once,
            pad_id=self._pad_id,
            precision=self._settings.precision,
        )
        scores = self._problem.scores(records, rows, outputs)
        if self._problem.head == CLASSES:
            ids = [request.id for request in requests]
            self._known |= dict(zip(ids, scores.values, strict=True))
        return scores

    def score(self, requests: Sequence[Request], targets: Sequence[np.ndarray]) -> np.ndarray:
        """A head knows classes and spans, not the likelihood of any text."""
        raise UserError("a fine-tuned head gives no likelihoods of texts")

    def score_candidates(
        self,
        requests: Sequence[Request],
        candidates: Sequence[Sequence[Candidate]],
        *,
        longest: int | None = None,
    ) -> list[np.ndarray]:
        """Log-probabilities of MedNLI's labels, in nats; other heads choose among no texts."""
        if self._problem.head != CLASSES:
            raise UserError("only the three labels of MedNLI have likelihoods here")
        missing = [request for request in requests if request.id not in self._known]
        if missing:
            self._scores(missing)
        return [
            self._known[request.id][[MEDNLI_LABELS.index(one.text) for one in of_request]]
            for request, of_request in zip(requests, candidates, strict=True)
        ]

    def generate_answers(
        self, requests: Sequence[Request], *, max_target_tokens: int
    ) -> Iterator[tuple[int, Generation]]:
        """As `generate`: a label is never the empty answer."""
        return self.generate(requests, max_target_tokens=max_target_tokens)
