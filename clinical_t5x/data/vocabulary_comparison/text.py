"""The comparison in words and figures: what the terminal shows, and how numbers are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clinical_t5x.data.vocabulary_comparison.compare import Comparison, Measured
from clinical_t5x.data.vocabulary_comparison.words import LEAST_PERSONS

BETWEEN = "\u00b7"  # pieces of a word

_WORDS_IN_TERMINAL = 10


def share(value: float) -> str:
    """A share in per cent, with enough digits that a small one does not read 0."""
    percent = 100 * value
    if percent in (0, 100) or 0.1 <= percent <= 99.9:
        return f"{percent:.1f} %"
    return "< 0.1 %" if percent < 0.1 else "> 99.9 %"


def tags(measured: Measured) -> str:
    """How many of the tags are one piece."""
    return f"{sum(measured.tags.values())} of {len(measured.tags)}"


# A measure's heading and how a vocabulary's cell reads.
MEASURES: tuple[tuple[str, Callable[[Measured], str]], ...] = (
    ("pieces", lambda one: f"{one.pieces:,}"),
    ("tokens", lambda one: f"{one.overall.tokens:,}"),
    ("tokens a word", lambda one: f"{_rate(one, 'tokens_per_word'):.3f}"),
    (
        "tokens a word, white space left out",
        lambda one: f"{_rate(one, 'tokens_per_word_without_whitespace'):.3f}",
    ),
    ("characters a token", lambda one: f"{_rate(one, 'characters_per_token'):.2f}"),
    ("tokens that are white space", lambda one: share(_rate(one, "whitespace_token_share"))),
    ("tokens that are single bytes", lambda one: share(_rate(one, "byte_token_share"))),
    ("unknown tokens (text lost)", lambda one: share(_rate(one, "unknown_token_share"))),
    ("words that are one piece", lambda one: share(_rate(one, "one_piece_word_share"))),
    ("de-identification tags as one piece", tags),
    ("documents that come back exactly", lambda one: share(_rate(one, "exact_round_trip_share"))),
    (
        "... but for white space",
        lambda one: share(_rate(one, "exact_words_round_trip_share")),
    ),
)


def about_sample(comparison: Comparison) -> str:
    """Which documents were measured."""
    first = comparison.vocabularies[0].overall
    return (
        f"{first.documents:,} held-out documents ({first.words:,} words) of the corpus"
        f" {comparison.corpus}"
    )


def why_no_words(comparison: Comparison) -> str:
    """Why there are no examples of words, or nothing where there are some."""
    if comparison.words:
        return ""
    if not comparison.sample.words:
        return "No examples of words were asked for."
    if not comparison.patients_known:
        return (
            "No words are shown: the corpus does not say whose a note is, so that none is known to"
            f" be shared by {LEAST_PERSONS} persons."
        )
    return (
        f"No word that occurs in the documents of {LEAST_PERSONS} persons is cut into different"
        " numbers of pieces."
    )


def terminal_lines(comparison: Comparison) -> list[str]:
    """What the command prints: tables of plain text, no longer than the report's first ones."""
    labels = [one.label for one in comparison.vocabularies]
    lines = ["", f"On {about_sample(comparison)}:"]
    overall = [[name, *map(cell, comparison.vocabularies)] for name, cell in MEASURES]
    lines += _table(["", *labels], overall)
    lines += ["", "Tokens a word by note category"]
    lines += _table(["category", *labels, "documents"], _category_rows(comparison))
    lines += ["", "Pieces that two vocabularies share"]
    lines += _table(["pair", "shared", "Jaccard"], _overlap_rows(comparison))
    lines += ["", "Words that are cut most differently"]
    if comparison.words:
        rows = [
            [cut.word, *(joined(cut.pieces[label]) for label in labels)]
            for cut in comparison.words[:_WORDS_IN_TERMINAL]
        ]
        lines += _table(["word", *labels], rows, text_columns=len(labels) + 1)
    else:
        lines.append(why_no_words(comparison))
    return [*lines, ""]


def joined(pieces: Sequence[str]) -> str:
    """Pieces with a dot between them."""
    return BETWEEN.join(pieces)


def _category_rows(comparison: Comparison) -> list[list[str]]:
    measured = comparison.vocabularies
    return [
        [
            category,
            *(f"{one.by_category[category].rates()['tokens_per_word']:.3f}" for one in measured),
            f"{tally.documents:,}",
        ]
        for category, tally in measured[0].by_category.items()
    ]


def _overlap_rows(comparison: Comparison) -> list[list[str]]:
    return [
        [f"{pair.first}, {pair.second}", f"{pair.shared:,}", f"{pair.jaccard:.3f}"]
        for pair in comparison.overlaps
    ]


def _rate(measured: Measured, name: str) -> float:
    return measured.overall.rates()[name]


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1
) -> list[str]:
    """Rows under a header: the first columns are text, to the left; numbers stand to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if k < text_columns else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
