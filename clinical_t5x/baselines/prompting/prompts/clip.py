"""Prompts for CLIP: all seven labels at once, or a yes-or-no question for each of them.

(The paper's prompt for GPT-3 offered six labels: "Other" could never be right.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from clinical_t5x.baselines.prompting.answers import (
    UNANSWERED,
    Answer,
    labels_in,
    merged_labels,
    yes_or_no,
)
from clinical_t5x.baselines.prompting.prompts.prompt import (
    Prompt,
    Record,
    first_words,
    last_words,
    reading_one,
)
from clinical_t5x.evaluation.metrics import CLIP_LABELS

_NO_LABEL = "none"
_CONTEXT_WORDS = 40  # on each side of the sentence, where a prompt shows them

# By label: what a sentence with it does, and a short name.
_MEANINGS: Mapping[str, tuple[str, str]] = {
    "Appointment-related followup": (
        "names an appointment or visit that was made or should be made",
        "Appointment",
    ),
    "Case-specific instructions for patient": (
        "tells the patient what to do or watch for in this very case",
        "Instructions",
    ),
    "Imaging-related followup": ("asks for imaging after discharge", "Imaging"),
    "Lab-related followup": (
        "asks for a laboratory test, or for a pending result to be followed up",
        "Laboratory",
    ),
    "Medication-related followups": (
        "asks for a medication to be started, stopped, changed or watched",
        "Medication",
    ),
    "Other helpful contextual information": (
        "gives other information that matters for care after discharge",
        "Other",
    ),
    "Procedure-related followup": ("asks for a procedure after discharge", "Procedure"),
}
_FULL = {label: label for label in CLIP_LABELS}
_SHORT = {short: label for label, (_, short) in _MEANINGS.items()}


def _shown(record: Record, layout: str) -> str:
    """The record in a layout, with as much context as prompts show."""
    before = record["context_before"].split()[-_CONTEXT_WORDS:]
    after = record["context_after"].split()[:_CONTEXT_WORDS]
    return layout.format(
        before=" ".join(before),
        sentence=" ".join(record["sentence"].split()),
        after=" ".join(after),
    )


def _shorten(record: Record, share: float) -> Record:
    """Words of the context go first, the farthest first of all; then words of the sentence."""
    share_of_sentence = min(1.0, 2 * share)
    return {
        **record,
        "context_before": last_words(record["context_before"], max(0.0, 2 * share - 1)),
        "context_after": first_words(record["context_after"], max(0.0, 2 * share - 1)),
        "sentence": first_words(record["sentence"], share_of_sentence),
    }


def _stop(layout: str) -> tuple[str, ...]:
    return ("\n" + re.split(r"\{", layout)[0].strip(),)


def _all_at_once(
    name: str, instruction: str, layout: str, *, names: Mapping[str, str] = _FULL
) -> Prompt:
    written = {label: word for word, label in names.items()}

    def gold(record: Record, aspect: str) -> str:
        return ", ".join(written[label] for label in record["labels"]) or _NO_LABEL

    return Prompt(
        name=name,
        task="clip",
        instruction=instruction,
        layout=lambda record, aspect: _shown(record, layout),
        gold=gold,
        kinds=lambda record, aspect: tuple(record["labels"]) or (_NO_LABEL,),
        read=reading_one(lambda reply: labels_in(reply, {**_FULL, **names})),
        stop=_stop(layout),
        shorten=_shorten,
    )


def _one_by_one(name: str, instruction: str, layout: str) -> Prompt:
    """Seven requests a sentence, one for each label, whose meaning takes the place of {aspect}."""
    meanings = {_MEANINGS[label][0]: label for label in CLIP_LABELS}

    def gold(record: Record, aspect: str) -> str:
        return "yes" if meanings[aspect] in record["labels"] else "no"

    def read(replies: Sequence[str | None]) -> Answer:
        if None in replies:
            return Answer(UNANSWERED, parsed=False)
        said_of = zip(meanings.values(), map(yes_or_no, replies), strict=True)
        return merged_labels(list(said_of))

    return Prompt(
        name=name,
        task="clip",
        instruction=instruction,
        layout=lambda record, aspect: _shown(record, layout.replace("{aspect}", aspect)),
        gold=gold,
        kinds=lambda record, aspect: (gold(record, aspect),),
        read=read,
        stop=_stop(layout),
        shorten=_shorten,
        aspects=tuple(meanings),
    )


_LIST = ", ".join(CLIP_LABELS)
_DESCRIBED = "\n".join(
    f"{short}: the sentence {meaning}." for meaning, short in reversed(_MEANINGS.values())
)

CLIP_PROMPTS = (
    _all_at_once(
        "list_v1",
        "Which of these labels does the sentence from a discharge summary have? There may be"
        f" several, or none. Labels: {_LIST}. Answer with the labels, joined by commas, or with"
        " none.",
        "Sentence: {sentence}\nLabels:",
    ),
    _all_at_once(
        "list_context_v1",
        "A sentence from a discharge summary is given with the words around it. Which of these"
        f" labels does the sentence itself have? Labels: {_LIST}. Answer with all that fit, joined"
        " by commas; answer none if none fits.",
        "Before: {before}\nAfter: {after}\nSentence: {sentence}\nLabels:",
    ),
    _all_at_once(
        "short_names_v1",
        "Say what a sentence from a discharge summary asks of those who care for the patient"
        f" next.\n{_DESCRIBED}\nAnswer with all names that fit, joined by commas, or with none.",
        "Sentence: {sentence}\nNames:",
        names=_SHORT,
    ),
    _one_by_one(
        "yes_no_v1",
        "Answer yes or no.",
        "Sentence from a discharge summary: {sentence}\nQuestion: is it true that this sentence"
        " {aspect}?\nAnswer:",
    ),
    _one_by_one(
        "yes_no_context_v1",
        "Does the sentence from a discharge summary do this: it {aspect}? The words around it are"
        " shown, but only the sentence counts. Answer yes or no.",
        "Before: {before}\nAfter: {after}\nSentence: {sentence}\nAnswer:",
    ),
)
