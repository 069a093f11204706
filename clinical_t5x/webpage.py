"""What every HTML page of ours is made of: one file, nothing loaded, readable by screen readers.

Typography, the document around the sections, tables, figures with a text alternative, and charts
as inline SVG. Colours are Okabe and Ito's, which colour-blind people can tell apart; give marks,
line styles or hatches as well, so that charts also read in black and white. Text of charts stays
text, in the page's typeface.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, SKY, ORANGE, GREY = "#CC79A7", "#56B4E9", "#E69F00", "#767676"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, GREY)
INK, GRID = "#333333", "#dddddd"

_ROWS_ON_A_PAGE = 18  # of a table that is printed in one piece
CHART_WIDTH = 7.4  # inches; the page scales the picture
_CHART_SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "text.parse_math": False,  # names may hold dollar signs
}

CSS = """
:root { --ink: #222; --soft: #5a5a5a; --line: #d9d9d9; --accent: #0072b2; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 56rem; color: var(--ink);
  background: #fff; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue",
  Arial, sans-serif; }
h1 { font-size: 1.9rem; font-weight: 300; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; font-weight: 500; margin: 2.6rem 0 .6rem; }
p { margin: .5rem 0; max-width: 44rem; }
.lead { color: var(--soft); }
.banner { border: 1px solid #b35900; border-left-width: 6px; background: #fff6ec;
  padding: .7rem 1rem; margin: 1.4rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums;
  margin: .8rem 0; }
caption { text-align: left; color: var(--soft); font-size: .88rem; padding: 0 0 .5rem; }
th, td { padding: .45rem .9rem .45rem 0; text-align: right; vertical-align: baseline;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 500; }
thead th { border-bottom: 1px solid #888; }
thead th[colspan], thead td { border-bottom: 0; padding-bottom: 0; }
thead td { border-bottom: 1px solid #888; }
thead th[colspan]:not([colspan="1"]) { text-align: center; padding-left: 2.2rem; }
tr:first-child th:first-child, tbody th, td:first-child { text-align: left; }
table.wide { width: 100%; }
.headed thead th { white-space: normal; vertical-align: bottom; }
.headed tbody th { font-weight: 400; }
.headed th, .headed td { padding-top: .3rem; padding-bottom: .3rem; }
.headed td, .headed th + th { padding-left: .5rem; }
.headed .text:first-child { min-width: 10rem; }
.headed td.text { overflow-wrap: break-word; }
td.text, th.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.number { font-size: 1.05rem; }
.interval, .detail { display: block; color: var(--soft); font-size: .82rem; font-weight: 400; }
figure { margin: 1rem 0 1.6rem; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .88rem; max-width: 44rem; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: var(--accent); }
code, pre { font: .88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { background: #f6f6f6; padding: .7rem .9rem; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; max-width: 44rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; border-top: 1px solid var(--line);
  padding-top: .8rem; }
@media print {
  @page { margin: 16mm; }
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  h2 { break-after: avoid; }
  figure, table, .banner { break-inside: avoid; }
  .long { break-inside: auto; }
  .long tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  details > summary { color: var(--ink); }
  pre { border: 1px solid var(--line); background: none; }
}
"""


def escape(value: Any) -> str:
    """A value as HTML text or as an attribute's content."""
    return html.escape(str(value))


def document(title: str, sections: Iterable[str], *, head: str = "") -> str:
    """A whole page; sections are HTML already, empty ones are left out.

    Args:
        title: what the browser's tab says.
        sections: header, sections and footer in their order.
        head: more elements of the document's head: a policy, a page's own style.
    """
    more = f"\n{head}" if head else ""
    body = "\n".join(section for section in sections if section)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{CSS}</style>{more}\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def header(title: str, lead: str, banner: str = "") -> str:
    """The page's heading, a summary in a paragraph (HTML), and a banner or none."""
    return f'<header>\n<h1>{escape(title)}</h1>\n<p class="lead">{lead}</p>\n{banner}\n</header>'


def synthetic_banner(extent: str, not_about: str) -> str:
    """The notice that a page shows synthetic data, or nothing.

    Args:
        extent: "all", "some" or "none" of what is shown comes from the generator.
        not_about: what readers must not conclude anything about, as the end of a sentence.
    """
    if extent == "none":
        return ""
    text = {
        "all": "<strong>Synthetic data.</strong> Everything here was made by this project's"
        " generator of a synthetic PhysioNet. It shows that the program works; it says nothing"
        f" about {escape(not_about)}.",
        "some": "<strong>Partly synthetic data.</strong> Some of what is shown here comes from this"
        " project's generator of a synthetic PhysioNet; it says nothing about real clinical notes.",
    }[extent]
    return f'<div class="banner" role="note">{text}</div>'


def section(name: str, heading: str, *parts: str) -> str:
    """A section with its heading; `name` is its id, parts are HTML, empty ones are left out."""
    content = "\n".join(part for part in parts if part)
    return (
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(heading)}</h2>\n'
        f"{content}\n</section>"
    )


def details(summary: str, content: str) -> str:
    """Content (HTML) that is folded away until somebody opens it."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def figure(svg: str, words: str, caption: str) -> str:
    """A chart with a caption, and in words for those who do not see it."""
    return (
        f'<figure><div role="img" aria-label="{escape(words)}">{svg}</div>\n'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    *,
    left: int = 1,
    row_headings: bool = False,
) -> str:
    """A plain table.

    Args:
        headings: of the columns, as text.
        rows: cells, HTML already.
        caption: what the table shows.
        left: how many columns, from the first, are text and not numbers.
        row_headings: the first cell names its row, for screen readers too; long headings of
            columns may wrap.
    """
    classes = ['class="text" ' if k < left else "" for k in range(len(headings))]
    head = "".join(
        f'<th {kind}scope="col">{escape(name)}</th>'
        for kind, name in zip(classes, headings, strict=True)
    )
    body = "\n".join(f"<tr>{_cells(row, classes, row_headings)}</tr>" for row in rows)
    kind = "headed long" if len(rows) > _ROWS_ON_A_PAGE else "headed"
    opening = f'<table class="{kind}">' if row_headings else "<table>"
    return (
        f'<div class="scroll">{opening}<caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[str], classes: Sequence[str], row_headings: bool) -> str:
    cells = []
    for k, (cell, kind) in enumerate(zip(row, classes, strict=True)):
        if row_headings and k == 0:
            cells.append(f'<th {kind}scope="row">{cell}</th>')
        else:
            cells.append(f"<td {kind}".rstrip() + f">{cell}</td>")
    return "".join(cells)


def number(value: Any) -> str:
    """A count with thousands separated; anything else as text."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_count else escape(value)


class Chart:
    """A matplotlib figure under our settings, turned into SVG that can stand inside HTML.

    Use as a context manager: draw on `chart.figure`, return `chart.svg()` before leaving.

    Attributes:
        figure: the matplotlib figure.
    """

    def __init__(self, name: str, *, height: float):
        """`name` makes ids unique on the page (different for each chart); height in inches."""
        self._name, self._height = name, height

    def __enter__(self) -> Chart:
        import matplotlib
        from matplotlib.figure import Figure

        # One name for ids that differ from chart to chart and not from run to run.
        settings = {**_CHART_SETTINGS, "svg.hashsalt": self._name}
        self._context = matplotlib.rc_context(settings)
        self._context.__enter__()
        self.figure = Figure(figsize=(CHART_WIDTH, self._height), layout="constrained")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._context.__exit__(None, None, None)

    def legend_above(self, axes: Any, columns: int) -> None:
        """Put the legend outside, above the axes."""
        if axes.get_legend_handles_labels()[1]:
            self.figure.legend(
                *axes.get_legend_handles_labels(), loc="outside upper left", ncols=columns
            )

    def svg(self) -> str:
        """The <svg> element: ids made unique on the page, no size of its own, page typeface."""
        buffer = io.StringIO()
        with warnings.catch_warnings():
            # Text stays text: the reader's typeface may well have what matplotlib's lacks.
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            self.figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r'\bid="([^"]+)"', rf'id="{self._name}-\1"', text)
        text = re.sub(r'(xlink:href="#|url\(#)', rf"\1{self._name}-", text)
        text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
        text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
        text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1; font-family: inherit", text)
        return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
