"""MIMIC-IV's blanks `___` become the paper's tags, typed from the words around them.

The authors had an annotation of every blank that is not public. Here the
context decides, by rules in order; what no rule knows becomes `[MISC]`. Rules look at the end of
the text before the blank, back to the previous blank at most, and at the start of the text after.
"""

from __future__ import annotations

import collections
import functools
import re
from collections import Counter

import polars as pl

_LEFT, _RIGHT = 40, 24  # characters of context
_EARLIER_BLANK = "\x01"  # stands in the left context for the blank before this one
_FALLBACK = ("no context", "[MISC]")

_DEGREE = r"m\.? ?d\b|r\.? ?n\b|n\.? ?p\b|p\.? ?a\b|d\.? ?o\b|ph\.? ?d\b|lpn\b|msw\b|rrt\b"
_PLACE_WORDS = (
    r"hospital|medical cent|clinic\b|clinics\b|nursing|rehab|university|college|pharmacy|"
    r"health|general\b|memorial|hospice|senior|vna\b"
)
_RELATIVE = (
    r"wife|husband|son|daughter|sister|brother|mother|father|niece|nephew|fianc.|partner|"
    r"friend|guardian|proxy|hcp|pcp|next of kin"
)
_STUDY = (
    r"stud(?:y|ies)|exam|examination|radiographs?|films?|ct|mri?|ultrasound|x-?rays?|scans?|"
    r"echo|mammograms?|one|that|image|images|imaging|tte|tee|ekg|ecg|biopsy|pet"
)
_EVENTS = (
    r"admitted|discharged|diagnosed|presented|performed|obtained|placed|removed|seen|done|"
    r"started|dated|dictated|transcribed|updated|expired|died|cath|cabg|surgery|repair"
)

# (kind, tag, pattern before the blank, pattern after the blank); either may be None. Patterns meet
# lower-cased text and are anchored at the blank.
_RULES = (
    ("web address", "[URL]", r"(?:www\.|https?:/*)", None),
    ("e-mail", "[CI]", r"(?:e-?mail(?: address)?:? *|@)", None),
    ("telephone", "[#]", r"\b(?:phone|tel|telephone|fax|pager|beeper|cell|mobile|ext|extension)"
     r"(?: number| no| #)?[.:#]? *(?:is |at )?\(?", None),
    ("telephone", "[#]", r"\b(?:call|page|reach\w*)(?: (?:us|him|her|me|them|the office))?"
     r"(?: at)? \(?", r"(?: for\b| if\b| to\b| with\b|\)|[.-])"),
    ("record number", "[Reg#]", r"\b(?:unit no|unit #|unit number|mrn|medical record(?: number| #)?"
     r"|record number|account(?: number| #)?|accession(?: number| #)?|job(?: number| #)?|clip"
     r"(?: number| #)?|ssn|serial(?: number| no)?|lot(?: number| #)?|id)[.:#]* *", None),
    ("birth date", "[DR]", r"\b(?:date of birth|birth ?date|d\.?o\.?b)\.?:? *", None),
    ("date field", "[DR]", r"\b(?:date|dates|date/time|time|d|t|dictated|dd|dt)[:] *", None),
    ("age", "[Age]", None, r"[ -]*(?:years?|yrs?|y[./]?o|y/?r)\b"),
    ("age", "[Age]", None, r" ?(?:f|m|male|female|man|woman|gentleman|lady|boy|girl)\b"),
    ("age", "[Age]", r"\b(?:aged?|age of|age:) *", None),
    ("name field", "[Name]", r"\b(?:name|attending|physician|provider|surgeon|assistant|dictated by"
     r"|signed by|signed electronically by|approved by|reviewed by|reported by|contact|by):? *"
     r"(?:drs?\.? *)?", None),
    ("titled name", "[Name]", r"\b(?:dr|drs|mr|mrs|ms|miss|doctor|nurse|prof|professor|sr)\.? *",
     None),
    ("signed name", "[Name]", None, rf",? *(?:{_DEGREE})"),
    ("relative", "[Name]", rf"\b(?:{_RELATIVE})(?: is| named|,|:)? *\(?", None),
    ("name in talk", "[Name]", r"\b(?:discussed with|d/w|spoke with|spoken with|informed|"
     r"communicated to|communicated with|paged|telephoned to|reported to|per) *", None),
    ("institution", "[Company]", None, rf",? ?(?:{_PLACE_WORDS})"),
    ("institution", "[Company]", r"\b(?:transferred|transfer|sent|admitted|presented|brought|taken|"
     r"discharged|referred)(?: back| over| in| out)? (?:from|to|at) (?:an? |the )?", None),
    ("institution", "[Company]", r"\b(?:facility|hospital|pharmacy|employer|osh|works (?:at|for)|"
     r"rehab(?: at)?|vna):? *\n? *", None),
    ("address", "[LOC]", r"\b(?:address|lives? (?:in|at|on)|living in|resid\w+ (?:in|at|of)|"
     r"born in|moved (?:from|to)|native of|grew up in|originally from|from) *",
     r"(?! *(?:to\b|-|–|through\b|until\b|at \d))"),
    ("address", "[LOC]", None, r" (?:street|st\b|avenue|ave\b|road|rd\b|floor|building|bldg|ward)"),
    ("date range", "[DR]", rf"{_EARLIER_BLANK} *(?:-|–|to|through|until|and) *", None),
    ("date range", "[DR]", None, r" *(?:-|–|to|through|until) *_{3}"),
    ("date and time", "[DR]", None, r"(?: at)? +\d{1,2}:\d\d"),
    ("date and time", "[DR]", None, r" *(?:am|pm|a\.m|p\.m)\b"),
    ("date of a study", "[DR]", rf"\b(?:{_STUDY})(?: (?:of|from|on|dated|performed|done|in))* *",
     None),
    ("date of a study", "[DR]", r"\b(?:compar\w+|prior|previous|last|recent|earlier)"
     r"(?: (?:is|was|made|to|with|the|from|of|on|study|exam|dated))*[:,]? *", None),
    ("date of an event", "[DR]", rf"\b(?:{_EVENTS})(?: (?:on|in|at))? *[:(]? *", None),
    ("date after a preposition", "[DR]", r"\b(?:on|in|since|until|till|as of|during|dated|before|"
     r"after|around|through|starting|beginning|by|for|x|s/p|early|late|mid)[ -]*", None),
    ("date in brackets", "[DR]", r"\( *", r" *\)"),
    ("place", "[Company]", r"\bat (?:an? |the )?", None),
    ("place", "[LOC]", r"\b(?:near|outside) ", None),
)  # fmt: skip
_COMPILED = tuple(
    (
        kind,
        tag,
        re.compile(rf"(?:{left})$") if left else None,
        re.compile(right) if right else None,
    )
    for kind, tag, left, right in _RULES
)
_BLANK = re.compile(r"_{3,}")


@functools.lru_cache(maxsize=1 << 18)
def blank_kind(left: str, right: str) -> tuple[str, str]:
    """The (kind, tag) of a blank between these pieces of text (`_LEFT`, `_RIGHT` characters)."""
    left, right = left.lower(), right.lower()
    for kind, tag, before, after in _COMPILED:
        if (before is None or before.search(left)) and (after is None or after.match(right)):
            return kind, tag
    return _FALLBACK


def replace_blanks(text: str, kinds: Counter[tuple[str, str]] | None = None) -> str:
    """Replace every run of three or more underscores by a tag typed from its context.

    Args:
        text: a note.
        kinds: counts per (kind, tag), added to when given.
    """
    pieces = _BLANK.split(text)
    if len(pieces) == 1:
        return text
    out = [pieces[0]]
    for index in range(1, len(pieces)):
        before, after = pieces[index - 1], pieces[index]
        if index > 1 and len(before) < _LEFT:
            before = _EARLIER_BLANK + before
        right = after[:_RIGHT]
        if len(right) < _RIGHT and index + 1 < len(pieces):
            right += "___"
        kind = blank_kind(before[-_LEFT:], right)
        if kinds is not None:
            kinds[kind] += 1
        out += (kind[1], after)
    return "".join(out)


def replace_in_column(texts: pl.Series) -> tuple[pl.Series, Counter[tuple[str, str]]]:
    """`replace_blanks` for a column of texts; also how many blanks of each (kind, tag) it had."""
    kinds: Counter[tuple[str, str]] = collections.Counter()
    replaced = [replace_blanks(text, kinds) for text in texts.to_list()]
    return pl.Series(texts.name, replaced, dtype=pl.String), kinds
