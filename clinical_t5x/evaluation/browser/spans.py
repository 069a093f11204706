"""Where an answer stands in a context, and the context cut into marked and unmarked pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable

GOLD, PREDICTED, BOTH, ASKED = 1, 2, 3, 4  # what a piece of text is; 0 for none of these

Span = tuple[int, int]
_MOST = 50  # marks of one phrase: "no" may stand anywhere


def occurrences(text: str, phrase: str) -> list[Span]:
    """Where `phrase` stands in `text`: half-open character ranges, not overlapping.

    Whitespace counts as equal to other whitespace, since a tokenizer may change it. Whole words
    are preferred to parts of words, and the same case to another; the first way that finds
    anything decides.
    """
    words = phrase.split()
    if not words:
        return []
    pattern = r"\s+".join(map(re.escape, words))
    start = r"(?<!\w)" if re.match(r"\w", words[0]) else ""
    end = r"(?!\w)" if re.search(r"\w$", words[-1]) else ""
    whole = f"{start}{pattern}{end}"
    for wanted, flags in ((whole, 0), (whole, re.IGNORECASE), (pattern, re.IGNORECASE)):
        found = [match.span() for match in re.finditer(wanted, text, flags)]
        if found:
            return found[:_MOST]
    return []


def pieces(text: str, gold: Iterable[Span], predicted: Iterable[Span]) -> list[tuple[str, int]]:
    """Cut `text` where a mark begins or ends: (piece, 0, GOLD, PREDICTED or BOTH).

    The pieces joined are the text again; neighbours have different marks.
    """
    edges: dict[int, list[tuple[int, int]]] = {}
    for kind, spans in enumerate((gold, predicted)):
        for start, end in spans:
            edges.setdefault(start, []).append((kind, 1))
            edges.setdefault(end, []).append((kind, -1))
    depth = [0, 0]
    found: list[tuple[str, int]] = []
    last = 0
    for place in [*sorted(edges), len(text)]:
        mark = GOLD * bool(depth[0]) + PREDICTED * bool(depth[1])
        if text[last:place]:
            if found and found[-1][1] == mark:
                found[-1] = (found[-1][0] + text[last:place], mark)
            else:
                found.append((text[last:place], mark))
        last = place
        for kind, step in edges.get(place, ()):
            depth[kind] += step
    return found
