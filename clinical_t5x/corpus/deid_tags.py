"""MIMIC-III's de-identification tags `[**...**]` become the paper's 15 tags, offsets kept.

The kinds and their tags are those of the paper's released preprocessing, with two
repairs: the longest kind found in a tag decides (`Wardname` is a place although it holds "name"),
and an unknown kind becomes `[MISC]` instead of ending the job. CLIP's sentences are lists of word
tokens, in which the same tags read `[ **Month/Year ( 2 ) 1106** ]`; they are the same tags here.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from bisect import bisect_right
from collections import Counter

import numpy as np
import polars as pl

from clinical_t5x.corpus import rewriting

TAGS = (
    "[Name]", "[Reg#]", "[Company]", "[LOC]", "[Age]", "[#]", "[DR]", "[State]", "[CI]",
    "[Country]", "[URL]", "[YR]", "[MO]", "[DAY]", "[MISC]",
)  # fmt: skip

# Lower-cased kinds. Dates made of several parts have no tag of their own; the paper's MIMIC-IV
# table sends its one DATE kind to [DR], and so do we for both.
KIND_TAGS = {
    "first name": "[Name]",
    "last name": "[Name]",
    "initials": "[Name]",
    "known lastname": "[Name]",
    "known firstname": "[Name]",
    "name": "[Name]",
    "clip number": "[Reg#]",
    "numeric identifier": "[Reg#]",
    "medical record number": "[Reg#]",
    "md number": "[Reg#]",
    "job number": "[Reg#]",
    "unit number": "[Reg#]",
    "hospital": "[Company]",
    "company": "[Company]",
    "college": "[Company]",
    "location": "[LOC]",
    "street address": "[LOC]",
    "wardname": "[LOC]",
    "hospital ward name": "[LOC]",
    "ward name": "[LOC]",
    "hospital unit name": "[LOC]",
    "apartment address": "[LOC]",
    "po box": "[LOC]",
    "zip code": "[LOC]",
    "age over 90": "[Age]",
    "age": "[Age]",
    "telephone": "[#]",
    "telephone/fax": "[#]",
    "fax": "[#]",
    "serial number": "[#]",
    "social security number": "[#]",
    "pager number": "[#]",
    "pager": "[#]",
    "provider number": "[#]",
    "date range": "[DR]",
    "date": "[DR]",
    "date/time": "[DR]",
    "month/day/year": "[DR]",
    "month/day": "[DR]",
    "month/year": "[DR]",
    "year/month/day": "[DR]",
    "year/month": "[DR]",
    "day month": "[DR]",
    "day month year": "[DR]",
    "state": "[State]",
    "state/zipcode": "[State]",
    "e-mail address": "[CI]",
    "cc contact info": "[CI]",
    "contact info": "[CI]",
    "attending info": "[CI]",
    "dictator info": "[CI]",
    "country": "[Country]",
    "url": "[URL]",
    "year": "[YR]",
    "month": "[MO]",
    "day": "[DAY]",
    "holiday": "[DAY]",
}
UNKNOWN_KIND = "unknown kind"
KEPT_DATE = "date kept as text"
_EMPTY = "empty tag"

# At most one blank between the brackets and the stars (CLIP); the content holds no bracket, so one
# tag never swallows the text up to the next. Tags are wrapped over lines now and then.
TAG_PATTERN = r"\[\s?\*\*[^\[\]]{0,200}?\*\*\s?\]"
_TAG = re.compile(r"\[\s?\*\*([^\[\]]{0,200}?)\*\*\s?\]")
_KIND = re.compile(
    "(?<![a-z])(?=("
    + "|".join(sorted(map(re.escape, KIND_TAGS), key=len, reverse=True))
    + ")(?![a-z]))"
)
_NUMERIC_DATE = re.compile(r"(?=.*\d)[\d/-]*[/-][\d/-]*")
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*"
_WORDED_DATE = re.compile(rf"(?:\d{{1,2}} )?{_MONTH}\.?(?:[ -]\d{{1,2}})?(?:,? ?\d{{4}})?")


# No kind depends on what digits there are, but for 9 and 0 ("Age over 90"): few contents are left.
_LIKE_DIGITS = str.maketrans("2345678", "1111111")


def tag_of(content: str) -> tuple[str, str]:
    """The text that replaces a tag with this content, and the kind it was counted under.

    Args:
        content: what stands between `[**` and `**]`.

    Returns:
        (replacement, kind): one of `TAGS`, the content itself for dates, or "" for an empty tag;
        the kind is a key of `KIND_TAGS` or one of the names for dates, numbers, empty and unknown.
    """
    tag, kind = _tag_of_kind(content.translate(_LIKE_DIGITS))
    return (" ".join(content.split()), kind) if kind == KEPT_DATE else (tag, kind)


@functools.lru_cache(maxsize=1 << 16)
def _tag_of_kind(content: str) -> tuple[str, str]:
    words = " ".join(content.split())
    if not words:
        return "", _EMPTY
    # CLIP's tokens put blanks around brackets and slashes: `Month/Year ( 2 ) 1106`.
    compact = re.sub(r" ?([()/-]) ?", r"\1", words).lower()
    if compact.replace(" ", "").isdecimal():
        return "[Reg#]", "bare number"
    if _NUMERIC_DATE.fullmatch(compact) or _WORDED_DATE.fullmatch(compact):
        return words, KEPT_DATE
    kinds = _KIND.findall(compact)
    if not kinds:
        return "[MISC]", UNKNOWN_KIND
    kind = max(kinds, key=len)
    return KIND_TAGS[kind], kind


@dataclasses.dataclass(frozen=True)
class OffsetMap:
    """Where the characters of a text lie after spans of it were replaced.

    Attributes:
        passes: per pass of replacement, the replaced spans in order as
            (start, end, new_start, new_end); offsets count characters.
    """

    passes: tuple[tuple[tuple[int, int, int, int], ...], ...] = ()

    def offset(self, old: int, *, end: bool = False) -> int:
        """The new place of an old offset.

        Inside a replaced span it is the start of the replacement, or its end when `end` says that
        the offset closes a span of text (exclusive).
        """
        for spans in self.passes:
            old = _moved(spans, old, end)
        return old

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The new (start, end) of an old span, widened to whole tags where it cuts one."""
        return self.offset(start), self.offset(stop, end=True)


def _moved(spans: tuple[tuple[int, int, int, int], ...], old: int, end: bool) -> int:
    index = bisect_right(spans, old, key=lambda span: span[0]) - 1
    if index < 0:
        return old
    start, stop, new_start, new_stop = spans[index]
    if old >= stop:
        return old - stop + new_stop
    if old == start:
        return new_start
    return new_stop if end else new_start


def replace_tags(text: str) -> tuple[str, OffsetMap]:
    """Replace every de-identification tag of a text; also say where everything went.

    Applying it again changes nothing: where the removal of an empty tag brings a new one together,
    that one is replaced too.
    """
    passes = []
    while matches := list(_TAG.finditer(text)):
        pieces, spans, done, length = [], [], 0, 0
        for match in matches:
            new = tag_of(match.group(1))[0]
            start, stop = match.span()
            new_start = length + start - done
            pieces += [text[done:start], new]
            length = new_start + len(new)
            spans.append((start, stop, new_start, length))
            done = stop
        text = "".join([*pieces, text[done:]])
        passes.append(tuple(spans))
    return text, OffsetMap(tuple(passes))


def replace_in_column(texts: pl.Series) -> tuple[pl.Series, Counter[tuple[str, str]]]:
    """`replace_tags` for a column of texts at once, without the offsets.

    Returns:
        The new column, and how many tags of each (kind, replacing tag) it had; the tag of dates is
        "(text)", of empty tags "".
    """
    kinds: Counter[tuple[str, str]] = Counter()
    here = rewriting.texts_of(texts)
    brackets = rewriting.places_of(here.data, ord("["))
    while True:
        marks = rewriting.find_marks(here, brackets)
        if not len(marks.starts):
            return rewriting.column_of(here).alias(texts.name), kinds
        numbers, examples = rewriting.number_contents(here.data, marks.firsts, marks.lasts)
        found = [_replacement(_content(here, marks, example)) for example in examples.tolist()]
        for replacement, count in zip(found, np.bincount(numbers).tolist(), strict=True):
            kinds[replacement.counted_as] += count
        here, brackets = rewriting.replace_marks(here, marks, numbers, brackets, _as_bytes(found))


@dataclasses.dataclass(frozen=True)
class _Replacement:
    """What marks become whose contents differ in digits alone, and what they are counted as."""

    new: str
    keeps_content: bool
    counted_as: tuple[str, str]


def _content(texts: rewriting.Texts, marks: rewriting.Marks, mark: int) -> str:
    return texts.data[marks.firsts[mark] : marks.lasts[mark]].tobytes().decode()


def _replacement(content: str) -> _Replacement:
    new, kind = tag_of(content)
    is_date = kind == KEPT_DATE
    return _Replacement(new, is_date and content.isascii(), (kind, "(text)" if is_date else new))


def _as_bytes(replacements: list[_Replacement]) -> rewriting.Replacements:
    column = pl.Series([replacement.new for replacement in replacements], dtype=pl.String)
    keeps = np.array([replacement.keeps_content for replacement in replacements])
    return rewriting.Replacements(rewriting.texts_of(column), keeps)
