"""What the page shows of a prediction, by kind of task.

A view takes a line of a prediction file apart into texts with marks, labels and reasons. A task of
another kind than the benchmarks' is shown plainly: its input, its target, its answer.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from clinical_t5x.evaluation.browser.spans import ASKED, occurrences, pieces
from clinical_t5x.evaluation.metrics.clip import parse_labels
from clinical_t5x.evaluation.metrics.mednli import parse_label

Line = Mapping[str, Any]
Pieces = list[tuple[str, int]]

HIT, MISSED, FALSE = "hit", "missed", "false"


@dataclasses.dataclass(frozen=True)
class Item:
    """One example as the page shows it.

    Attributes:
      id: the example's.
      right: whether the answer is right as the headline metric counts it.
      gold: gold answers, in words; none when nothing is to be answered.
      predicted: the answer, in words; empty when nothing was answered.
      tags: (label, what happened to it): what the filters offer.
      marks: (label, HIT, MISSED or FALSE): shown side by side where several labels are possible.
      passages: (heading, pieces of marked text).
      scores: numbers by name; higher is surer.
      remarks: sentences worth saying of this example.
    """

    id: str
    right: bool
    gold: tuple[str, ...]
    predicted: str
    tags: tuple[tuple[str, str], ...] = ()
    marks: tuple[tuple[str, str], ...] = ()
    passages: tuple[tuple[str, Pieces], ...] = ()
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def item_of(line: Line, families: Iterable[str]) -> Item:
    """The item of a prediction line that was written with text."""
    view = next((VIEWS[name] for name in families if name in VIEWS), _plain)
    item = view(line)
    remarks = item.remarks
    if line.get("at_limit"):
        remarks += ("The answer was cut off at the length limit.",)
    return dataclasses.replace(item, scores=_scores(line), remarks=remarks)


def _scores(line: Line) -> dict[str, float]:
    found = {"log-likelihood of the answer": line.get("score"), **(line.get("scores") or {})}
    return {
        str(name): float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _mednli(line: Line) -> Item:
    gold = parse_label(line["target"]) or str(line["target"])
    answer = str(line["text"])
    predicted = parse_label(answer)
    right = predicted == gold
    shown = predicted or "unrecognised"
    tags = [(gold, "right")] if right else [(gold, MISSED), (shown, FALSE)]
    if not right:
        tags += [(label, f"{gold} taken for {shown}") for label in (gold, shown)]
    found = re.fullmatch(
        r"(?:mednli )?premise: (.*?) hypothesis: (.*)", str(line["input"]), re.DOTALL
    )
    passages = zip(("Premise", "Hypothesis"), found.groups(), strict=True) if found else ()
    return Item(
        id=line["id"],
        right=right,
        gold=(gold,),
        predicted=predicted or answer,
        tags=tuple(tags),
        passages=tuple((name, [(text, 0)]) for name, text in passages) or _input(line),
        remarks=() if predicted else ("The answer is none of the three words.",),
    )


def _radqa(line: Line) -> Item:
    golds = tuple(dict.fromkeys(answer for answer in _texts(line["target"]) if answer.strip()))
    predicted = str(line["text"]).strip()
    row = line["components"].get("radqa", {})
    right, f1 = bool(row.get("exact")), row.get("f1", 0.0)
    found = re.fullmatch(r"question: (.*?) context: ?(.*)", str(line["input"]), re.DOTALL)
    remarks = []
    if found is None:
        passages = _input(line)
    else:
        context = found[2]
        of_gold = [span for answer in golds for span in occurrences(context, answer)]
        of_answer = occurrences(context, predicted)
        passages = (
            ("Question", [(found[1], 0)]),
            ("Context", pieces(context, of_gold, of_answer)),
        )
        if golds and not of_gold:
            remarks.append("The gold answer does not stand in this text.")
        if predicted and not of_answer:
            remarks.append("The predicted answer does not stand in this text word for word.")
        if len(of_answer) > 1:
            remarks.append(
                f"The predicted answer stands in {len(of_answer)} places; all are marked."
            )
    if golds and 0 < f1 < 1:
        remarks.append(f"Token F1 {f1:.2f} against the best gold answer.")
    kind = _radqa_kind(bool(golds), bool(predicted), right, f1)
    return Item(
        id=line["id"],
        right=right,
        gold=golds,
        predicted=predicted,
        tags=(("has an answer" if golds else "has no answer", kind),),
        passages=passages,
        remarks=tuple(remarks),
    )


def _radqa_kind(answerable: bool, answered: bool, right: bool, f1: float) -> str:
    if right:
        return "right"
    if not answerable:
        return "answered though there is no answer"
    if not answered:
        return "no answer given though there is one"
    return "partly right" if f1 > 0 else "no word of the gold answer"


def _clip(line: Line) -> Item:
    gold, _ = parse_labels(line["target"])
    answer = line.get("prediction", line["text"])  # label names, where the answer was a yes or no
    predicted, unknown = parse_labels(answer)
    marks = [(label, HIT if label in predicted else MISSED) for label in gold]
    marks += [(label, FALSE) for label in predicted if label not in gold]
    right = gold == predicted and not unknown
    tags = marks or [("no label", "right" if right else "unknown label name")]
    if unknown and marks:
        tags = [*tags, *((label, "unknown label name") for label, _ in marks)]
    return Item(
        id=line["id"],
        right=right,
        gold=tuple(gold),
        predicted=", ".join(predicted) + (f" (raw answer: {line['text']})" if unknown else ""),
        tags=tuple(tags),
        marks=tuple(sorted(marks)),
        passages=_clip_passages(str(line["input"])) or _input(line),
        remarks=("The answer names something that is no label.",) if unknown else (),
    )


_SENTENCE_FIRST = re.compile(r"clip sentence:(.*?) before:(.*?) after:(.*)", re.DOTALL)
_ASKED = re.compile(r"Before:(.*?) Sentence:(.*?) After:(.*?) Question:(.*)", re.DOTALL)


def _clip_passages(text: str) -> tuple[tuple[str, Pieces], ...]:
    """The sentence that is asked about, and its context with that sentence marked."""
    if found := _SENTENCE_FIRST.fullmatch(text):
        sentence, before, after = (part.strip() for part in found.groups())
        return _sentence_in(f"{before} {sentence} {after}".strip(), sentence, len(before))
    if found := _ASKED.fullmatch(text):
        before, sentence, after, question = (part.strip() for part in found.groups())
        asked = ("Question", [(question, 0)])
        return (
            asked,
            *_sentence_in(f"{before} {sentence} {after}".strip(), sentence, len(before)),
        )
    # {window} ; {sentence}: notes hold semicolons too, so the longest end that the window holds.
    for found in re.finditer(" ; ", text):
        window, sentence = text[: found.start()], text[found.end() :].strip()
        if sentence and sentence in window:
            return _sentence_in(window, sentence, 0)
    return ()


def _sentence_in(context: str, sentence: str, at: int) -> tuple[tuple[str, Pieces], ...]:
    start = context.find(sentence, at)
    if not sentence or start < 0:
        return (("Input", [(context, 0)]),)
    end = start + len(sentence)
    cut = [(context[:start], 0), (sentence, ASKED), (context[end:], 0)]
    return (
        ("Sentence", [(sentence, 0)]),
        ("In its context", [piece for piece in cut if piece[0]]),
    )


def _plain(line: Line) -> Item:
    golds = tuple(text for text in _texts(line["target"]) if text)
    predicted = str(line["text"])
    right = predicted.strip() in {gold.strip() for gold in golds or ("",)}
    return Item(
        id=line["id"],
        right=right,
        gold=golds,
        predicted=predicted,
        tags=(("", "right" if right else "wrong"),),
        passages=_input(line),
    )


def _input(line: Line) -> tuple[tuple[str, Pieces], ...]:
    return (("Input", [(str(line["input"]), 0)]),)


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(part) for part in value or ()]


VIEWS: Mapping[str, Callable[[Line], Item]] = {"mednli": _mednli, "radqa": _radqa, "clip": _clip}
