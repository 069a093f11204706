"""The page itself: one HTML file that loads nothing, sends nothing and runs only its own script."""

from __future__ import annotations

import base64
import collections
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import clinical_t5x
from clinical_t5x import webpage
from clinical_t5x.evaluation.browser.lines import Predictions
from clinical_t5x.evaluation.browser.spans import ASKED, BOTH, GOLD, PREDICTED
from clinical_t5x.evaluation.browser.views import Item, item_of
from clinical_t5x.webpage import escape as _e

PER_PAGE = (10, 25, 100, 500)
_MARKS = {
    GOLD: ("gold", "gold answer"),
    PREDICTED: ("predicted", "predicted answer"),
    BOTH: ("both", "gold and predicted"),
    ASKED: ("asked", "the sentence in question"),
}


def page(predictions: Predictions) -> str:
    """The error browser of one prediction file as an HTML document."""
    families = predictions.header.get("families", ())
    items = [item_of(line, families) for line in predictions.lines.values()]
    script = _resource("browser.js")
    text = webpage.document(
        f"{predictions.name}: predictions beside gold (holds text)",
        [
            _header(predictions, items),
            _filters(items),
            _list(items),
            _help(),
            f'<script type="application/json" id="data">{_json(_data(items))}</script>',
            f"<script>{script}</script>",
            _footer(predictions),
        ],
        head=_head(script),
    )
    # Half a surrogate pair in a name cannot be encoded; in the data it is escaped.
    return text.encode("utf-8", "replace").decode("utf-8")


def _head(script: str) -> str:
    """What the browser must not do, and our style."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline';"
        f" script-src 'sha256-{digest}'"
    )
    return (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="robots" content="noindex, nofollow">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<style>{_resource('browser.css')}</style>"
    )


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _header(predictions: Predictions, items: Sequence[Item]) -> str:
    header = predictions.header
    wrong = sum(not item.right for item in items)
    system = [str(header[name]) for name in ("model", "initialisation") if header.get(name)]
    if header.get("seed") is not None:
        system.append(f"seed {header['seed']}")
    if header.get("checkpoint_step") is not None:
        system.append(f"step {header['checkpoint_step']:,}")
    lead = (
        f"{_e(', '.join(system))} on the {_e(header.get('split', ''))} split of"
        f" {_e(header.get('task', ''))}: {wrong:,} of {len(items):,} answers are wrong."
    )
    return webpage.header("Predictions beside gold", lead, _banner(predictions.synthetic))


def _banner(synthetic: bool | None) -> str:
    if synthetic:
        return webpage.synthetic_banner("all", "how models do on real clinical notes")
    unknown = (
        ""
        if synthetic is False
        else " (No results beside the predictions say that the data are synthetic.)"
    )
    return (
        '<div class="banner" role="note"><strong>This page holds text of clinical notes.</strong>'
        " Keep it where the notes themselves may be: do not send it, upload it or paste from it."
        f"{unknown}</div>"
    )


def _filters(items: Sequence[Item]) -> str:
    labels = collections.Counter(label for item in items for label in {t[0] for t in item.tags})
    kinds = collections.Counter(kind for item in items for kind in {t[1] for t in item.tags})
    labels.pop("", None)
    scores = sorted({name for item in items for name in item.scores})
    right = sum(item.right for item in items)
    answers = [
        ("", f"all ({len(items):,})"),
        ("wrong", f"wrong ({len(items) - right:,})"),
        ("right", f"right ({right:,})"),
    ]
    order = [
        ("", "as in the file"),
        ("surest", "surest first"),
        ("least", "least sure first"),
    ]
    parts = [
        _select("answers", "Answers", answers, chosen="wrong" if right < len(items) else ""),
        _select("label", "Label", _counted("any label", labels)) if labels else "",
        _select("kind", "What happened", _counted("anything", kinds)),
    ]
    if scores:
        parts += [
            _select("score", "Confidence", [(name, name) for name in scores]),
            _number("low", "at least"),
            _number("high", "at most"),
            _select("order", "Order", order),
        ]
    sizes = [(str(size), f"{size}") for size in PER_PAGE]
    parts.append(_select("size", "On a page", sizes, chosen="25"))
    parts.append(
        '<label class="search">Search <input id="search" type="search" autocomplete="off"'
        ' spellcheck="false" dir="auto"></label>'
    )
    parts.append('<button id="reset" type="button">Reset</button>')
    inner = "\n".join(part for part in parts if part)
    return (
        f'<form class="filters" id="filters" aria-label="Filters">\n{inner}\n</form>\n'
        '<p id="range" class="lead"></p>'
    )


def _counted(everything: str, counts: Mapping[str, int]) -> list[tuple[str, str]]:
    named = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return [("", everything), *((name, f"{name} ({count:,})") for name, count in named)]


def _select(name: str, title: str, options: Sequence[tuple[str, str]], *, chosen: str = "") -> str:
    listed = "".join(
        f'<option value="{_e(value)}"{" selected" if value == chosen else ""}>{_e(text)}</option>'
        for value, text in options
    )
    return f'<label>{_e(title)} <select id="{name}" autocomplete="off">{listed}</select></label>'


def _number(name: str, title: str) -> str:
    field = f'<input id="{name}" type="number" step="any" autocomplete="off">'
    return f"<label>{_e(title)} {field}</label>"


def _list(items: Sequence[Item]) -> str:
    def turn(where: str) -> str:
        return (
            f'<nav class="pages" aria-label="Pages, {where}">'
            '<button type="button" class="previous">← Previous</button>'
            '<span class="position"></span>'
            '<button type="button" class="next">Next →</button></nav>'
        )

    return (
        f"{_legend(items)}\n"
        f'<p id="count" role="status" aria-live="polite"></p>\n{turn("above")}\n'
        f'<ol id="list" class="cards"></ol>\n{turn("below")}\n'
        "<noscript><p><strong>This page needs JavaScript,</strong> which runs on this machine"
        " only.</p></noscript>"
    )


def _legend(items: Sequence[Item]) -> str:
    """What the marks on this page mean."""
    used = {mark for item in items for _, text in item.passages for _, mark in text}
    shown = "".join(
        f'<mark class="{name}">{_e(words)}</mark> '
        for mark, (name, words) in _MARKS.items()
        if mark in used
    )
    return f'<p class="legend">{shown}</p>' if shown else ""


def _help() -> str:
    keys = [
        ("j, k", "next and previous example"),
        ("→, ←", "next and previous page"),
        ("w", "wrong answers, right ones, all"),
        ("/", "search; Escape leaves the field"),
        ("r", "reset the filters"),
    ]
    rows = "".join(f"<li><kbd>{_e(key)}</kbd> {_e(what)}</li>" for key, what in keys)
    return f'<div class="keys">{webpage.details("Keys", f"<ul>{rows}</ul>")}</div>'


def _footer(predictions: Predictions) -> str:
    header = predictions.header
    facts = [
        f"clinical_t5x {clinical_t5x.__version__}",
        f"predictions of {header.get('task_version')}",
    ]
    if header.get("checkpoint"):
        facts.append(f"checkpoint {header['checkpoint']}")
    return f"<footer>{_e('; '.join(facts))}. Nothing on this page is loaded or sent.</footer>"


def _data(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Items with short names: there may be ten thousand."""
    return [
        {
            "id": item.id,
            "right": item.right,
            "gold": item.gold,
            "predicted": item.predicted,
            "tags": item.tags,
            "marks": item.marks,
            "passages": item.passages,
            "scores": dict(item.scores),
            "remarks": item.remarks,
        }
        for item in items
    ]


def _json(value: Any) -> str:
    """JSON that can stand inside HTML: no character of it ends the element or a line."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
