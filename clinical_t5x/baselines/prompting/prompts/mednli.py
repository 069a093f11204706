"""Prompts for MedNLI: wordings, orders of the labels, and five forms of the answer."""

from __future__ import annotations

from collections.abc import Mapping

from clinical_t5x.baselines.prompting.answers import Answer, letter_of, one_of
from clinical_t5x.baselines.prompting.prompts.prompt import (
    Prompt,
    Record,
    first_words,
    reading_one,
)

_ENTAILMENT, _NEUTRAL, _CONTRADICTION = "entailment", "neutral", "contradiction"
# "entails" and "contradicts" say the same as the nouns.
_NOUNS = {"entail*": _ENTAILMENT, "neutral": _NEUTRAL, "contradict*": _CONTRADICTION}


def _prompt(
    name: str,
    instruction: str,
    *,
    layout: str = "Premise: {premise}\nHypothesis: {hypothesis}\nAnswer:",
    words: Mapping[str, str] | None = None,
    letters: Mapping[str, str] | None = None,
    joint: str = " ",
) -> Prompt:
    """A prompt whose answers are the labels, words that stand for them, or letters."""
    written = {label: word for word, label in (letters or words or {}).items()}

    def parse(reply: str) -> Answer:
        if letters:
            return letter_of(reply, letters)
        return one_of(reply, words or _NOUNS)

    def laid_out(record: Record, aspect: str) -> str:
        fields = {key: " ".join(record[key].split()) for key in ("premise", "hypothesis")}
        return layout.format(**fields)

    return Prompt(
        name=name,
        task="mednli",
        instruction=instruction,
        layout=laid_out,
        gold=lambda record, aspect: written.get(record["label"], record["label"]),
        kinds=lambda record, aspect: (record["label"],),
        read=reading_one(parse),
        stop=("\n" + layout.split("{")[0].strip(),),
        shorten=lambda record, share: {
            **record,
            "premise": first_words(record["premise"], share),
        },
        joint=joint,
    )


MEDNLI_PROMPTS = (
    _prompt("labels_v1", "Answer entailment, neutral or contradiction."),
    _prompt("labels_reversed_v1", "Answer contradiction, neutral or entailment."),
    # The instruction that the paper chose for both of its models.
    _prompt(
        "paper_v1",
        "Answer entailment, contradiction or neutral.",
        layout="Premise: {premise}\nHypothesis: {hypothesis}",
        joint="\n",
    ),
    _prompt(
        "definitions_v1",
        "A premise is taken from a clinical note, a hypothesis is about the same patient. The"
        " answer is entailment if the hypothesis is certainly true given the premise,"
        " contradiction if it is certainly false, and neutral if it may be either. Answer with"
        " one word.",
    ),
    _prompt(
        "true_false_v1",
        "Decide whether the statement about the patient is true, false or undecided, given the"
        " line from the note. Answer with one of these three words.",
        layout="Note: {premise}\nStatement: {hypothesis}\nThe statement is",
        words={"true": _ENTAILMENT, "undecided": _NEUTRAL, "false": _CONTRADICTION},
    ),
    _prompt(
        "yes_no_maybe_v1",
        "Read what a clinician wrote and say whether the claim follows from it: yes, no or maybe."
        " No means that the claim cannot be true.",
        layout="Clinician: {premise}\nClaim: {hypothesis}\nDoes the claim follow?",
        words={"yes": _ENTAILMENT, "maybe": _NEUTRAL, "no": _CONTRADICTION},
    ),
    _prompt(
        "letters_v1",
        "How does the second sentence relate to the first? A: it follows (entailment). B: it"
        " cannot be true (contradiction). C: neither (neutral). Answer with the letter.",
        layout="First: {premise}\nSecond: {hypothesis}\nLetter:",
        letters={"A": _ENTAILMENT, "B": _CONTRADICTION, "C": _NEUTRAL},
    ),
)
