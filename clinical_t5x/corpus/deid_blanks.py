"""MIMIC-IV's blanks `___` become the paper's tags, typed from the words around them.

The authors had an annotation of every blank that is not public. Here the
context decides, by rules in order; what no rule knows becomes `[MISC]`. Rules look at the end of
the text before the blank, back to the previous blank at most, and at the start of the text after.
All blanks of a column of texts go through a rule at once, in polars.
"""

from __future__ import annotations

import collections
from collections import Counter

import numpy as np
import polars as pl

_LEFT, _RIGHT = 40, 24  # characters of context
_EARLIER_BLANK = "\x01"  # stands in the left context for the blank before this one
_MARK = "\x00"  # stands for a blank while texts are cut; clean texts have none
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

# (kind, tag, pattern before the blank, pattern after the blank[, pattern that must not follow]);
# either of the first two may be None. Patterns meet lower-cased text and are anchored at the blank.
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
     r"born in|moved (?:from|to)|native of|grew up in|originally from|from) *", None,
     r" *(?:to\b|-|–|through\b|until\b|at \d)"),
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


def replace_blanks(text: str, kinds: Counter[tuple[str, str]] | None = None) -> str:
    """Replace every run of three or more underscores by a tag typed from its context.

    Args:
        text: a note, without NUL characters.
        kinds: counts per (kind, tag), added to when given.
    """
    replaced, found = replace_in_column(pl.Series([text], dtype=pl.String))
    if kinds is not None:
        kinds.update(found)
    return replaced[0]


def replace_in_column(texts: pl.Series) -> tuple[pl.Series, Counter[tuple[str, str]]]:
    """`replace_blanks` for a column of texts; also how many blanks of each (kind, tag) it had."""
    pieces = _pieces(texts)
    after_blank = (pieces.get_column("number") > 0).to_numpy()
    rules = _rules_of(pieces.filter(after_blank).select("left", "right"))
    kinds: Counter[tuple[str, str]] = collections.Counter()
    for rule, count in enumerate(np.bincount(rules, minlength=len(_RULES) + 1).tolist()):
        if count:
            kinds[_kind_and_tag(rule)] += count
    tags = pl.Series([*(_kind_and_tag(rule)[1] for rule in range(len(_RULES) + 1)), ""])
    of_piece = np.full(len(pieces), len(tags) - 1)
    of_piece[after_blank] = rules
    whole = (
        pieces.select("text", tag=tags.gather(of_piece) + pieces.get_column("piece"))
        .group_by("text", maintain_order=True)
        .agg(pl.col("tag").str.join(""))
    )
    return whole.get_column("tag").alias(texts.name), kinds


def _kind_and_tag(rule: int) -> tuple[str, str]:
    return _RULES[rule][:2] if rule < len(_RULES) else _FALLBACK


def _pieces(texts: pl.Series) -> pl.DataFrame:
    """Texts cut at their blanks: text and number of a piece, piece, and what is around its blank.

    The blank of a piece stands before it; left and right are lower-cased contexts.
    """
    cut = texts.str.replace_all("_{3,}", _MARK).str.split(_MARK)
    pieces = pl.DataFrame({"piece": cut}).with_row_index("text").explode("piece")
    # The pieces of a text follow each other: what stands before and behind one are its neighbours.
    text, place = pl.col("text"), pl.int_range(pl.len(), dtype=pl.UInt32)
    pieces = pieces.with_columns(
        number=place - pl.when(text != text.shift(1)).then(place).forward_fill().fill_null(0)
    )
    before = pl.col("piece").shift(1)
    after_earlier = (pl.col("number") > 1) & (before.str.len_chars() < _LEFT)
    left = pl.when(after_earlier).then(_EARLIER_BLANK + before).otherwise(before)
    right = pl.col("piece").str.head(_RIGHT)
    another = (pl.col("piece").str.len_chars() < _RIGHT) & (text == text.shift(-1))
    return pieces.with_columns(
        left=left.str.tail(_LEFT).str.to_lowercase(),
        right=pl.when(another).then(right + "___").otherwise(right).str.to_lowercase(),
    )


def _rules_of(contexts: pl.DataFrame) -> np.ndarray:
    """The number of the first rule that fits each context (left, right), or how many there are."""
    rules = np.full(len(contexts), len(_RULES))
    rest, places = contexts, np.arange(len(contexts))
    for number, rule in enumerate(_RULES):
        fits = rest.select(_fits(*rule[2:])).to_series()
        fitting = fits.to_numpy()
        rules[places[fitting]] = number
        rest, places = rest.filter(~fits), places[~fitting]
    return rules


def _fits(before: str | None, after: str | None, never_after: str | None = None) -> pl.Expr:
    """Whether a rule's patterns stand at the blank; a line end may come between text and blank."""
    conditions = []
    if before is not None:
        conditions.append(pl.col("left").str.contains(rf"(?:{before})\n?\z"))
    if after is not None:
        conditions.append(pl.col("right").str.contains(rf"\A(?:{after})"))
    if never_after is not None:
        conditions.append(~pl.col("right").str.contains(rf"\A(?:{never_after})"))
    return pl.all_horizontal(conditions)
