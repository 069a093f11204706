"""Radiology reports, from findings that the report and its questions (radqa.py) share."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clinical_t5x.synthetic import tags
from clinical_t5x.synthetic.grammar import Draw, Grammar, expand, pick, several
from clinical_t5x.synthetic.lexicon import SHARED, radiology_phrases
from clinical_t5x.synthetic.lexicon.imaging import EXAM_WHEEL, EXAMS, Exam, Topic
from clinical_t5x.synthetic.style import Style, articles, wrapped


def _weekday_tag(draw: Draw) -> str:
    return f"[**{1 + int(draw() * 12)}-{1 + int(draw() * 28)}**]"


_GRAMMAR = Grammar(radiology_phrases.RULES, base=SHARED, functions={"weekday_tag": _weekday_tag})
_CHANGES = {
    "finding": ("new", "larger", "larger", "smaller", "smaller", "same", "same", "same"),
    "organ": ("same", "same", "altered"),
    "device": ("same", "same", "moved"),
}
_REPAIRS = ((" ,", ","), (",,", ","), ("the both ", "both "), ("the segment ", "segment "))
_SINGULAR_S = ("pancreas", "Willis", "pelvis", "sinus")
_MARKS = re.compile(r"[<>^`]")
_KIND_OF_MARK = {"<": "finding", "^": "where", "`": "change"}


@dataclass(slots=True)
class Finding:
    """What an examination shows of one topic.

    Attributes:
        topic: what it is about.
        present: a finding that is there, an organ that is abnormal, a device out of place.
        words: the slot values that Findings and Impression share.
    """

    topic: Topic
    present: bool
    words: dict


@dataclass(slots=True)
class Statement:
    """A sentence of a report.

    Attributes:
        text: with a full stop, without marks.
        answers: (topic key, kind, start, end) of the spans that answer questions.
    """

    text: str
    answers: list[tuple[str, str, int, int]]


@dataclass(slots=True)
class Report:
    """A radiology report: its text and its parts.

    Attributes:
        exam: the examination.
        text: as it stands in the note.
        findings: the Findings section as it stands in the text.
        impression: the Impression section as it stands in the text.
        findings_statements, impression_statements: what the two are made of, in order.
        shown: every finding, whether stated or not.
    """

    exam: Exam
    title: str
    text: str
    findings: str
    impression: str
    findings_statements: list[Statement]
    impression_statements: list[Statement]
    shown: list[Finding]


def make_report(
    base: dict, style: Style, draw: Draw, *, later: bool, exam: Exam | None = None
) -> Report:
    """Write a report.

    Args:
        base: slot values of patient and visit.
        style: of the radiologist.
        draw: uniform numbers.
        later: in the layout of the later years.
        exam: which examination; drawn by frequency when None.
    """
    exam = exam or EXAMS[EXAM_WHEEL[int(draw() * len(EXAM_WHEEL))]]
    context = {**base, **style.words}
    shown = _findings(exam, draw)
    stated = several(shown, 3 + int(draw() * 4), draw)
    body = _state_all(stated, context, draw)
    summary = _summarise(stated, context, draw)
    context["asked_for"] = tuple(name for f in shown[:4] for name in f.topic.asked)
    findings = " ".join(statement.text for statement in body)
    if len(summary) > 1 and style.variant % 3:
        numbered = [f"{n}. {s.text}" for n, s in enumerate(summary, 1)]
        impression = ("\n" if style.variant % 2 else "  ").join(numbered)
    else:
        impression = " ".join(statement.text for statement in summary)
    findings, impression = wrapped(findings, style.width), wrapped(impression, style.width)
    title = pick(exam.titles, draw)
    text = _layout(exam, title, findings, impression, context, style, draw, later=later)
    return Report(exam, title, text, findings, impression, body, summary, shown)


def _findings(exam: Exam, draw: Draw) -> list[Finding]:
    """Decide what the images show: about half of the topics are abnormal."""
    return [_finding(topic, draw) for topic in several(exam.topics, 8, draw)]


def _finding(topic: Topic, draw: Draw) -> Finding:
    present = draw() < 0.55
    words: dict = {
        "noun": pick(topic.names, draw),
        "change_word": _GRAMMAR[pick(_CHANGES[topic.kind], draw)],
    }
    if topic.kind == "finding":
        words["degree"] = pick(topic.degrees, draw)
        words["site"] = pick(topic.sites, draw)
        words["cause"], words["cause2"] = several(topic.others, 2, draw)
    else:
        noun = words["noun"]
        plural = noun.endswith("s") and not noun.endswith(_SINGULAR_S)
        words["is"], words["it"] = ("are", "them") if plural else ("is", "it")
        words["appear"] = "appear" if plural else "appears"
        words["remain"] = "remain" if plural else "remains"
        words["state"] = pick(topic.others if present else topic.sites, draw)
    return Finding(topic, present, words)


def _state_all(stated: list[Finding], context: dict, draw: Draw) -> list[Statement]:
    """Sentences for the Findings section; two absent findings may share one."""
    statements = []
    waiting = list(stated)
    while waiting:
        finding = waiting.pop(0)
        if finding.topic.kind == "finding" and not finding.present and draw() < 0.5:
            other = next((f for f in waiting if f.topic.kind == "finding" and not f.present), None)
            if other is not None:
                waiting.remove(other)
                words = {**finding.words, "noun2": other.words["noun"]}
                keys = (finding.topic.key, other.topic.key)
                statements.append(_statement("absent_two", keys, words, context, draw))
                continue
        statements.append(_state(finding, context, draw, "present", "absent", "organ_frame"))
    return statements


def _state(
    finding: Finding, context: dict, draw: Draw, present: str, absent: str, organ: str
) -> Statement:
    if finding.topic.kind == "finding":
        rule = present if finding.present else absent
    elif finding.topic.kind == "device" and organ == "organ_frame":
        rule = "device_frame"
    else:
        rule = organ
    return _statement(rule, (finding.topic.key,), finding.words, context, draw)


def _summarise(stated: list[Finding], context: dict, draw: Draw) -> list[Statement]:
    """The Impression: what is abnormal, said again in other words, and some of what is not."""
    chosen = [f for f in stated if f.present and draw() < 0.85]
    chosen += [f for f in stated if not f.present and draw() < 0.3]
    if not chosen:
        chosen = stated[:1]
    names = ("impression_present", "impression_absent", "impression_state")
    statements = [_state(_renamed(f, draw), context, draw, *names) for f in chosen]
    if draw() < 0.35:
        statements.append(_statement("recommend", (), {}, context, draw))
    return statements


def _renamed(finding: Finding, draw: Draw) -> Finding:
    """The same finding under another of its names, half of the time."""
    if finding.topic.kind != "finding" or draw() < 0.5:
        return finding
    words = {**finding.words, "noun": pick(finding.topic.names, draw)}
    return Finding(finding.topic, finding.present, words)


def _statement(rule: str, keys: tuple, words: dict, context: dict, draw: Draw) -> Statement:
    raw = " ".join(expand(_GRAMMAR[rule], draw, {**context, **words}).split())
    for wrong, right in _REPAIRS:
        raw = raw.replace(wrong, right)
    raw = articles(raw).rstrip(" ,;") + "."
    text, spans, opened = "", [], {}
    position = 0
    for mark in _MARKS.finditer(raw):
        text += raw[position : mark.start()]
        position = mark.end()
        symbol = mark.group()
        if symbol == ">":
            symbol = "<"
        if symbol in opened:
            spans.append((_KIND_OF_MARK[symbol], opened.pop(symbol), len(text)))
        else:
            opened[symbol] = len(text)
    text += raw[position:]
    text = text[:1].upper() + text[1:]
    return Statement(text, [(key, *span) for key in keys for span in spans])


def _layout(
    exam: Exam, title: str, findings: str, impression: str, context: dict, style: Style,
    draw: Draw, *, later: bool,
) -> str:  # fmt: skip
    """The report around its sections: the earlier years' page or the later years' headings."""

    def say(rule: str) -> str:
        return articles(expand(_GRAMMAR[rule], draw, context))

    reason, prior = say("reason"), say("prior")
    who = f"{context['age']} {context['yo']} {pick(context['man'], draw)}"
    why = f"{pick(context['problem'], draw)} and {say('qualified_symptom')}"
    background = f"{who} with {why}" if draw() < 0.5 else f"{why}, {who}"
    context["own_region"] = exam.regions
    technique = " ".join(say(exam.technique).replace(" ,", ",").split())
    tail = f"\n\n{say('wet_read')}." if draw() < 0.25 else ""
    if later:
        return (
            f"EXAMINATION: {title}\n\nINDICATION: {background}. {reason}\n\n"
            f"TECHNIQUE: {technique}.\n\nCOMPARISON: {prior}.\n\n"
            f"FINDINGS: \n{findings}\n\nIMPRESSION: \n{impression}{tail}\n"
        )
    rule = "_" * 78
    header = (
        f"{tags.date(draw)} {1 + int(draw() * 12)}:{10 + int(draw() * 49)} {'AM' if draw() < 0.5 else 'PM'}\n"
        f" {title}{' ' * 12}Clip # {tags.FUNCTIONS['clip'](draw)}\n Reason: {reason.upper()}\n"
    )
    if draw() < 0.7:
        header += f" Admitting Diagnosis: {pick(context['acute'], draw).upper()}\n {rule}\n"
        header += f" UNDERLYING MEDICAL CONDITION:\n  {background}\n"
        header += f" REASON FOR THIS EXAMINATION:\n  {reason}\n {rule}\n"
    titles = ("HISTORY", "INDICATION", "CLINICAL INFORMATION")
    return (
        f"{header}{' ' * 33}FINAL REPORT\n {pick(titles, draw)}: {background}.\n\n"
        f" COMPARISON: {prior}.\n\n TECHNIQUE: {technique}.\n\n"
        f" FINDINGS: {findings}\n\n IMPRESSION: {impression}{tail}\n"
    )
