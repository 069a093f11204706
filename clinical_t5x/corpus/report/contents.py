"""Sections on the documents: the way from rows to them, categories, lengths, marks, splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinical_t5x import webpage
from clinical_t5x.corpus.report import charts, facts
from clinical_t5x.corpus.report.facts import Stage
from clinical_t5x.webpage import escape, number

# At most so many at first sight, and when unfolded; a hospital may have thousands.
_CATEGORIES_SHOWN, _CATEGORIES_FOLDED = 20, 300
_SOURCES_SHOWN, _KINDS_SHOWN = 4, 50
_REPAIRED = "bytes that were not UTF-8, read as Windows-1252"
_TAG_NAMES = {"(text)": "(text): dates kept as text", "": "(nothing): empty marks"}


def percent(part: int, whole: int) -> str:
    """A share in per cent with one decimal, as HTML; nothing of nothing."""
    if not whole:
        return ""
    return (
        "&lt;&nbsp;0.1&nbsp;%" if 0 < part / whole < 0.0005 else f"{100 * part / whole:.1f}&nbsp;%"
    )


def stages_section(manifest: Mapping[str, Any]) -> str:
    """What is left after every stage, and why the rest is not."""
    stages = facts.stages_of(manifest)
    if not stages:
        return ""
    intro = (
        "<p>Every row is a document or was left out for one reason, at the first stage that has"
        " one. Words are counted after cleaning; rows that cannot be a note count none.</p>"
    )
    near = _near_duplicates(manifest.get("near_duplicates") or {})
    return webpage.section(
        "stages",
        "From rows to documents",
        intro,
        _stage_figure(facts.telling(stages)),
        _stage_table(stages),
        near,
        _file_details(manifest.get("counts", {})),
    )


def _stage_figure(stages: list[Stage]) -> str:
    if len(stages) < 2:
        return ""
    panels = [
        charts.Panel("notes", [s.notes for s in stages], [s.notes_lost for s in stages]),
        charts.Panel("words", [s.words for s in stages], [s.words_lost for s in stages]),
    ]
    svg = charts.bars("stages", [stage.title for stage in stages], panels)
    words = "Bar chart of notes and words left after every stage. " + ". ".join(
        f"{stage.title}: {stage.notes:,} notes, {stage.words:,} words" for stage in stages
    )
    caption = "Left after every stage that left something out (hatched); numbers are what is left."
    return webpage.figure(svg, words + ".", caption)


def _stage_table(stages: list[Stage]) -> str:
    rows = []
    for k, stage in enumerate(facts.telling(stages)):
        lost = ["", ""] if k == 0 else [number(stage.notes_lost), number(stage.words_lost)]
        left = [number(stage.notes), number(stage.words)]
        rows.append([escape(stage.title) + _reasons(stage), *lost, *left])
    headings = ["Stage and reasons", "notes left out", "words left out", "notes left", "words left"]
    table = webpage.table(headings, rows, "What every stage left", row_headings=True)
    idle = [stage.name for stage in stages[1:] if not stage.losses]
    if not idle:
        return table
    named = escape(", ".join(map(facts.readable, idle)))
    return f"{table}\n<p>Stages that found nothing to leave out, or had nothing to do: {named}.</p>"


def _reasons(stage: Stage) -> str:
    """Why a stage left notes out; how many for each reason, where it has several."""
    each = [
        escape(loss.reason)
        + (f": {loss.notes:,} notes, {loss.words:,} words" if len(stage.losses) > 1 else "")
        for loss in stage.losses
    ]
    return "".join(f'<span class="detail">{reason}</span>' for reason in each)


def _near_duplicates(found: Mapping[str, Any]) -> str:
    if not found:
        return ""
    return (
        f"<p>Near-duplicates are notes whose sets of {escape(found['shingle_words'])}-word"
        f" sequences overlap by at least {escape(found['threshold'])} (Jaccard similarity;"
        f" estimated from {escape(found['permutations'])} values of a hash permutation, and counted"
        f" out for the {number(found['pairs compared exactly'])} pairs that this leaves open)."
        f" {number(found['same patient'])} of them repeat a note of the same patient,"
        f" {number(found['other patient'])} one of another patient;"
        f" {number(found['notes'])} in all.</p>"
    )


def _file_details(counts: Mapping[str, Any]) -> str:
    """Rows by file, with the reasons of those that cannot be a note."""
    rows = [
        [escape(facts.readable(file)), escape(facts.readable(name)), number(count)]
        for file, found in (counts.get("rows") or {}).items()
        for name, count in found.items()
    ]
    repaired = [
        [
            escape(facts.readable(file)),
            "bytes that were not UTF-8 (read as Windows-1252)",
            number(n),
        ]
        for file, n in (counts.get("repaired_bytes") or {}).items()
    ]
    if not rows:
        return ""
    table = webpage.table(
        ["file", "what", "rows"], rows + repaired, "Rows of every file", left=2, row_headings=True
    )
    return webpage.details("Rows by file", table)


def categories_section(manifest: Mapping[str, Any]) -> str:
    """Documents and words by category."""
    categories = manifest.get("categories") or {}
    if not any(facts.readable(name) for name in categories):
        text = "<p>These notes carry no category.</p>"
        return webpage.section("categories", "Categories", text)
    table = _category_table(categories, _CATEGORIES_SHOWN)
    more = ""
    if len(categories) > _CATEGORIES_SHOWN:
        more = webpage.details("More categories", _category_table(categories, _CATEGORIES_FOLDED))
    return webpage.section("categories", "Categories", _category_figure(categories), table, more)


def _category_table(categories: Mapping[str, Any], most: int) -> str:
    listed = facts.folded(categories, most)
    documents = sum(row.documents for row in listed)
    words = sum(row.words for row in listed)
    rows = [
        [
            escape(row.name),
            number(row.documents),
            percent(row.documents, documents),
            number(row.words),
            percent(row.words, words),
            number(round(row.words / row.documents)) if row.documents else "",
        ]
        for row in listed
    ]
    headings = ["Category", "documents", "share", "words", "share", "words a document"]
    if any(row.tokens for row in listed):
        headings += ["tokens", "tokens a word"]
        for cells, row in zip(rows, listed, strict=True):
            a_word = f"{row.tokens / row.words:.2f}" if row.words else ""
            cells += [number(row.tokens), a_word]
    count = f"{len(categories):,} {'category' if len(categories) == 1 else 'categories'}"
    return webpage.table(headings, rows, f"{count}, by words", row_headings=True)


def _category_figure(categories: Mapping[str, Any]) -> str:
    shown = facts.folded(categories, _CATEGORIES_SHOWN)
    if len(shown) < 2:
        return ""
    panels = [
        charts.Panel("documents", [row.documents for row in shown]),
        charts.Panel("words", [row.words for row in shown]),
    ]
    svg = charts.bars("categories", [row.name for row in shown], panels)
    words = "Bar chart of documents and words by category. " + ". ".join(
        f"{row.name}: {row.documents:,} documents, {row.words:,} words" for row in shown
    )
    return webpage.figure(svg, words + ".", "Documents and words of the corpus by category.")


def lengths_section(manifest: Mapping[str, Any]) -> str:
    """How long documents are, source by source."""
    edges, documents = facts.lengths_of(manifest, _SOURCES_SHOWN)
    if not documents:
        return ""
    middles = []
    for source, counts in documents.items():
        low, high = facts.middle_bin(edges, counts)
        middles.append(f"{source} {_between(low, high)}")
    caption = (
        "Words of a document, on a logarithmic axis. The middle document's words: "
        + "; ".join(middles)
        + "."
    )
    svg = charts.length_chart(edges, documents)
    rows = [
        [_between(low, high), *(number(n) for n in counts)]
        for low, high, *counts in zip(edges, edges[1:], *documents.values(), strict=False)
        if any(counts)
    ]
    table = webpage.table(
        ["words", *documents], rows, "Documents by their number of words", row_headings=True
    )
    return webpage.section(
        "lengths",
        "Lengths of documents",
        webpage.figure(svg, "Histograms, one for every source. " + caption, caption),
        webpage.details("The histogram in numbers", table),
    )


def _between(*edges: float) -> str:
    return " to ".join(f"{edge:,.0f}" if edge >= 10 else f"{edge:.3g}" for edge in edges)


def marks_section(manifest: Mapping[str, Any]) -> str:
    """De-identification marks: how many became which tag."""
    deid = manifest.get("counts", {}).get("deid") or {}
    title = "De-identification marks"
    if not deid:
        kept = (manifest.get("options") or {}).get("deid") == "keep"
        said = "Marks were left as they are." if kept else "No mark was found."
        return webpage.section("marks", title, f"<p>{said}</p>")
    tags = sorted(
        ((_tag_name(tag), sum(kinds.values())) for tag, kinds in deid.items()),
        key=lambda tag: (-tag[1], tag[0]),
    )
    everything = sum(count for _, count in tags)
    svg = charts.bars(
        "marks", [tag for tag, _ in tags], [charts.Panel("marks", [count for _, count in tags])]
    )
    words = "Bar chart of marks by tag. " + ", ".join(f"{tag} {count:,}" for tag, count in tags)
    caption = (
        f"What became of {everything:,} marks in all notes that were read (also of those left out)."
    )
    intro = (
        "<p>Marks such as <code>[**…**]</code> and <code>___</code> become tags; a blank is typed"
        " from the words around it, and what no rule knows is <code>[MISC]</code>.</p>"
    )
    return webpage.section(
        "marks",
        title,
        intro,
        webpage.figure(svg, words + ".", caption),
        webpage.details("Kinds of marks", _kind_table(deid)),
    )


def _kind_table(deid: Mapping[str, Mapping[str, int]]) -> str:
    """Kinds by tag, the tag with most marks first; of each tag the rarest kinds become one."""
    rows = []
    for tag, kinds in sorted(deid.items(), key=lambda item: -sum(item[1].values())):
        ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
        shown, rare = ordered[:_KINDS_SHOWN], ordered[_KINDS_SHOWN:]
        if rare:
            shown.append((f"other ({len(rare):,} kinds)", sum(count for _, count in rare)))
        name = escape(_tag_name(tag))
        rows += [[name, escape(facts.readable(kind)), number(count)] for kind, count in shown]
    headings = ["tag", "kind of mark", "marks"]
    return webpage.table(headings, rows, "Marks by tag and kind", left=2, row_headings=True)


def _tag_name(tag: str) -> str:
    return _TAG_NAMES.get(tag, facts.readable(tag))


def splits_section(manifest: Mapping[str, Any]) -> str:
    """Documents, patients, persons and words of every split."""
    splits = manifest.get("splits") or {}
    if not splits:
        return ""
    known = manifest.get("patients_known", True)
    words = facts.totals(splits)["words"]
    tokens = ["tokens"] if manifest.get("tokens") else []
    names = ["documents", *(["patients", "persons"] if known else []), "words", *tokens]
    rows = [
        [
            escape(facts.readable(split)),
            *(number(counts.get(name) or 0) for name in names),
            percent(counts.get("words") or 0, words),
        ]
        for split, counts in splits.items()
    ]
    said = (
        "All notes of a person are in one split. A person may be a patient of MIMIC-III and of"
        " MIMIC-IV."
        if known
        else "No column told whose a note is: every note counts as its own patient, so that notes"
        " of one person may stand in both splits."
    )
    table = webpage.table(
        ["Split", *names, "share of words"], rows, "Documents by split", row_headings=True
    )
    return webpage.section("splits", "Splits", f"<p>{said}</p>", table)
