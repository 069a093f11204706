"""RadQA: questions about a radiology report, asked of its Findings and of its Impression.

A question names a topic in a physician's words and asks whether it is there, where it is, or how it
has changed. The answer is what the section says of that topic: a span that the report's grammar
marked (radiology_phrases.py). Where the section says nothing of it, there is no answer, whatever
else it says about the same organ. Validation and test questions have further gold answers: the
whole sentence beside the phrase.
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
        several_answers: add the whole sentence as a second gold answer where it differs.
        draw: uniform numbers.

    Returns:
        Dicts with `question`, `findings` and `impression`; the last two are lists of answers, each
        {"text", "answer_start"}, empty where the section does not answer.
    """
    wanted = _choose(report, count, draw)
    made = []
    for topic, kind in wanted:
        rule = "organ" if kind == "finding" and topic.kind != "finding" else kind
        question = expand(_GRAMMAR[rule], draw, {"asked": pick(topic.asked + topic.names, draw)})
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
    """Every gold answer that a section gives, with its place in the section's text."""
    for statement in statements:
        for topic, what, start, end in statement.answers:
            if (topic, what) == (key, kind):
                spans = [(start, end)]
                if several_answers:
                    spans.append((0, len(statement.text)))
                return [_place(section, statement.text, *span) for span in spans]
    return []


def _place(section: str, sentence: str, start: int, end: int) -> dict:
    """Find a sentence's span in the section, whose line breaks may differ."""
    at = section.replace("\n", " ").index(sentence)
    return {"text": section[at + start : at + end], "answer_start": at + start}
