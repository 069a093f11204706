"""Texts rewritten byte by byte: white space cleaned, de-identification marks found and replaced.

Regular expressions need a pass over all texts for every rule, and a table of all marks to replace
them; these compiled loops (`kernels`) need one pass each.

Legend: B bytes of D texts, one text after the other; M marks, K of them with different contents;
`offsets` (int64, D + 1) say where each text begins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from clinical_t5x.corpus.compiling import compiled
from clinical_t5x.corpus.kernels import mix

_U = np.uint64
_0, _1, _2, _3 = map(_U, range(4))
_BASE = _U(0x9E3779B97F4A7C15)
_NUL, _TAB, _LF, _VT, _FF, _CR, _BLANK = map(np.uint8, b"\0\t\n\v\f\r ")
_STAR, _OPEN, _CLOSE = map(np.uint8, b"*[]")
_LONGEST_CONTENT = 200  # characters (`deid_tags.TAG_PATTERN`)
_CACHED = 1 << 18  # bytes that stay in a processor's cache while they are compared


class Texts(NamedTuple):
    """D texts as bytes: data uint8 (B), and offsets int64 (D + 1) into it."""

    data: np.ndarray
    offsets: np.ndarray


class Marks(NamedTuple):
    """Where M marks and their contents begin and end in a text's bytes, all int64 (M)."""

    starts: np.ndarray
    ends: np.ndarray
    firsts: np.ndarray
    lasts: np.ndarray


class Replacements(NamedTuple):
    """What replaces the marks of K contents.

    Attributes:
        texts: the new texts, UTF-8 (K of them).
        keeps: bool (K), whether the mark's own content stays instead, blanks between its words.
    """

    texts: Texts
    keeps: np.ndarray


def texts_of(column: pl.Series) -> Texts:
    """The bytes of a column of strings (no nulls); they may be the column's own."""
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    if not len(array):
        return Texts(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[array.offset :][: len(array) + 1]
    return Texts(np.frombuffer(data_buffer or b"", np.uint8), offsets)


def column_of(texts: Texts) -> pl.Series:
    """The column whose bytes these are, which must be UTF-8."""
    buffers = [None, pa.py_buffer(texts.offsets), pa.py_buffer(texts.data)]
    array = pa.LargeStringArray.from_buffers(len(texts.offsets) - 1, *buffers[1:])
    return pl.Series("", pl.from_arrow(array), dtype=pl.String)


def places_of(data: np.ndarray, byte: int) -> np.ndarray:
    """Where a byte stands, ascending: int64."""
    parts = [
        np.flatnonzero(data[start : start + _CACHED] == byte) + start
        for start in range(0, len(data), _CACHED)
    ]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def clean(texts: Texts) -> Texts:
    """Texts with their white space cleaned; `cleaning.clean_column` says how."""
    cleaned = Texts(_room(len(texts.data)), np.empty(len(texts.offsets), np.int64))
    _clean(texts, *cleaned)
    return _cut(cleaned)


def _room(size: int) -> np.ndarray:
    """Room for so many bytes: numpy's own, for which it asks for large pages."""
    return np.empty(size, np.uint8)


def _cut(texts: Texts) -> Texts:
    return Texts(texts.data[: texts.offsets[-1]], texts.offsets)


@compiled
def _clean(texts, out, new_offsets):
    data, offsets = texts.data, texts.offsets
    count = _0
    for text in range(_U(len(offsets) - 1)):
        new_offsets[text] = begin = count
        place, end = _U(offsets[text]), _U(offsets[text + _1])
        while place < end:
            byte = data[place]
            place += _1
            if byte > _CR or (byte != _LF and byte != _CR and byte != _NUL):
                out[count] = byte
                count += _1
                continue
            if byte == _NUL:
                continue
            if byte == _CR and place < end and data[place] == _LF:
                place += _1
            while count > begin and _ends_line(out[count - _1]):
                count -= _1
            if count > begin and not _is_third_empty_line(out, begin, count):
                out[count] = _LF
                count += _1
        size = _space_before(out, begin, count)
        while size > _0:
            count -= size
            size = _space_before(out, begin, count)
    new_offsets[len(offsets) - 1] = count


@compiled
def _ends_line(byte):
    """Whether a byte is one of the blanks that go from the ends of lines."""
    return byte in (_BLANK, _TAB, _FF, _VT)


@compiled
def _is_third_empty_line(out, begin, count):
    return (
        count - begin >= _3
        and out[count - _1] == _LF
        and out[count - _2] == _LF
        and out[count - _3] == _LF
    )


@compiled
def _space_before(data, begin, end):
    """How many bytes the white space character (Unicode's) before `end` has; 0 if there is none."""
    if end == begin:
        return _0
    last = data[end - _1]
    if last < 0x80:
        return _1 if last == _BLANK or (_TAB <= last <= _CR) else _0
    if end - begin >= _2 and _is_space(_U(data[end - _2]) << _U(8) | _U(last)):
        return _2
    if end - begin >= _3:
        three = _U(data[end - _3]) << _U(16) | _U(data[end - _2]) << _U(8) | _U(last)
        return _3 if _is_space(three) else _0
    return _0


@compiled
def _space_at(data, begin, end):
    """How many bytes the white space character (Unicode's) at `begin` has; 0 if there is none."""
    for size in range(_1, min(_3, end - begin) + _1):
        if _space_before(data, begin, begin + size) == size:
            return size
    return _0


@compiled
def _is_space(number):
    """Whether the bytes of this number are UTF-8 of white space beyond ASCII."""
    return (
        number == 0xC285
        or number == 0xC2A0
        or number == 0xE19A80
        or 0xE28080 <= number <= 0xE2808A
        or number == 0xE280A8
        or number == 0xE280A9
        or number == 0xE280AF
        or number == 0xE2819F
        or number == 0xE38080
    )


def find_marks(texts: Texts, brackets: np.ndarray) -> Marks:
    """The marks (`deid_tags.TAG_PATTERN`) of all texts, in their order.

    Args:
        texts: the texts.
        brackets: where opening brackets stand, ascending.
    """
    return Marks(*np.ascontiguousarray(_find_marks(texts, brackets).T))


@compiled
def _find_marks(texts, brackets):
    data, offsets = texts.data, texts.offsets
    found = np.empty((len(brackets), 4), np.int64)
    count, text = _0, _0
    for index in range(_U(len(brackets))):
        start = _U(brackets[index])
        while _U(offsets[text + _1]) <= start:
            text += _1
        end = _U(offsets[text + _1])
        first = start + _1
        first += _space_at(data, first, end)
        if first + _2 > end or data[first] != _STAR or data[first + _1] != _STAR:
            continue
        first += _2
        # Its end is the next bracket, if that one closes.
        close, characters = first, 0
        while close < end and data[close] != _CLOSE and data[close] != _OPEN:
            characters += (data[close] & 0xC0) != 0x80
            close += _1
            if characters > _LONGEST_CONTENT + 4:  # the stars and a blank behind the content
                break
        if close == end or data[close] != _CLOSE:
            continue
        blank = _space_before(data, first, close)
        last = close - blank
        if last < first + _2 or data[last - _1] != _STAR or data[last - _2] != _STAR:
            continue
        if characters - 2 - (blank > _0) > _LONGEST_CONTENT:
            continue
        found[count, 0], found[count, 1] = start, close + _1
        found[count, 2], found[count, 3] = first, last - _2
        count += _1
    return found[:count]


@compiled
def number_contents(data, firsts, lasts):
    """Number the contents of M marks so that those that differ in digits alone have one number.

    The digits 2 to 8 count as 1; all digits of a content beyond ASCII count as they are.

    Returns:
        numbers int64 (M), and examples int64 (K), a mark of every number.
    """
    marks = _U(len(firsts))
    size = _U(64)
    while size < marks * _2:
        size *= _2
    slots = np.zeros(size, np.int64)  # the number + 1 of the content that is there
    hashes = np.empty(marks, np.uint64)  # of the numbers
    numbers, examples = np.empty(marks, np.int64), np.empty(marks, np.int64)
    count = _0
    for mark in range(marks):
        alike, exact = _0, _0
        is_ascii = True
        for place in range(_U(firsts[mark]), _U(lasts[mark])):
            byte = data[place]
            is_ascii &= byte < 0x80
            exact = exact * _BASE + _U(byte) + _1
            digit = byte >= 0x32 and byte <= 0x38
            alike = alike * _BASE + (_U(0x31) if digit else _U(byte)) + _1
        own = mix(alike if is_ascii else exact)
        slot = own & (size - _1)
        while slots[slot] != 0 and hashes[_U(slots[slot] - 1)] != own:
            slot = (slot + _1) & (size - _1)
        if slots[slot] == 0:
            hashes[count], examples[count] = own, mark
            count += _1
            slots[slot] = count
        numbers[mark] = slots[slot] - 1
    return numbers, examples[:count].copy()


def replace_marks(
    texts: Texts,
    marks: Marks,
    numbers: np.ndarray,
    brackets: np.ndarray,
    replacements: Replacements,
) -> tuple[Texts, np.ndarray]:
    """Texts with their marks replaced.

    Args:
        texts: the texts.
        marks: their marks.
        numbers: int64 (M), which replacement each mark has.
        brackets: where opening brackets stand in the texts, ascending.
        replacements: what replaces the marks.

    Returns:
        The new texts, and where those opening brackets stand in them that were no part of a mark.
    """
    sizes = np.diff(replacements.texts.offsets)[numbers]
    longer = np.maximum(sizes - (marks.ends - marks.starts), 0)  # a content is shorter than a mark
    new = Texts(_room(len(texts.data) + int(longer.sum())), np.empty(len(texts.offsets), np.int64))
    left = np.empty(len(brackets), np.int64)
    num_left = _replace_marks(texts, marks, numbers, brackets, replacements, *new, left)
    return _cut(new), left[:num_left]


@compiled
def _replace_marks(texts, marks, numbers, brackets, replacements, out, new_offsets, left):
    data, offsets = texts.data, texts.offsets
    new, new_starts = replacements.texts.data, replacements.texts.offsets
    mark, bracket, num_left = _0, _0, _0
    done, count = _U(offsets[0]), _0
    for text in range(_U(len(offsets) - 1)):
        new_offsets[text] = count
        end = _U(offsets[text + _1])
        while done < end:
            has_mark = mark < _U(len(numbers)) and _U(marks.starts[mark]) < end
            stop = _U(marks.starts[mark]) if has_mark else end
            while bracket < _U(len(brackets)) and _U(brackets[bracket]) < stop:
                left[num_left] = _U(brackets[bracket]) - done + count
                num_left += _1
                bracket += _1
            count = _copied(data, done, stop, out, count)
            done = stop
            if has_mark:
                number = _U(numbers[mark])
                if replacements.keeps[number]:
                    first, last = _U(marks.firsts[mark]), _U(marks.lasts[mark])
                    count = _words_copied(data, first, last, out, count)
                else:
                    first, last = _U(new_starts[number]), _U(new_starts[number + _1])
                    count = _copied(new, first, last, out, count)
                done = _U(marks.ends[mark])
                mark += _1
                bracket += _1
    new_offsets[len(offsets) - 1] = count
    return num_left


@compiled
def _copied(data, first, last, out, count):
    for place in range(last - first):
        out[count + place] = data[first + place]
    return count + (last - first)


@compiled
def _words_copied(data, first, last, out, count):
    """Copy ASCII text with one blank between its words and none around them."""
    begin = count
    after_blank = False
    for place in range(first, last):
        byte = data[place]
        if byte == _BLANK or _TAB <= byte <= _CR or 0x1C <= byte <= 0x1F:
            after_blank = True
            continue
        if after_blank and count > begin:
            out[count] = _BLANK
            count += _1
        after_blank = False
        out[count] = byte
        count += _1
    return count
