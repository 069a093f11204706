"""Windows of a text within a budget of tokens: whole words, in time linear in the text's length.

Costs of words are added up, each with the blank before it. That is exact for SentencePiece, whose
pieces do not cross blanks, and for byte vocabularies.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

Cost = Callable[[str], int]

# White space as TensorFlow's regular expressions have it, by which the tasks' formats strip.
BLANKS = " \t\n\f\r"
# A word with the white space before it; the text's last word also takes what follows it.
_WORD = re.compile(rf"[{BLANKS}]*[^{BLANKS}]+(?:[{BLANKS}]+\Z)?")


def repeated_in_window(
    before: str, sentence: str, after: str, *, tokens: int, cost: Cost
) -> tuple[str, bool]:
    """`{window} ; {sentence}` in at most `tokens` tokens: the paper's form of CLIP.

    The window is the sentence with as many whole words before and after it as fit, on both sides
    alike; a side that ends early leaves its room to the other. Where the sentence does not fit
    twice, the window is its beginning; where it does not fit once, it is cut.

    Args:
      before, sentence, after: words joined by single spaces.
      tokens: budget, one of them for the end of sequence.
      cost: number of tokens of a text.

    Returns:
      The text, and whether the sentence behind the semicolon was cut.
    """
    words = sentence.split(" ")
    # A text's first word has no blank before it and may cost more than within the text.
    opening = max(0, _extra_at_start(words[0], cost))
    kept, room = _fitting(words, tokens - 1 - cost(" ;") - opening, cost)
    middle, room = _fitting(kept, room, cost)
    lead, tail = [], []
    if len(middle) == len(words):
        sides = _words(before), _words(after)
        lead, tail = _surroundings(*sides, room + opening, cost, opening_word=words[0])
    window = " ".join([*lead, *middle, *tail])
    return f"{window} ; {' '.join(kept)}", len(kept) < len(words)


def fields_in_window(
    before: str, sentence: str, after: str, *, tokens: int, cost: Cost
) -> tuple[str, str, str, bool]:
    """As much of `before` and `after`, next to the sentence, as `tokens` tokens have room for.

    Args:
      before, sentence, after: words joined by single spaces; each will follow a blank.
      tokens: budget of the three together.
      cost: number of tokens of a text.

    Returns:
      The three, and whether the sentence was cut because it does not fit by itself.
    """
    words = sentence.split(" ")
    kept, room = _fitting(words, tokens, cost)
    if len(kept) < len(words):
        return "", " ".join(kept), "", True
    lead, tail = _surroundings(_words(before), _words(after), room, cost)
    return " ".join(lead), sentence, " ".join(tail), False


def _words(text: str) -> list[str]:
    return [word for word in text.split(" ") if word]


def _extra_at_start(word: str, cost: Cost) -> int:
    """Tokens that a word costs more, or less, where it begins a text."""
    return cost(word) - cost(" " + word)


def _surroundings(
    before: list[str],
    after: list[str],
    room: int,
    cost: Cost,
    *,
    opening_word: str | None = None,
) -> tuple[list[str], list[str]]:
    """Words before and after that share `room` tokens; a short side leaves its part to the other.

    No further word of either side would fit.

    Args:
      before, after: all words on either side, in order.
      room: tokens.
      cost: of a text.
      opening_word: what begins the text if no word before does; None when something else does.
    """
    nearest_first = before[::-1]
    _, left = _fitting(nearest_first, room // 2, cost)
    spent_before = room // 2 - left
    tail, room = _fitting(after, room - spent_before, cost)
    lead, room = _fitting(nearest_first, room + spent_before, cost)
    if opening_word is None:
        return lead[::-1], tail

    def extra() -> int:
        return _extra_at_start(lead[-1] if lead else opening_word, cost)

    while (lead or tail) and extra() > room:
        room += cost(" " + (lead or tail).pop())
    room -= extra()
    more, room = _fitting(after[len(tail) :], room, cost)
    for word in nearest_first[len(lead) :]:
        needed = cost(" " + word) + _extra_at_start(word, cost) - extra()
        if needed > room:
            break
        room -= needed
        lead.append(word)
    return lead[::-1], tail + more


def _fitting(words: Sequence[str], room: int, cost: Cost) -> tuple[list[str], int]:
    """The first words that cost no more than `room` tokens together, and the room left."""
    kept: list[str] = []
    for word in words:
        needed = cost(" " + word)
        if needed > room:
            break
        room -= needed
        kept.append(word)
    return kept, room


def context_windows(context: str, *, room: int, stride: int, cost: Cost) -> list[tuple[int, int]]:
    """Spans of a context that cover all of it, each of at most `room` tokens.

    A context that fits is one span. Otherwise each next span begins `stride` tokens (at least one
    word, and never beyond the end of the span before) after the last, and the last one reaches back
    as far as it has room. Spans begin and end between words; a word that is longer than `room` is
    a span by itself.

    Args:
      context: any text.
      room: tokens of a span that follows a blank, white space before its first word left out.
      stride: tokens between the beginnings of two spans.
      cost: number of tokens of a text.

    Returns:
      (start, end) in characters, in order; their first character is no white space.
    """
    words = [match.span() for match in _WORD.finditer(context)]
    if not words:
        return [(len(context), len(context))]
    first = [stop - len(context[start:stop].lstrip(BLANKS)) for start, stop in words]
    as_first = [cost(" " + context[a:stop]) for a, (_, stop) in zip(first, words, strict=True)]
    within = [cost(context[start:stop]) for start, stop in words]
    # total[k]: tokens of the first k words; a span i..j costs as_first[i] + total[j] - total[i+1].
    total = list(itertools.accumulate(within, initial=0))

    def end_of(i: int) -> int:
        return max(i + 1, bisect_right(total, room - as_first[i] + total[i + 1]) - 1)

    n, i, spans = len(words), 0, []
    while (j := end_of(i)) < n:
        spans.append((i, j))
        i = min(max(i + 1, bisect_left(total, total[i] + stride)), j)
    earliest = spans[-1][0] + 1 if spans else 0
    while i > earliest and as_first[i - 1] + total[n] - total[i] <= room:
        i -= 1
    spans.append((i, n))
    return [(first[a], words[b - 1][1]) for a, b in spans]


def first_answer_within(
    span: tuple[int, int], answers: Sequence[str], starts: Sequence[int]
) -> str | None:
    """The first of the answers that lies wholly in a span of their context; None when none does.

    White space around an answer may lie outside.
    """
    for answer, start in zip(answers, starts, strict=True):
        begin = start + len(answer) - len(answer.lstrip())
        end = start + len(answer.rstrip())
        if span[0] <= begin and end <= span[1]:
            return answer
    return None
