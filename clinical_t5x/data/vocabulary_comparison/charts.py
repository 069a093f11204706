"""The comparison's charts as SVG text: what tokens are spent on, and fertility by note category."""

from __future__ import annotations

from clinical_t5x.data.vocabulary_comparison.compare import Comparison, Measured
from clinical_t5x.webpage import BLUE, GRID, ORANGE, PALETTE, SKY, VERMILION, Chart

_MARKS = ("o", "s", "^", "D", "v", "P", "X")
# What a token is, and how its part of a bar looks.
_PARTS = (
    ("text", BLUE, ""),
    ("white space", SKY, "///"),
    ("single bytes", ORANGE, "..."),
    ("unknown", VERMILION, "xxx"),
)
_LEAST_VISIBLE = 0.003  # tokens a word; less is no wider than a line


def composition_chart(comparison: Comparison) -> str:
    """A bar for each vocabulary: tokens a word, by what the tokens are."""
    vocabularies = comparison.vocabularies
    with Chart("composition", height=0.85 + 0.36 * len(vocabularies)) as chart:
        axes = chart.figure.subplots()
        left = [0.0] * len(vocabularies)
        parts = [parts_of(one) for one in vocabularies]
        for name, colour, hatch in _PARTS:
            widths = [part[name] for part in parts]
            if max(widths) < _LEAST_VISIBLE:
                continue
            axes.barh(
                range(len(vocabularies)), widths, left=left, height=0.62, label=name,
                color=colour, hatch=hatch, edgecolor="white", linewidth=0.5,
            )  # fmt: skip
            left = [start + width for start, width in zip(left, widths, strict=True)]
        for y, end in enumerate(left):
            axes.annotate(
                f"{end:.2f}", (end, y), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=8,
            )  # fmt: skip
        axes.set_yticks(range(len(vocabularies)), [one.label for one in vocabularies])
        axes.set_ylim(len(vocabularies) - 0.5, -0.5)
        axes.set_xlim(0, 1.1 * max(left))
        axes.set_xlabel("tokens a word")
        axes.grid(axis="y", visible=False)
        chart.legend_above(axes, len(_PARTS))
        return chart.svg()


def parts_of(measured: Measured) -> dict[str, float]:
    """Tokens a word by what they are: text, white space, single bytes, unknown."""
    tally = measured.overall
    words = max(1, tally.words)
    special = tally.whitespace_tokens + tally.byte_tokens + tally.unknown_tokens
    return {
        "text": (tally.tokens - special) / words,
        "white space": tally.whitespace_tokens / words,
        "single bytes": tally.byte_tokens / words,
        "unknown": tally.unknown_tokens / words,
    }


def category_chart(comparison: Comparison) -> str:
    """A line for each note category, a mark for each vocabulary: tokens a word."""
    categories = list(comparison.vocabularies[0].by_category)
    rows = list(range(len(categories)))
    with Chart("categories", height=1.0 + 0.29 * len(categories)) as chart:
        axes = chart.figure.subplots()
        fertility = [
            [one.by_category[category].rates()["tokens_per_word"] for category in categories]
            for one in comparison.vocabularies
        ]
        ends = [(min(values), max(values)) for values in zip(*fertility, strict=True)]
        axes.hlines(rows, [low for low, _ in ends], [high for _, high in ends], color=GRID, lw=3)
        for k, (one, values) in enumerate(zip(comparison.vocabularies, fertility, strict=True)):
            axes.plot(
                values, rows, _MARKS[k % len(_MARKS)], color=PALETTE[k % len(PALETTE)],
                markersize=6, label=one.label,
            )  # fmt: skip
        axes.set_yticks(rows, categories)
        axes.set_ylim(len(categories) - 0.5, -0.5)
        axes.set_xlabel("tokens a word; fewer is shorter input")
        axes.grid(axis="y", visible=False)
        chart.legend_above(axes, 4)
        return chart.svg()
