"""SentencePiece's tables of replaced characters, taken apart.

A table is a double-array trie (as the Darts-clone library lays it out) from byte strings to places
in a block of zero-terminated targets, with the trie's size in four bytes before it.
"""

from __future__ import annotations

import numpy as np

Rules = list[tuple[str, str]]


def charsmap_rules(charsmap: bytes, most: int) -> Rules | None:
    """The replacements of a table as (source, target), or None when there are more than `most`.

    Raises:
      ValueError: this is no such table.
    """
    if not charsmap:
        return []
    size = int.from_bytes(charsmap[:4], "little")
    if size % 4 or size + 4 > len(charsmap):
        raise ValueError("the vocabulary's table of characters is damaged")
    units = np.frombuffer(charsmap[4 : 4 + size], "<u4")
    targets = charsmap[4 + size :]
    rules: Rules = []
    pending = [(b"", _child_base(units, 0))]
    while pending:
        prefix, base = pending.pop()
        for label in range(1, 256):
            place = base ^ label
            if place >= len(units) or int(units[place]) & 0x800000FF != label:
                continue
            key = prefix + bytes([label])
            below = _child_base(units, place)
            if int(units[place]) >> 8 & 1:  # the key ends here: its value is the unit below
                start = int(units[below]) & 0x7FFFFFFF
                target = targets[start : targets.index(b"\0", start)]
                rules.append((key.decode(), target.decode()))
                if len(rules) > most:
                    return None
            pending.append((key, below))
    return rules


def _child_base(units: np.ndarray, place: int) -> int:
    unit = int(units[place])
    return place ^ ((unit >> 10) << ((unit & 0x200) >> 6))


def one_after_another(rules: Rules) -> Rules | None:
    """An order in which replacing one by one does the same as replacing all at once.

    A rule must not see what another has written: it comes before every rule whose target has a
    character of its source. None when there is no such order.
    """
    waiting, ordered = list(rules), []
    while waiting:
        free = [
            (source, target)
            for source, target in waiting
            if not any(set(target) & set(other) for other, _ in waiting if (other != source))
        ]
        if not free:
            return None
        ordered += free
        waiting = [rule for rule in waiting if rule not in free]
    return ordered
