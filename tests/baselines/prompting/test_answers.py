"""Readers of replies, with a case for each way in which the paper's scripts read them wrongly."""

import pytest

from clinical_t5x.baselines.prompting.answers import (
    UNPARSED,
    labels_in,
    letter_of,
    merged_labels,
    one_of,
    quoted,
    said,
    yes_or_no,
)
from clinical_t5x.evaluation.metrics import CLIP_LABELS, clip_metrics, mednli_metrics, radqa_metrics

NOUNS = {"entail*": "entailment", "neutral": "neutral", "contradict*": "contradiction"}
LETTERS = {"A": "entailment", "B": "contradiction", "C": "neutral"}
NAMES = {label: label for label in CLIP_LABELS} | {"Other": "Other helpful contextual information"}
APPOINTMENT, INSTRUCTIONS, IMAGING, LAB, MEDICATION, OTHER, PROCEDURE = CLIP_LABELS


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("entailment", "entailment"),
        (" Neutral.\n", "neutral"),
        ("- contradiction", "contradiction"),
        ("**Contradiction**", "contradiction"),
        ("Answer: entailment", "entailment"),
        ("The answer is neutral.", "neutral"),
        ('"neutral"', "neutral"),
        ("The premise entails the hypothesis.", "entailment"),
        ("This is contradicted by the premise.", "contradiction"),
        ("It is not neutral. Answer: contradiction", "contradiction"),
        ("entailment\n\nPremise: another\nHypothesis: one\nAnswer: neutral", "entailment"),
        ("<think>neutral? no, contradiction</think>\nentailment", "entailment"),
        ("I weigh entailment and neutral.\n\nFinal answer: neutral", "neutral"),
        # None of these says a label; the paper's script took all of them for neutral.
        ("", None),
        ("I cannot tell.", None),
        ("It is not an entailment.", None),
        ("entailed or neutral, hard to say", "entailment"),  # it begins with one
        ("Either neutral or contradiction.", None),
        ("<think>I will say entailment", None),
    ],
)
def test_label_of_a_reply(reply, label):
    answer = one_of(reply, NOUNS)
    assert answer.text == (label or UNPARSED)
    assert answer.parsed == (label is not None)


def test_an_unread_reply_is_no_neutral():
    """The paper's default made unread replies right where the label is neutral."""
    answer = one_of("As an assistant I do not know.", NOUNS)
    found = mednli_metrics(["neutral"], [answer.text])
    assert (found["accuracy"], found["unrecognised"]) == (0.0, 1.0)


def test_short_words_count_at_the_beginning_only():
    words = {"yes": "entailment", "no": "contradiction", "maybe": "neutral"}
    assert one_of("No, it cannot.", words).text == "contradiction"
    assert one_of("There is no sign of it; maybe.", words).text == "neutral"
    assert not one_of("There is no sign of it.", words).parsed
    assert not one_of("Nothing follows, not at all", words).parsed


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("B", "contradiction"),
        ("(C)", "neutral"),
        ("A. it follows", "entailment"),
        ("c", "neutral"),
        ("Answer: B", "contradiction"),
        ("Option A", "entailment"),
        ("neutral", "neutral"),
        ("A patient with chest pain", None),
        ("Both of them", None),
        ("", None),
    ],
)
def test_letter_of_a_reply(reply, label):
    assert letter_of(reply, LETTERS).text == (label or UNPARSED)


@pytest.mark.parametrize(
    ("reply", "labels"),
    [
        (f"{LAB}, {IMAGING}", [IMAGING, LAB]),  # two labels: the paper's script read none
        (f"- {LAB}", [LAB]),  # a leading dash: none either
        (f"- {LAB}\n- {MEDICATION}", [LAB, MEDICATION]),
        (f"1. {LAB}\n2. I-{PROCEDURE}", [LAB, PROCEDURE]),
        ("lab-related follow-up; IMAGING related followups", [IMAGING, LAB]),
        (f'["{APPOINTMENT}", "{OTHER}"]', [APPOINTMENT, OTHER]),
        ("Other", [OTHER]),  # the paper's prompt never offered it
        (f"Labels: {INSTRUCTIONS}.", [INSTRUCTIONS]),
        (f"The sentence is an {APPOINTMENT} and a {LAB}", [APPOINTMENT, LAB]),
        (f"It is not an {IMAGING}, {LAB}", [LAB]),
        ("none", []),
        ("None of the above.", []),
        ("No labels apply", []),
        ("N/A", []),
        ("[]", []),
        ("Her mother called", None),  # "other" is in it
        ("", None),
        ("I do not know", None),
    ],
)
def test_labels_of_a_reply(reply, labels):
    answer = labels_in(reply, NAMES)
    assert answer.parsed == (labels is not None)
    assert answer.text == (UNPARSED if labels is None else ", ".join(labels))


def test_several_labels_score_as_several():
    """B1: the released script re-joined labels, so that two of them scored as none."""
    answer = labels_in(f"- {LAB}\n- {OTHER}", NAMES)
    found = clip_metrics([f"{LAB}, {OTHER}"], [answer.text])
    assert found["micro_f1"] == found["exact_match"] == 1.0
    assert found[f"f1_{OTHER}"] == 1.0


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ('"the chest CT"', "the chest CT"),
        ("“no effusion”.", "no effusion"),
        ("Answer: 'stable'", "stable"),
        ('He said "fine" and "well"', 'He said "fine" and "well"'),
        ('"fine" and "well"', '"fine" and "well"'),
        ("a  small\nnodule", "a small nodule"),
        ("no effusion\n\nThis is because the report says so.", "no effusion"),
        ("N/A", ""),
        ("n/a.", ""),
        ("N/A - the context does not say", ""),
        ('"N/A"', ""),
        ("NA", ""),
        ("Na 140", "Na 140"),
        ("No answer", ""),
        ("There is no answer in the context.", ""),
        ("Not mentioned in the report.", ""),
        ("The context does not mention it.", ""),
        ("unanswerable", ""),
        ("no", "no"),
        ("No evidence of pneumonia", "No evidence of pneumonia"),
        ("not enlarged", "not enlarged"),
        ("", UNPARSED),
        ("  \n", UNPARSED),
    ],
)
def test_answer_of_a_reply(reply, text):
    assert quoted(reply).text == text


def test_silence_is_not_no_answer():
    assert radqa_metrics([[]], [quoted("").text])["exact_match"] == 0.0
    assert radqa_metrics([[]], [quoted("N/A").text])["exact_match"] == 1.0


@pytest.mark.parametrize(
    ("reply", "yes"),
    [
        (" Yes.", True),
        ("no", False),
        ("**No**, it does not", False),
        ("True", True),
        ("I think so. Answer: yes", True),
        ("Not sure", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_yes_or_no(reply, yes):
    assert yes_or_no(reply) is yes


def test_seven_questions_make_one_answer():
    said_of = [(label, label in (LAB, OTHER)) for label in CLIP_LABELS]
    assert merged_labels(said_of).text == f"{LAB}, {OTHER}"
    unclear = merged_labels([(LAB, True), (OTHER, None)])
    assert not unclear.parsed
    found = clip_metrics([LAB], [unclear.text])
    assert (found["exact_match"], found[f"f1_{LAB}"]) == (0.0, 1.0)


def test_thoughts_are_not_said():
    assert said("<think>a\nb</think>\n\nneutral") == "neutral"
    assert said("a thought that the template began</think>neutral") == "neutral"
