"""Nursing/other: the free-text shift notes of the earlier charting system, system by system."""

from __future__ import annotations

from clinical_t5x.synthetic.grammar import Draw, Grammar, expand, pick, several
from clinical_t5x.synthetic.lexicon import SHARED, nursing_phrases
from clinical_t5x.synthetic.style import Style, articles, heading, wrapped

GRAMMAR = Grammar(nursing_phrases.RULES, base=SHARED)
_SYSTEMS = (
    ("neuro", ("neuro", "ms", "neurological")),
    ("cv", ("cv", "cardiac", "card", "hemodynamics")),
    ("resp", ("resp", "respiratory", "pulm")),
    ("gi", ("gi", "gi/nutrition", "abd")),
    ("gu", ("gu", "renal", "gu/renal")),
    ("skin", ("skin", "integ", "skin/wounds")),
    ("id", ("id", "infectious disease", "fever")),
    ("endo", ("endo", "endocrine", "bs")),
    ("pain", ("pain", "comfort", "pain control")),
    ("access", ("access", "lines", "iv access")),
    ("activity", ("activity", "mobility", "act")),
    ("social", ("social", "family", "psychosocial")),
)
_OPENINGS = (
    "npn {shift}",
    "NURSING PROGRESS NOTE {shift}",
    "ccu npn {shift}",
    "micu nursing note {shift}",
)
_SHIFTS = ("7a-7p", "7p-7a", "1900-0700", "0700-1900", "11p-7a", "3-11pm")


def write(context: dict, style: Style, draw: Draw) -> str:
    """A shift note: some systems with one to three sentences each, and a plan."""
    length = draw()
    systems = several(_SYSTEMS, 3 + int(length * 6), draw)
    lines = []
    if draw() < 0.45:
        lines.append(pick(_OPENINGS, draw).replace("{shift}", pick(_SHIFTS, draw)))
    if draw() < 0.4:
        lines.append(capital(expand(GRAMMAR["summary"], draw, context)))
    for rule, names in systems:
        count = 1 + (draw() < 0.55) + (draw() < 0.2)
        said = [expand(GRAMMAR[rule], draw, context) for _ in range(count)]
        lines.append(heading(style, names[style.variant % len(names)]) + joined(said))
    plan = [expand(GRAMMAR["plan"], draw, context) for _ in range(1 + int(draw() * 3))]
    lines.append(heading(style, ("plan", "p", "a/p")[style.variant % 3]) + joined(plan))
    return wrapped(articles("\n".join(lines)), style.width) + "\n"


def capital(text: str) -> str:
    """The text as a sentence: a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + "."


def joined(said: list[str]) -> str:
    """Several texts as sentences, on one line."""
    return " ".join(map(capital, said))
