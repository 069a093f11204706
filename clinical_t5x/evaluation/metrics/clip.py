"""CLIP: micro and macro F1 over seven labels, read from comma-joined label names, by sentence and
by note.

The text is split into labels before anything is scored. (The paper's prompt script passed the
re-joined string as one label, so that any prediction of two labels scored as none.)

The labels of a note are those of any of its sentences: what follow-up does the discharge summary
ask for? A note's components follow from the sums over its sentences, so that nothing has to be kept
beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clinical_t5x.evaluation.metrics.components import (
    MetricFamily,
    WholeUnits,
    as_texts,
    ratio,
    reduces_to,
)
from clinical_t5x.evaluation.metrics.groups import column_by_column, merged_metrics

CLIP_LABELS = (
    "Appointment-related followup",
    "Case-specific instructions for patient",
    "Imaging-related followup",
    "Lab-related followup",
    "Medication-related followups",
    "Other helpful contextual information",
    "Procedure-related followup",
)
_INDEX = {label.casefold(): k for k, label in enumerate(CLIP_LABELS)}
_L = len(CLIP_LABELS)


def parse_labels(text: Any) -> tuple[list[str], int]:
    """The known labels that `text` names, sorted, and how many other names it holds.

    `text` is a comma-joined string or a sequence of label names. White space, case, a list dash
    in front and the data set's `I-` prefix do not matter.
    """
    known: set[str] = set()
    unknown: set[str] = set()
    for part in as_texts(text):
        for name in part.split(","):
            name = name.strip().lstrip("-").strip()
            bare = name.casefold().removeprefix("i-")
            if bare in _INDEX:
                known.add(CLIP_LABELS[_INDEX[bare]])
            elif name:
                unknown.add(name.casefold())
    return sorted(known), len(unknown)


def _display(prediction: Any) -> str:
    labels, unknown = parse_labels(prediction)
    return ", ".join(labels + (["(unrecognised)"] if unknown else []))


def indicators(labels: Sequence[str]) -> np.ndarray:
    """1 for each label that is given, 0 for the others, in the order of `CLIP_LABELS`: [7]."""
    row = np.zeros(_L)
    row[[_INDEX[label.casefold()] for label in labels]] = 1
    return row


def _observe(target: Any, prediction: Any) -> np.ndarray:
    gold_labels, unknown_gold = parse_labels(target)
    if unknown_gold:
        raise ValueError("a CLIP target may only name the seven labels, comma-joined")
    labels, unknown = parse_labels(prediction)
    gold, predicted = indicators(gold_labels), indicators(labels)
    exact = float(gold_labels == labels and not unknown)
    return np.concatenate([gold * predicted, predicted, gold, [exact, unknown, 1.0]])


def _reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
    hits, predicted, gold = (sums[..., k * _L : (k + 1) * _L] for k in range(3))
    exact, unknown, sentences = (sums[..., 3 * _L + k] for k in range(3))
    f1 = ratio(2 * hits, predicted + gold, empty=0.0)
    all_hits, all_predicted, all_gold = (part.sum(axis=-1) for part in (hits, predicted, gold))
    metrics = {
        "micro_f1": ratio(2 * all_hits, all_predicted + all_gold, empty=0.0),
        "macro_f1": f1.mean(axis=-1),
        "micro_precision": ratio(all_hits, all_predicted, empty=0.0),
        "micro_recall": ratio(all_hits, all_gold, empty=0.0),
        "exact_match": ratio(exact, sentences, empty=np.nan),
    }
    precision, recall = ratio(hits, predicted, empty=0.0), ratio(hits, gold, empty=0.0)
    for name, of_labels in (("f1", f1), ("precision", precision), ("recall", recall)):
        metrics |= {f"{name}_{label}": of_labels[..., k] for k, label in enumerate(CLIP_LABELS)}
    metrics["unknown_labels_per_sentence"] = ratio(unknown, sentences, empty=np.nan)
    return metrics


def _note_components(sums: np.ndarray) -> np.ndarray:
    """From component sums of each note's sentences [U, K] to the notes' own components [U, K]."""
    _, predicted, gold = (sums[:, k * _L : (k + 1) * _L] > 0 for k in range(3))
    unknown = sums[:, 3 * _L + 1]
    exact = np.all(predicted == gold, axis=1) & (unknown == 0)
    last = np.stack([exact, unknown, np.ones(len(sums))], axis=1)
    return np.concatenate([predicted & gold, predicted, gold, last], axis=1).astype(float)


def _reduce_notes(sums: np.ndarray) -> dict[str, np.ndarray]:
    metrics = _reduce(sums)
    del metrics["unknown_labels_per_sentence"]
    return {f"note_{name}": value for name, value in metrics.items()}


_COLUMNS = (
    *(f"hits:{label}" for label in CLIP_LABELS),
    *(f"predicted:{label}" for label in CLIP_LABELS),
    *(f"gold:{label}" for label in CLIP_LABELS),
    "exact",
    "unknown",
)

CLIP_NOTES = MetricFamily(
    name="clip_notes",
    columns=(*_COLUMNS, "notes"),
    observe=_observe,
    reduce=_reduce_notes,
    headline=("note_micro_f1", "note_macro_f1"),
    unit="discharge summary",
)

CLIP = MetricFamily(
    name="clip",
    columns=(*_COLUMNS, "sentences"),
    observe=_observe,
    reduce=_reduce,
    headline=("micro_f1", "macro_f1"),
    unit="discharge summary",
    lower_is_better=frozenset({"unknown_labels_per_sentence"}),
    display=_display,
    # One example a label: counts add up; the sentence is right when all its labels are.
    merge=column_by_column([np.sum] * (3 * _L) + [np.min, np.sum, np.max]),
    whole_units=(WholeUnits(CLIP_NOTES, _note_components),),
)


@reduces_to(CLIP)
def clip_metrics(targets: Sequence[Any], predictions: Sequence[Any]) -> dict[str, float]:
    """Micro and macro F1 over the seven labels, each label's own, exact match of the label set.

    Names that are no label are counted (`unknown_labels_per_sentence`) and spoil exact match; they
    do not enter the F1s, which are those of the seven-column indicator matrix.

    Args:
      targets: for each sentence its labels, comma-joined or as a sequence; empty for none.
      predictions: decoded strings in the same form.
    """
    return CLIP.components(targets, predictions).values()


def clip_note_metrics(
    targets: Sequence[Any], predictions: Sequence[Any], notes: Sequence[str]
) -> dict[str, float]:
    """The metrics of `clip_metrics` over notes instead of sentences, with `note_` before the names.

    Args:
      targets: of each sentence, as for `clip_metrics`.
      predictions: of each sentence.
      notes: the note that each sentence is of.
    """
    _, sums = CLIP.components(targets, predictions).by_unit(notes)
    return CLIP_NOTES.values(_note_components(sums).sum(axis=0))


# Targets are `Grouped`: one example for each label of a sentence.
clip_yes_no_metrics = merged_metrics(CLIP)
