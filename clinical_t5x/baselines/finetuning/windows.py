"""Questions over contexts: windows of tokens that know where in the context they are, and spans.

Positions in a context are characters of the very text that answers are cut from, so that every
answer is a substring of it; nothing is decoded from tokens.

Legend: L tokens of a row.
"""

from __future__ import annotations

import bisect
import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

_WORD = re.compile(r"\S+")
OUTSIDE = -1  # the position of tokens that are not of the context


@dataclasses.dataclass(frozen=True)
class Row:
    """One input of a model.

    Attributes:
      example: number of the example that it is of.
      ids: token ids, special tokens included [L].
      types: segment of each token [L]; None where the model knows none.
      label: what the head is to give: a class, a row of 0 and 1, or (start, end) tokens.
      starts, ends: where each token begins and ends in the context, in characters [L]; `OUTSIDE`
        for all others. None where there is no context.
      null: the token that stands for "no answer".
    """

    example: int
    ids: list[int]
    types: list[int] | None = None
    label: Any = None
    starts: np.ndarray | None = None
    ends: np.ndarray | None = None
    null: int = 0


@dataclasses.dataclass(frozen=True)
class Span:
    """The best answer of a window: characters of the context, and the sum of its two logits."""

    start: int
    end: int
    score: float


def tokens_of_answer(row: Row, start: int, end: int) -> tuple[int, int] | None:
    """First and last token of an answer that lies wholly in a window; None where it does not.

    White space around the answer does not count, as tokens may leave it out.

    Args:
      row: a window.
      start, end: characters of the context, without white space at either end.
    """
    inside = np.flatnonzero(row.starts != OUTSIDE)
    if not len(inside) or row.starts[inside[0]] > start or row.ends[inside[-1]] < end:
        return None
    touched = inside[(row.starts[inside] < end) & (row.ends[inside] > start)]
    return (int(touched[0]), int(touched[-1])) if len(touched) else None


def trimmed_span(context: str, start: int, end: int) -> tuple[int, int]:
    """A span of a context without white space at either end."""
    text = context[start:end]
    return start + len(text) - len(text.lstrip()), end - len(text) + len(text.rstrip())


def best_span(
    row: Row, context: str, start_logits: np.ndarray, end_logits: np.ndarray, *, longest: int
) -> Span | None:
    """The span of a window with the highest sum of logits, of all that are allowed.

    Args:
      row: a window of the context.
      context: the whole context.
      start_logits, end_logits: of its tokens [L] or more.
      longest: words of a span at most.

    Returns:
      A span that holds more than white space; None where the window has none.
    """
    words = [match.span() for match in _WORD.finditer(context)]
    is_text = [
        bool(context[max(a, 0) : b].strip()) for a, b in zip(row.starts, row.ends, strict=True)
    ]
    inside = np.flatnonzero((row.starts != OUTSIDE) & is_text)
    if not len(inside):
        return None
    first, last = _words_of(row, inside, words)
    scores = start_logits[inside][:, None] + end_logits[inside][None, :]
    places = np.arange(len(inside))
    allowed = (places[None, :] >= places[:, None]) & (last[None, :] - first[:, None] < longest)
    scores = np.where(allowed, scores, -np.inf)
    begin, stop = np.unravel_index(int(scores.argmax()), scores.shape)
    if not np.isfinite(scores[begin, stop]):
        return None
    span = trimmed_span(context, int(row.starts[inside[begin]]), int(row.ends[inside[stop]]))
    return Span(*span, float(scores[begin, stop]))


def _words_of(
    row: Row, inside: np.ndarray, words: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Number of the first and of the last word that each token touches."""
    ends, begins = [end for _, end in words], [start for start, _ in words]
    first = [bisect.bisect_right(ends, int(row.starts[k])) for k in inside]
    last = [bisect.bisect_left(begins, int(row.ends[k])) - 1 for k in inside]
    return np.array(first), np.array(last)
