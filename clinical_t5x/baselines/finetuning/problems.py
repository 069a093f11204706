"""The three benchmarks as a model with a head sees them: rows in, scores and answers out.

MedNLI is a choice of three classes, CLIP seven independent ones, RadQA the two ends of a span.
What a head gives becomes `Scores`, thresholds are tuned on the scores of the validation split, and
scores with thresholds become the texts that the task's metrics read.

Legend: N examples, C classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from clinical_t5x.baselines.finetuning.reading import Kind, Record
from clinical_t5x.baselines.finetuning.settings import Settings
from clinical_t5x.baselines.finetuning.texts import TextEncoder
from clinical_t5x.baselines.finetuning.windows import Row, best_span, tokens_of_answer, trimmed_span
from clinical_t5x.data.text_windows import repeated_in_window
from clinical_t5x.evaluation.metrics import CLIP_LABELS, MEDNLI_LABELS, RADQA
from clinical_t5x.evaluation.metrics.tuning import best_label_thresholds, best_no_answer_threshold

CLASSES, LABELS, SPANS = "classes", "labels", "spans"
NO_ANSWER = "no_answer"
_ANSWER_NOTHING = -1e9  # a threshold below every score, which JSON can hold

Outputs = Sequence[tuple[np.ndarray, ...]]


@dataclasses.dataclass(frozen=True)
class Scores:
    """What a model says of the examples of a split.

    Attributes:
      values: log-probabilities of classes, or probabilities of labels [N, C]; of spans the score
        of "no answer" minus the best answer's [N, 1].
      answers: of spans, each example's best answer; else empty.
    """

    values: np.ndarray
    answers: tuple[str, ...] = ()


class Problem(Protocol):
    """One benchmark.

    Attributes:
      head: CLASSES, LABELS or SPANS.
      classes: outputs of the head.
    """

    head: str
    classes: int

    def rows(self, records: Sequence[Record]) -> tuple[list[Row], int]:
        """Rows of all examples, in order, with labels; and how many examples were cut."""

    def scores(self, records: Sequence[Record], rows: Sequence[Row], outputs: Outputs) -> Scores:
        """Of each example, from the head's outputs for each of its rows."""

    def tune(self, records: Sequence[Record], scores: Scores) -> dict[str, float]:
        """The thresholds that are best on these examples: those of the validation split."""

    def texts(self, scores: Scores, thresholds: Mapping[str, float]) -> list[str]:
        """Each example's answer, in the task's own form."""


def problem_of(kind: Kind, encoder: TextEncoder, settings: Settings) -> Problem:
    """The problem that a benchmark is for a model."""
    makers = {"mednli": Entailment, "radqa": AnswerSpans, "clip": FollowUps}
    return makers[kind.name](encoder, settings)


class Entailment:
    """MedNLI: one of three classes."""

    head, classes = CLASSES, len(MEDNLI_LABELS)

    def __init__(self, encoder: TextEncoder, settings: Settings):
        self._encoder = encoder
        self._pair = settings.pair and not encoder.is_decoder

    def rows(self, records: Sequence[Record]) -> tuple[list[Row], int]:
        """Premise and hypothesis in segments of their own, or the task's one text."""
        found = [self._row(number, record) for number, record in enumerate(records)]
        return [row for row, _ in found], sum(cut for _, cut in found)

    def _row(self, number: int, record: Record) -> tuple[Row, bool]:
        label = MEDNLI_LABELS.index(record["label"])
        premise, hypothesis = record["premise"], record["hypothesis"].strip()
        if self._pair:
            return self._encoder.pair(number, premise, hypothesis, label)
        text = f"mednli premise: {premise} hypothesis: {hypothesis}"
        return self._encoder.text(number, text if text.endswith(".") else f"{text}.", label)

    def scores(self, records: Sequence[Record], rows: Sequence[Row], outputs: Outputs) -> Scores:
        """Log-probabilities of the classes."""
        logits = np.array([output[0] for output in outputs], np.float64)
        return Scores(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))

    def tune(self, records: Sequence[Record], scores: Scores) -> dict[str, float]:
        """Nothing: the most probable class is the answer."""
        return {}

    def texts(self, scores: Scores, thresholds: Mapping[str, float]) -> list[str]:
        """The most probable label."""
        return [MEDNLI_LABELS[k] for k in scores.values.argmax(axis=1)]


class FollowUps:
    """CLIP: seven labels, each for itself, of a sentence in the window that the task gives it."""

    head, classes = LABELS, len(CLIP_LABELS)

    def __init__(self, encoder: TextEncoder, settings: Settings):
        self._encoder = encoder

    def rows(self, records: Sequence[Record]) -> tuple[list[Row], int]:
        """`{window} ; {sentence}`, the window as large as the model's own tokens allow."""
        found = [self._row(number, record) for number, record in enumerate(records)]
        return [row for row, _ in found], sum(cut for _, cut in found)

    def _row(self, number: int, record: Record) -> tuple[Row, bool]:
        text, cut = repeated_in_window(
            record["context_before"],
            record["sentence"],
            record["context_after"],
            # the window counts one token for an end of sequence
            tokens=self._encoder.max_tokens - self._encoder.special_tokens + 1,
            cost=self._encoder.cost,
        )
        label = [float(name in record["labels"]) for name in CLIP_LABELS]
        row, cut_again = self._encoder.text(number, text, label)
        return row, cut or cut_again

    def scores(self, records: Sequence[Record], rows: Sequence[Row], outputs: Outputs) -> Scores:
        """Probabilities of the labels: sigmoids, not logits."""
        logits = np.array([output[0] for output in outputs], np.float64)
        return Scores(np.exp(-np.logaddexp(0.0, -logits)))

    def tune(self, records: Sequence[Record], scores: Scores) -> dict[str, float]:
        """A threshold for each label, best for macro F1."""
        gold = np.array([[float(n in record["labels"]) for n in CLIP_LABELS] for record in records])
        macro, _ = best_label_thresholds(scores.values, gold)
        return dict(zip(CLIP_LABELS, map(float, macro), strict=True))

    def texts(self, scores: Scores, thresholds: Mapping[str, float]) -> list[str]:
        """The labels that are at least as probable as their thresholds, in alphabetical order."""
        given = scores.values >= [thresholds[name] for name in CLIP_LABELS]
        return [
            ", ".join(name for name, is_given in zip(CLIP_LABELS, row, strict=True) if is_given)
            for row in given
        ]


class AnswerSpans:
    """RadQA: both ends of an answer in the context, or the token that stands for none."""

    head, classes = SPANS, 2

    def __init__(self, encoder: TextEncoder, settings: Settings):
        self._encoder = encoder
        self._overlap, self._longest = settings.overlap, settings.longest_answer

    def rows(self, records: Sequence[Record]) -> tuple[list[Row], int]:
        """Windows of every context; those without the whole first answer are to give none.

        Nothing is cut but answers that no window holds; they are counted.
        """
        rows, lost = [], 0
        for number, record in enumerate(records):
            question = record["question"].strip()
            if self._encoder.is_decoder:
                # before the context: what follows can see it
                question = f"question: {question}\ncontext: "
            windows = self._encoder.windows(
                number, question, record["context"], overlap=self._overlap
            )
            labelled = [self._labelled(row, record) for row in windows]
            answered = any(row.label != (row.null, row.null) for row in labelled)
            lost += bool(record["answers"]) and not answered
            rows += labelled
        return rows, lost

    def _labelled(self, row: Row, record: Record) -> Row:
        found = None
        if record["answers"]:
            start = record["answer_starts"][0]
            end = start + len(record["answers"][0])
            found = tokens_of_answer(row, *trimmed_span(record["context"], start, end))
        return dataclasses.replace(row, label=found or (row.null, row.null))

    def scores(self, records: Sequence[Record], rows: Sequence[Row], outputs: Outputs) -> Scores:
        """Of all windows of a question the best answer and the lowest score of none, as in SQuAD.

        An answer's score and that of none are each a sum of two logits.
        """
        best: list[Any] = [None] * len(records)
        none = np.full(len(records), np.inf)
        for row, (start_logits, end_logits) in zip(rows, outputs, strict=True):
            k = row.example
            none[k] = min(none[k], float(start_logits[row.null] + end_logits[row.null]))
            context = records[k]["context"]
            span = best_span(row, context, start_logits, end_logits, longest=self._longest)
            if span is not None and (best[k] is None or span.score > best[k].score):
                best[k] = span
        answers = tuple(
            "" if span is None else record["context"][span.start : span.end]
            for record, span in zip(records, best, strict=True)
        )
        of_best = np.array([0.0 if span is None else span.score for span in best])
        return Scores((none - of_best)[:, None], answers)

    def tune(self, records: Sequence[Record], scores: Scores) -> dict[str, float]:
        """The threshold of "no answer" that is best for F1."""
        answered = [_f1(r, text) for r, text in zip(records, scores.answers, strict=True)]
        empty = [_f1(record, "") for record in records]
        best = best_no_answer_threshold(scores.values[:, 0], np.array(answered), np.array(empty))
        return {NO_ANSWER: max(best.threshold, _ANSWER_NOTHING)}

    def texts(self, scores: Scores, thresholds: Mapping[str, float]) -> list[str]:
        """The best answer, or nothing where the score of none is above the threshold."""
        return [
            "" if none > thresholds[NO_ANSWER] else answer
            for none, answer in zip(scores.values[:, 0], scores.answers, strict=True)
        ]


def _f1(record: Record, text: str) -> float:
    """What an answer scores against the gold ones."""
    return RADQA.observe(record["answers"], text)[RADQA.columns.index("f1")]
