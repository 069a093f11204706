"""RadQA: questions about a radiology report, asked of its Findings and of its Impression.

A question names a topic, in the report's words or in a physician's, and asks whether it is there, where it is, or how it
has changed. The answer is what the section says of that topic: a span that the report's grammar
marked (radiology_phrases.py). Where the section says nothing of it, there is no answer, whatever
else it says about the same organ. Some validation and test questions have two gold answers.
"""

from __future__ import annotations

from clinical_t5x.synthetic.grammar import Draw, Grammar, expand, pick, several
from clinical_t5x.synthetic.lexicon.imaging import Topic
from clinical_t5x.synthetic.notes.radiology import Report, Statement

_RULES = {
    "finding": """
        is there [any|] {asked}?
        [does the patient have|does the study show|do the images show|is there evidence of|any sign of] {asked}?
        what [is said|does the report say] about [the|] {asked}?
        any {asked}?
        """,
    "organ": """
        what is the [state|appearance|condition] of the {asked}?
        [is there|any] [problem|abnormality] with the {asked}?
        what [is said|does the report say] about the {asked}?
        how [is|are] the {asked} described?
        """,
    "where": """
        where is the {asked}?
        [in what location|at which site|in which place] is the {asked}?
        what is the [location|site] of the {asked}?
        """,
    "change": """
        how has the {asked} changed?
        is the {asked} [better or worse|new or old|larger or smaller]?
        what is the [change|interval change] of the {asked}?
        """,
}
_GRAMMAR = Grammar(_RULES)


def questions_of(report: Report, count: int, *, several_answers: bool, draw: Draw) -> list[dict]:
    """Questions of one report.

    Args:
        report: a report with both sections.
        count: how many questions.
        several_answers: give the second gold answer too, where there is one.
        draw: uniform numbers.

    Returns:
        Dicts with `question`, `findings` and `impression`; the last two are lists of answers, each
        {"text", "answer_start"}, empty where the section does not answer.
    """
    wanted = _choose(report, count, draw)
    said = {finding.topic.key: finding.words["noun"] for finding in report.shown}
    made = []
    for topic, kind in wanted:
        rule = "organ" if kind == "finding" and topic.kind != "finding" else kind
        asked = pick(topic.asked + topic.names, draw)
        if draw() < 0.5:  # half of the questions are in the report's own words
            asked = said.get(topic.key, asked)
        question = expand(_GRAMMAR[rule], draw, {"asked": asked})
        sections = {}
        for name, section, statements in (
            ("findings", report.findings, report.findings_statements),
            ("impression", report.impression, report.impression_statements),
        ):
            sections[name] = _answers(
                section, statements, topic.key, kind, several_answers=several_answers
            )
        made.append({"question": question[:1].upper() + question[1:], **sections})
    return made


def _choose(report: Report, count: int, draw: Draw) -> list[tuple[Topic, str]]:
    """Topics and kinds of question: mostly those that both sections answer."""
    topics = {topic.key: topic for topic in report.exam.topics}
    below = {answer[:2] for s in report.impression_statements for answer in s.answers}
    above = {answer[:2] for s in report.findings_statements for answer in s.answers}
    both = several(sorted(above & below), 99, draw)
    one = several(sorted(above ^ below), 99, draw)
    stated = {key for key, _ in above | below}
    absent = [(key, "finding") for key in topics if key not in stated]
    absent += [(key, pick(("where", "change"), draw)) for key in topics if key not in stated]
    chosen: list[tuple[str, str]] = []
    pools = [both, one, several(absent, 99, draw)]
    while len(chosen) < count:
        chance = draw()
        first = 0 if chance < 0.58 else 1 if chance < 0.84 else 2
        pool = next(p for p in (pools[first], *pools) if p)
        chosen.append(pool.pop())
    return [(topics[key], kind) for key, kind in chosen]


def _answers(
    section: str, statements: list[Statement], key: str, kind: str, *, several_answers: bool
) -> list[dict]:
    """Every gold answer that a section gives, with its place in the section's text.

    A finding is answered with its place when the sentence tells it; the second gold answer is the
    finding alone.
    """
    for statement in statements:
        spans = {what: span for topic, what, *span in statement.answers if topic == key}
        if kind not in spans:
            continue
        start, end = spans[kind]
        wanted = [(start, end)]
        if kind == "finding" and "where" in spans:
            first, last = spans["where"]
            wanted.insert(0, (min(start, first), max(end, last)))
        count = len(wanted) if several_answers else 1
        return [_place(section, statement.text, *span) for span in wanted[:count]]
    return []


def _place(section: str, sentence: str, start: int, end: int) -> dict:
    """Find a sentence's span in the section, whose line breaks may differ."""
    at = section.replace("\n", " ").index(sentence)
    return {"text": section[at + start : at + end], "answer_start": at + start}
