"""How an author writes: words, abbreviations, headings, line width, misspellings.

A caregiver's id fixes the style, so that one author's notes look alike all over the corpus.
"""

from __future__ import annotations

import functools
import random
import re
from dataclasses import dataclass

from clinical_t5x.synthetic.grammar import Draw

_TYPOS = {
    "patient": "pateint", "without": "wihtout", "received": "recieved", "swelling": "sweling",
    "secretions": "secreations", "abdomen": "abdoman", "bilateral": "bilatteral", "daughter": "daugher",
    "tolerating": "tolerationg", "continue": "contine", "respiratory": "resipratory", "comfortable": "comfortble",
    "monitor": "moniter", "antibiotics": "antibotics", "hypertension": "hypertention", "pneumonia": "pnuemonia",
    "drainage": "drianage", "assessment": "assesment", "occasional": "occassional", "moderate": "moderat",
    "decreased": "decresed", "increased": "inceased", "oriented": "orientated", "started": "stared",
    "noted": "ntoed", "because": "becuase", "symptoms": "symtoms", "diarrhea": "diarhea",
    "vomiting": "vomitting", "palpable": "palpabel", "incision": "incison", "stable": "stabel",
    "chronic": "chornic", "family": "familiy", "evening": "eveing", "overnight": "overnigth",
    "evaluation": "evalutation", "history": "hisotry", "follow": "folow", "medication": "medicaiton",
}  # fmt: skip

_WORDS = (
    # {pt}, {w}, {wo}, {hx}, {yo}, {bid}
    {"pt": "pt", "w": "w/", "wo": "w/o", "hx": "hx", "yo": "yo", "q": "q"},
    {"pt": ("pt", "patient"), "w": "with", "wo": "without", "hx": "history", "yo": "year old", "q": "q"},
    {"pt": "the patient", "w": "with", "wo": "without", "hx": "history", "yo": "year-old", "q": "every"},
    {"pt": ("pt", "Pt"), "w": ("w/", "with"), "wo": ("w/o", "without"), "hx": ("hx", "h/o"), "yo": "y/o", "q": "q"},
    {"pt": ("patient", "the patient"), "w": "with", "wo": "without", "hx": "hx", "yo": "yr old", "q": "q"},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """One author's habits.

    Attributes:
        words: values for the grammar's {pt}, {w}, {wo}, {hx}, {yo} and {q}.
        heading: 0 "NEURO:", 1 "Neuro:", 2 "neuro -", 3 "Neuro--".
        width: column at which lines break, or 0.
        typo_rate: chance that a note holds a misspelling.
        variant: a number for choices that no other field names.
        upper: writes everything in capitals.
    """

    words: dict
    heading: int
    width: int
    typo_rate: float
    variant: int
    upper: bool


@functools.lru_cache(maxsize=4096)
def style_of(author: int) -> Style:
    """The style of caregiver `author`."""
    chance = random.Random(f"style/{author}")
    return Style(
        words=chance.choice(_WORDS),
        heading=chance.randrange(4),
        width=chance.choice((0, 0, 64, 70, 76, 78)),
        typo_rate=chance.choice((0.0, 0.0, 0.1, 0.3, 0.8)),
        variant=chance.randrange(1_000_000),
        upper=chance.random() < 0.03,
    )


def heading(style: Style, name: str) -> str:
    """A section or system heading in the author's manner."""
    if style.heading == 0:
        return f"{name.upper()}: "
    if style.heading == 1:
        return f"{name[:1].upper()}{name[1:]}: "
    if style.heading == 2:
        return f"{name.lower()} - "
    return f"{name[:1].upper()}{name[1:]}-- "


# The blank after the article: a pattern that begins with a plain character is found much faster.
_ARTICLE = re.compile(r" (?<=\b[Aa] )(?=[aeio]|u(?!ni|ro|se|su|re|ti))")


def articles(text: str) -> str:
    """Write "an" for "a" where the next word asks for it."""
    return _ARTICLE.sub("n ", text)


def wrapped(text: str, width: int) -> str:
    """Break lines longer than `width` at spaces, as terminals of the time did; 0 leaves them."""
    if not width:
        return text
    lines = []
    for line in text.split("\n"):
        while len(line) > width:
            cut = line.rfind(" ", 20, width)
            opening = line.rfind("[**", 0, cut)
            if opening > line.rfind("**]", 0, cut):  # never inside a tag
                cut = opening - 1
            if cut <= 0:
                break
            lines.append(line[:cut])
            line = line[cut + 1 :]
        lines.append(line)
    return "\n".join(lines)


def misspelled(text: str, style: Style, draw: Draw) -> str:
    """The text with, perhaps, one word spelled wrong, as its author does now and then."""
    if draw() < style.typo_rate:
        words = _TYPO_WORDS
        for _ in range(3):
            word = words[int(draw() * len(words))]
            if word in text:
                return text.replace(word, _TYPOS[word], 1)
    return text


_TYPO_WORDS = tuple(_TYPOS)
