"""The benchmarks' labels, checked against the text by rules written a second time."""

import random
import re

from clinical_t5x.synthetic import clip, mednli
from clinical_t5x.synthetic.facts import Fact, facts_of, history_sentences
from clinical_t5x.synthetic.lexicon.problems import BY_KEY, CHRONIC
from clinical_t5x.synthetic.patient import make_patient, visit_context
from clinical_t5x.synthetic.style import style_of


def _patients(count, seed=5):
    chance = random.Random(seed)
    for number in range(count):
        patient = make_patient(chance.random, chance.gauss, 1, deceased=False)
        context = visit_context(patient, patient.visits[0], chance.random)
        yield patient, {**context, **style_of(number).words}, chance.random


def _claimed(hypothesis: str) -> tuple[str | None, str]:
    """The problem's key and whether the claim affirms, denies or is about the family."""
    low = hypothesis.lower()
    names = [
        (name.lower(), problem.key)
        for problem in CHRONIC
        for name in (*problem.names, *problem.lay)
    ]
    matching = [
        (len(name), key) for name, key in names if re.search(rf"\b{re.escape(name)}(?!\w)", low)
    ]
    key = max(matching)[1] if matching else None
    if "family" in low or "relative" in low:
        return key, "family"
    if re.search(r"\b(not|no|never)\b", low):
        return key, "denies"
    return key, "affirms"


def test_mednli_labels_follow_from_the_facts():
    checked = 0
    for patient, context, draw in _patients(150):
        for text, facts in history_sentences(patient, facts_of(patient, draw), context, draw):
            kinds = {fact.problem.key: fact.kind for fact in facts}
            for hypothesis, label in mednli.pairs_of(text, facts, draw):
                low = hypothesis.lower()
                if re.search(r"\b(side|left|right|recent|recently|long ago)\b", low):
                    continue
                key, claim = _claimed(hypothesis)
                kind = kinds.get(key)
                if claim == "family":
                    expected = "entailment" if kind == "family" else "neutral"
                elif kind in (None, "family", "possible"):
                    expected = "neutral"
                else:
                    affirmed = kind != "not"
                    expected = "entailment" if affirmed == (claim == "affirms") else "contradiction"
                assert label == expected, (text, hypothesis)
                checked += 1
    assert checked > 1_000


def test_mednli_sides_and_dates():
    chance = random.Random(3)
    facts = (Fact("sided", BY_KEY["stroke"], "left", "arm weakness"),)
    for _ in range(200):
        for hypothesis, label in mednli.pairs_of("", facts, chance.random):
            if "arm weakness" in hypothesis.lower():
                side = "left" if " left" in f" {hypothesis.lower()}" else "right"
                assert label == {"left": "entailment", "right": "contradiction"}[side]
    facts = (Fact("dated", BY_KEY["mi"], "remote"),)
    for _ in range(200):
        for hypothesis, label in mednli.pairs_of("", facts, chance.random):
            low = hypothesis.lower()
            if label != "neutral" and ("recent" in low or "long ago" in low):
                says_recent = "recent" in low and "not recent" not in low
                assert label == ("contradiction" if says_recent else "entailment")


def test_the_same_hypothesis_occurs_under_every_label():
    seen: dict[str, set[str]] = {}
    for patient, context, draw in _patients(1_500):
        for text, facts in history_sentences(patient, facts_of(patient, draw), context, draw):
            for hypothesis, label in mednli.pairs_of(text, facts, draw):
                seen.setdefault(hypothesis, set()).add(label)
    assert sum(len(labels) == 3 for labels in seen.values()) > 300


def test_clip_order_decides_between_two_things():
    """`of A and B, only the former is due` and its three relatives, read by a second parser."""
    words = {
        "Imaging-related followup": (
            r"ultrasound|mammogram|CT |MRI |x-ray|scan|film|echocard|duplex|angiogram|swallow"
        ),
        "Lab-related followup": (
            r"CBC|INR|creatinine|panel|hematocrit|TSH|A1c|trough| level|PSA|viral load|antigen"
            r"|urinalysis|lactate|ESR|blood work|labs|surveillance cultures|coagulation studies"
        ),
    }
    checked = 0
    for _, context, draw in _patients(400):
        for _ in range(10):
            text, labels = clip.followup_sentence(context, draw)
            found = re.match(
                r"(?i)of (.+?) and (.+), (?:only|just) the (former|latter) "
                r"(is|remains|stays|was|has)",
                text,
            )
            if not found or text.count(" and ") != 1:
                continue
            first, second, which, verb = found.groups()
            first, second = first.split(",")[0], second.split(",")[0]  # without asides
            ahead = verb.lower() in ("is", "remains", "stays")
            target = first if (which == "former") == ahead else second
            other = second if target is first else first
            for label, pattern in words.items():
                if re.search(pattern, target) and not re.search(pattern, other):
                    assert label in labels, text
                    checked += 1
                if re.search(pattern, other) and not re.search(pattern, target):
                    assert label not in labels, text
    assert checked > 20
