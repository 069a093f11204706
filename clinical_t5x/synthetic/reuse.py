"""Text that is written once and found twice: earlier saves of a note, and pasted passages."""

from __future__ import annotations

from clinical_t5x.synthetic.grammar import Draw, pick

_LEAST_PASTED, _MOST_PASTED_SHARE = 120, 0.4


def earlier_save(text: str, draw: Draw) -> str:
    """The text as it was saved some minutes before: without its last lines or sentences."""
    goal = int(len(text) * (0.72 + 0.22 * draw()))
    cut = max(text.rfind("\n", 0, goal), text.rfind(". ", 0, goal) + 1)
    return text[: cut if cut > len(text) // 3 else goal].rstrip() + "\n"


def sentence_ends(text: str) -> list[int]:
    """Places after the line breaks that end a sentence."""
    at, ends = 0, []
    for line in text.split("\n")[:-1]:
        at += len(line) + 1
        if line.rstrip("\r").endswith("."):
            ends.append(at)
    return ends


def passage(source: str, target_length: int, draw: Draw) -> str:
    """Whole sentences on whole lines of `source`, at most two fifths of the target's length.

    Returns "" where no passage of at least 120 characters fits.
    """
    ends = sentence_ends(source)
    if len(ends) < 2:
        return ""
    start = pick(ends[:-1], draw)
    limit = start + int(target_length * _MOST_PASTED_SHARE)
    within = [end for end in ends if start + _LEAST_PASTED < end <= limit]
    return source[start : within[-1]].rstrip("\r\n") if within else ""
