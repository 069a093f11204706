"""Text that is written once and found twice: earlier saves of a note, and pasted passages."""

from __future__ import annotations

from clinical_t5x.synthetic.grammar import Draw

_LEAST_PASTED, _MOST_PASTED_SHARE = 120, 0.4


def earlier_save(text: str, draw: Draw) -> str:
    """The text as it was saved some minutes before: without its last lines or sentences."""
    goal = int(len(text) * (0.72 + 0.22 * draw()))
    cut = max(text.rfind("\n", 0, goal), text.rfind(". ", 0, goal) + 1)
    return text[: cut if cut > len(text) // 3 else goal].rstrip() + "\n"


def passage(source: str, target_length: int, draw: Draw) -> str:
    """Whole lines of `source`, at most two fifths of the target's length; "" when none fit."""
    lines = source.split("\n")
    limit = int(target_length * _MOST_PASTED_SHARE)
    first = int(draw() * len(lines))
    taken: list[str] = []
    length = 0
    for line in lines[first:]:
        if length + len(line) + 1 > limit:
            break
        taken.append(line)
        length += len(line) + 1
    text = "\n".join(taken).strip("\r\n")
    return text if len(text) >= _LEAST_PASTED else ""
