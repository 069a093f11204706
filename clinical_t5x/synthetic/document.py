"""A note made of sentences that can be told apart again: what CLIP's sentence files need."""

from __future__ import annotations

from typing import NamedTuple

from clinical_t5x.synthetic.style import articles

# What joined clauses leave behind.
_REPAIRS = ((" ,", ","), (",,", ","), (",.", "."), (",;", ";"), (" ;", ";"))


class Piece(NamedTuple):
    """A sentence, heading or list item.

    Attributes:
        text: without white space around it.
        before: the white space between it and what precedes it.
        labels: CLIP labels without their prefix.
        heading: whether it is a section heading (it takes the labels of what follows).
    """

    text: str
    before: str
    labels: tuple[str, ...]
    heading: bool


class Document:
    """Collects pieces in order."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def head(self, text: str, *, before: str = "\n\n") -> None:
        """Add a section heading."""
        self.pieces.append(Piece(text, before, (), True))

    def say(self, text: str, labels: tuple[str, ...] = (), *, before: str = " ") -> None:
        """Add a sentence, capitalised and with its articles put right."""
        text = " ".join(text.split())
        for wrong, right in _REPAIRS:
            text = text.replace(wrong, right)
        text = articles(text)
        self.pieces.append(Piece(text[:1].upper() + text[1:], before, labels, False))

    def line(self, text: str, labels: tuple[str, ...] = ()) -> None:
        """Add a sentence on a line of its own."""
        self.say(text, labels, before="\n")

    def item(self, text: str) -> None:
        """Add a list item as it is, on a line of its own."""
        self.pieces.append(Piece(text, "\n", (), False))

    def text(self) -> str:
        """The whole note, without line breaks inside paragraphs."""
        return "".join(part for piece in self.pieces for part in piece[1::-1]).lstrip() + "\n"
