"""CLIP: which sentences of a discharge summary ask for something after discharge, and of what kind.

The rule: a sentence carries the label of every kind of thing (an examination, a visit, a drug ...)
that it says is still ahead when the patient leaves; a thing that is done, cancelled or not needed
gives no label. A heading carries the labels of the sentence after it. Sentences about two things of
different kinds, one ahead and one behind, and sentences that negate what is done or what is due
make the order of the words matter.
"""

from __future__ import annotations

import re

from clinical_t5x.synthetic.document import Document
from clinical_t5x.synthetic.grammar import Draw, Grammar, expand, pick
from clinical_t5x.synthetic.lexicon import SHARED, followup_phrases

_GRAMMAR = Grammar(followup_phrases.RULES, base=SHARED)
# grammar rule -> label, as the real files name them after the prefix "I-".
LABELS = {
    "imaging": "Imaging-related followup",
    "appointment": "Appointment-related followup",
    "medication": "Medication-related followups",
    "procedure": "Procedure-related followup",
    "lab": "Lab-related followup",
    "instruction": "Case-specific instructions for patient",
    "other": "Other helpful contextual information",
}
_KINDS = tuple(LABELS)
# Visits, drugs and instructions are what most follow-up is about.
_WHEEL = tuple(
    kind
    for kind, weight in dict(
        imaging=3, appointment=5, medication=4, procedure=3, lab=4, instruction=5, other=3
    ).items()
    for _ in range(weight)
)

Labelled = tuple[str, tuple[str, ...]]


def followup_sentence(context: dict, draw: Draw) -> Labelled:
    """A sentence about follow-up, of any form, with its labels."""
    chance = draw()
    if chance < 0.44:
        return _two_things(context, draw)
    if chance < 0.76:
        return _one_thing(context, draw)
    kind = pick(_WHEEL, draw)
    if chance < 0.88:
        return _say(f"plain_{kind}", context, draw), (LABELS[kind],)
    return _say(f"past_{kind}", context, draw), ()


def past_sentence(context: dict, draw: Draw) -> str:
    """A sentence about what was done in hospital: it never carries a label."""
    return _say(f"past_{pick(_WHEEL, draw)}", context, draw)


def _one_thing(context: dict, draw: Draw) -> Labelled:
    kind = pick(_WHEEL, draw)
    ahead = draw() < 0.5
    status = expand(_GRAMMAR["open" if ahead else "settled"], draw, context)
    text = f"{expand(_GRAMMAR[kind], draw, context)} {status}."
    return text, (LABELS[kind],) if ahead else ()


def _two_things(context: dict, draw: Draw) -> Labelled:
    first, second = pick(_WHEEL, draw), pick(_WHEEL, draw)
    while second == first:
        second = pick(_WHEEL, draw)
    chance = draw()
    rule = "first_open" if chance < 0.76 else "both_open" if chance < 0.88 else "both_settled"
    words = {
        **context,
        "a": expand(_GRAMMAR[first], draw, context),
        "b": expand(_GRAMMAR[second], draw, context),
    }
    text = expand(_GRAMMAR[rule], draw, words) + "."
    if rule == "both_settled":
        return text, ()
    kinds = (first,) if rule == "first_open" else (first, second)
    return text, tuple(sorted(LABELS[kind] for kind in kinds))


def _say(rule: str, context: dict, draw: Draw) -> str:
    return expand(_GRAMMAR[rule], draw, context) + "."


_TOKEN = re.compile(
    r"\*\*[^\s()\[\]*]+\*\*|\*\*[^\s()\[\]*]*|[^\s()\[\],;:.?!*]+\*\*|\*\*|\w+(?:['/&.-]\w+)*|[^\w\s]"
)


def tokenise(text: str) -> list[str]:
    """Words as the real files have them; a tag falls apart: `[`, `**Month/Year`, `(`, `2`, ..."""
    return _TOKEN.findall(text)


def sentences_of(document: Document) -> list[tuple[list[str], tuple[str, ...]]]:
    """Tokens and labels of a document's sentences, headings with the labels of what follows."""
    pieces = document.pieces
    rows = []
    for place, piece in enumerate(pieces):
        labels = piece.labels
        if piece.heading and place + 1 < len(pieces):
            labels = pieces[place + 1].labels
        tokens = tokenise(piece.text)
        if tokens:
            rows.append((tokens, labels))
    return rows


__all__ = ["LABELS", "followup_sentence", "past_sentence", "sentences_of", "tokenise"]
