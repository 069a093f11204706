"""The comparison as one HTML page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import clinical_t5x
from clinical_t5x import webpage
from clinical_t5x.data.vocabulary_comparison import charts
from clinical_t5x.data.vocabulary_comparison.compare import OTHER_CATEGORIES, Comparison
from clinical_t5x.data.vocabulary_comparison.counting import BLANK
from clinical_t5x.data.vocabulary_comparison.text import (
    BETWEEN,
    MEASURES,
    about_sample,
    joined,
    share,
    why_no_words,
)
from clinical_t5x.data.vocabulary_comparison.words import LEAST_PERSONS
from clinical_t5x.webpage import escape


def page(comparison: Comparison) -> str:
    """The whole comparison as one HTML document."""
    extent = "all" if comparison.synthetic else "none"
    banner = webpage.synthetic_banner(extent, "how vocabularies cut real clinical notes")
    lead = f"Measured on {escape(about_sample(comparison))}."
    sections = [
        webpage.header("Vocabularies side by side", lead, banner),
        _overall(comparison),
        _categories(comparison),
        _overlap(comparison),
        _tags(comparison),
        _words(comparison),
        _method(comparison),
        f"<footer>clinical_t5x {escape(clinical_t5x.__version__)}. Single words that many persons'"
        " notes share are all that is shown of the notes.</footer>",
    ]
    return webpage.document("clinical_t5x: vocabularies side by side", sections)


def _overall(comparison: Comparison) -> str:
    vocabularies = comparison.vocabularies
    rows = [[escape(name), *(escape(cell(one)) for one in vocabularies)] for name, cell in MEASURES]
    parts = {one.label: charts.parts_of(one) for one in vocabularies}
    words = "Bars of tokens a word. " + ". ".join(
        f"{label}: " + ", ".join(f"{name} {value:.3f}" for name, value in part.items())
        for label, part in parts.items()
    )
    return webpage.section(
        "overall",
        "All documents",
        webpage.table(
            ["", *(one.label for one in vocabularies)], rows, "The whole sample, by vocabulary"
        ),
        webpage.figure(
            charts.composition_chart(comparison),
            words + ".",
            "What a word costs, and what its tokens are. A vocabulary that drops newlines and"
            " repeated blanks saves their tokens and cannot give the layout back.",
        ),
    )


def _categories(comparison: Comparison) -> str:
    vocabularies = comparison.vocabularies
    fertility = _by_category(comparison, "tokens_per_word")
    words = "Dot chart of tokens a word by note category. " + ". ".join(
        f"{category}: "
        + ", ".join(
            f"{one.label} {value:.2f}" for one, value in zip(vocabularies, values, strict=True)
        )
        for category, values in fertility.items()
    )
    few = ""
    if OTHER_CATEGORIES in fertility:
        few = (
            f"<p>Categories of fewer than {LEAST_PERSONS} persons are taken together as"
            f" {escape(OTHER_CATEGORIES)}.</p>"
        )
    return webpage.section(
        "categories",
        "By note category",
        few,
        webpage.figure(
            charts.category_chart(comparison),
            words + ".",
            "Tokens a word in each category. The scale does not begin at 0.",
        ),
        webpage.details(
            "The numbers",
            _category_table(comparison, "tokens_per_word", "{:.3f}".format, "Tokens a word")
            + _category_table(
                comparison, "one_piece_word_share", share, "Words that are one piece"
            ),
        ),
    )


def _by_category(comparison: Comparison, rate: str) -> dict[str, list[float]]:
    """A rate in each category, for each vocabulary in turn."""
    return {
        category: [one.by_category[category].rates()[rate] for one in comparison.vocabularies]
        for category in comparison.vocabularies[0].by_category
    }


def _category_table(
    comparison: Comparison, rate: str, write: Callable[[float], str], caption: str
) -> str:
    first, *_ = comparison.vocabularies
    rows = [
        [
            _unbroken(category),
            *(escape(write(value)) for value in values),
            f"{first.by_category[category].documents:,}",
            f"{first.by_category[category].words:,}",
        ]
        for category, values in _by_category(comparison, rate).items()
    ]
    labels = [one.label for one in comparison.vocabularies]
    return webpage.table(["category", *labels, "documents", "words"], rows, caption)


def _overlap(comparison: Comparison) -> str:
    rows = [
        [
            escape(f"{pair.first} and {pair.second}"),
            f"{pair.shared:,}",
            f"{pair.jaccard:.3f}",
            f"{share(pair.shared / max(1, pair.first_pieces))} of {pair.first_pieces:,}",
            f"{share(pair.shared / max(1, pair.second_pieces))} of {pair.second_pieces:,}",
        ]
        for pair in comparison.overlaps
    ]
    headings = ["pair", "shared pieces", "Jaccard", "of the first", "of the second"]
    caption = "Pieces of the same spelling; special and byte pieces are not counted"
    return webpage.section("overlap", "Pieces in common", webpage.table(headings, rows, caption))


def _tags(comparison: Comparison) -> str:
    items = []
    for one in comparison.vocabularies:
        cut = [tag for tag, whole in one.tags.items() if not whole]
        if not cut:
            said = f"all {len(one.tags)} are one piece each"
        elif len(cut) == len(one.tags):
            said = f"none of the {len(cut)} is one piece"
        else:
            said = "cut into several pieces: " + ", ".join(cut)
        items.append(f"<li>{escape(one.label)}: {escape(said)}.</li>")
    return webpage.section("tags", "De-identification tags", f"<ul>{''.join(items)}</ul>")


def _words(comparison: Comparison) -> str:
    heading = "Words that are cut most differently"
    if not comparison.words:
        return webpage.section("words", heading, f"<p>{escape(why_no_words(comparison))}</p>")
    labels = [one.label for one in comparison.vocabularies]
    rows = [
        [
            _unbroken(cut.word),
            *(_pieces(cut.pieces[label]) for label in labels),
            f"{cut.occurrences:,}",
        ]
        for cut in comparison.words
    ]
    table = webpage.table(
        ["word", *labels, "occurrences"],
        rows,
        f"Words in the documents of at least {LEAST_PERSONS} persons. A dot stands between pieces;"
        f" {BLANK} is the blank before the word where it is a piece of its own.",
        left=len(labels) + 1,
    )
    return webpage.section("words", heading, table)


def _unbroken(text: str) -> str:
    return f'<span style="white-space: nowrap">{escape(text)}</span>'


def _pieces(pieces: Sequence[str]) -> str:
    """A word's pieces in one cell, broken over lines only between pieces."""
    text = escape(joined(pieces)).replace(BETWEEN, BETWEEN + "<wbr>")
    return f'<code style="overflow-wrap: normal">{text}</code>'


def _method(comparison: Comparison) -> str:
    sample = comparison.sample
    rows = [
        [escape(one.label), f"<code>{escape(one.content_sha256[:16])}</code>"]
        for one in comparison.vocabularies
    ]
    items = [
        "A word is what stands between white space. A token is an id that the model reads; no end"
        " of sequence is counted.",
        "Words that are one piece: words of letters alone as they occur in the text, each after a"
        " blank.",
        "White space: tokens of nothing but blanks, newlines and tabs. Single bytes stand for"
        " characters without a piece and lose nothing; unknown tokens lose the text.",
        "A document comes back exactly when decoding its tokens gives the same bytes.",
        f"Documents of the validation split, chosen by a hash of their ids (seed {sample.seed},"
        f" about {sample.documents:,} asked for).",
        f"Words are shown only if they are letters alone and occur in the documents of at least"
        f" {LEAST_PERSONS} persons, in their most frequent spelling. In notes that were never"
        " de-identified such a word can be a clinician's name.",
    ]
    return webpage.section(
        "method",
        "How it was measured",
        f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>",
        webpage.details(
            "Which vocabularies", webpage.table(["vocabulary", "content"], rows, "SHA-256, begun")
        ),
    )
