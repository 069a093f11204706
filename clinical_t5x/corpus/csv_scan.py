"""Where the records of a CSV file end, and whether it is written as RFC 4180 says, in one pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_t5x.corpus.compiling import compiled

_U = np.uint64
_0, _1 = _U(0), _U(1)
_QUOTE, _COMMA, _LF, _CR = map(np.uint8, b'",\n\r')


class Records(NamedTuple):
    """The whole records at the beginning of some bytes.

    Attributes:
        end: how many bytes they are, up to the last line end outside quotes (or to the end, at that
            of a file); 0 if there is none.
        conform: whether in these bytes every quote opens, closes or doubles where RFC 4180 allows
            it, every quoted field is closed, and every CR outside quotes has an LF behind it (the
            standard library takes one without for a line end).
        count: how many there are; a blank line is one.
        line_feeds: how many LF they have, within fields and after records.
        lone_returns: how many CR that no LF follows.
    """

    end: int
    conform: bool
    count: int
    line_feeds: int
    lone_returns: int


def scan(data: bytes, *, final: bool) -> Records:
    """Look for the whole records that some bytes begin with.

    Args:
        data: bytes of a file from the beginning of a record on.
        final: whether the file ends with them.
    """
    return Records(*_scan(np.frombuffer(data, np.uint8), final))


@compiled
def _scan(data, final):
    size = _U(len(data))
    place, count, line_feeds, lone_returns = _0, _0, _0, _0
    end, feeds_to_end, returns_to_end = _0, _0, _0
    quoted, broken, broken_to_end = False, False, False
    while place < size:
        byte = data[place]
        place += _1
        if (byte != _QUOTE) & (byte > _CR):  # most are, and one jump asks for both
            continue
        if byte == _LF:
            line_feeds += _1
            if not quoted:
                count += _1
                end, feeds_to_end, returns_to_end = place, line_feeds, lone_returns
                broken_to_end = broken
        elif byte == _CR and (place == size or data[place] != _LF):
            lone_returns += _1
            broken |= not quoted
        elif byte == _QUOTE and not quoted:
            quoted = True
            broken |= place > _1 and not _is_one_of(data[place - _1 - _1], _COMMA, _LF, _LF)
        elif byte == _QUOTE and place < size and data[place] == _QUOTE:
            place += _1
        elif byte == _QUOTE:
            quoted = False
            broken |= place < size and not _is_one_of(data[place], _COMMA, _LF, _CR)
    if final:
        return size, not (broken or quoted), count + _U(end < size), line_feeds, lone_returns
    return end, not broken_to_end, count, feeds_to_end, returns_to_end


@compiled
def _is_one_of(byte, first, second, third):
    return byte in (first, second, third)
