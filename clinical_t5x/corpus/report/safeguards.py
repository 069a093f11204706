"""Sections on the benchmarks: persons who were left out, linked persons, the leakage proof."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinical_t5x import webpage
from clinical_t5x.corpus.report import facts
from clinical_t5x.webpage import escape, number

_BENCHMARKS = {"radqa": "RadQA", "clip": "CLIP", "mednli": "MedNLI"}
_REMOVED = "notes removed here"
_LINKED = "patients linked between MIMIC-III and MIMIC-IV"


def benchmark_name(benchmark: str) -> str:
    """What a reader calls a benchmark."""
    return _BENCHMARKS.get(benchmark, facts.readable(benchmark))


def combination_section(manifest: Mapping[str, Any]) -> str:
    """How MIMIC-III and MIMIC-IV were joined, and who is a patient of both."""
    counts = manifest.get("counts", {})
    sets, identity = counts.get("combination") or {}, counts.get("identity") or {}
    if not sets and not identity:
        return ""
    parts = []
    if sets:
        rows = [[escape(facts.readable(name)), number(notes)] for name, notes in sets.items()]
        parts.append(
            "<p>MIMIC-IV took over patients from MIMIC-III, but not those of its older CareVue"
            " part. Notes that may stand in both are taken from MIMIC-IV.</p>"
        )
        caption = "Notes at this stage"
        parts.append(webpage.table(["Set", "notes"], rows, caption, row_headings=True))
    if _LINKED in identity:
        needed = ""
        if {"n-grams needed for a link", "n-grams words"} <= identity.keys():
            needed = (
                f" A link needs {number(identity['n-grams needed for a link'])} sequences of"
                f" {number(identity['n-grams words'])} words that nobody else has."
            )
        parts.append(
            f"<p>{number(identity[_LINKED])} patients of MIMIC-IV were recognised as patients of"
            f" MIMIC-III by the text of their notes.{needed} Both count as one person"
            " everywhere.</p>"
        )
    return webpage.section("combination", "MIMIC-III and MIMIC-IV together", *parts)


def benchmarks_section(manifest: Mapping[str, Any]) -> str:
    """Persons and notes that left the corpus for the benchmarks' sake."""
    found = manifest.get("counts", {}).get("benchmarks") or {}
    present = {name: counts for name, counts in found.items() if counts.get("present", True)}
    absent = [benchmark_name(name) for name in found if name not in present]
    title = "Persons of the benchmarks"
    parts = []
    if present:
        rows = _benchmark_rows(present)
        names = [benchmark_name(name) for name in present]
        parts.append(_who_left(present))
        table = webpage.table(["Counted", *names], rows, "By benchmark", row_headings=True)
        parts.append(table)
        if any("premises too vague" in counts for counts in present.values()):
            parts.append(
                "<p>MedNLI names no notes: its premises were looked up in all notes. A premise"
                " that stands in the notes of many persons tells nobody apart and is too vague.</p>"
            )
    if absent:
        parts.append(
            f"<p>Not among the files: {escape(', '.join(absent))}. Persons of these benchmarks"
            " could not be looked for.</p>"
        )
    if not found:
        parts.append("<p>No benchmark was among the files; nobody was left out for one.</p>")
    return webpage.section("benchmarks", title, *parts)


def _who_left(present: Mapping[str, Mapping[str, Any]]) -> str:
    """For which benchmarks persons were left out, and for which they stayed."""
    stayed = [benchmark_name(name) for name in present if _REMOVED not in present[name]]
    said = ""
    if len(stayed) < len(present):
        said = (
            "<p>All notes of these persons left the corpus, in MIMIC-III and in MIMIC-IV. A note"
            " counts for the first benchmark whose person it belongs to.</p>"
        )
    if stayed:
        said += (
            f"<p><strong>Persons of {escape(', '.join(stayed))} stayed in the corpus</strong>, as"
            " the options ask: scores there are no scores on unseen patients.</p>"
        )
    return said


def _benchmark_rows(present: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """What was counted as rows, benchmarks as columns."""
    every = [name for counts in present.values() for name in counts if name != "present"]
    # What was named comes before what was done about it.
    order = sorted(dict.fromkeys(every), key=lambda name: ("removed" in name, name == "persons"))
    return [
        [escape(facts.readable(name)), *(number(c.get(name, "")) for c in present.values())]
        for name in order
    ]


def leakage_section(leakage: Mapping[str, Any]) -> str:
    """What the finished documents share with the benchmarks' texts."""
    benchmarks = leakage.get("benchmarks") or {}
    title = "What the corpus shares with the benchmarks"
    if not benchmarks:
        text = "<p>No benchmark was among the files; there was nothing to measure against.</p>"
        return webpage.section("leakage", title, text)
    limit = leakage.get("limit") or {}
    sizes = sorted(
        leakage.get("gram_words") or [], key=lambda size: (size != limit.get("gram_words"), -size)
    )
    patients = number(leakage.get("boilerplate_patients", ""))
    intro = (
        "<p>Measured on the finished documents, by a pass that knows nothing of how they were"
        " made. An n-gram is a sequence of n words, counted without case, digits, punctuation and"
        f" tags. <em>Boiler-plate</em> is what the notes of at least {patients} patients of the"
        " corpus have: wording of forms and templates, which tells nothing about one text of a"
        " benchmark. <em>Shared beyond</em> is all the rest that a benchmark's texts and the"
        " corpus have in common.</p>"
    )
    tables = [_gram_table(benchmarks, size) for size in sizes]
    return webpage.section("leakage", title, intro, _verdict(leakage), *tables)


def verdict(leakage: Mapping[str, Any]) -> str:
    """Whether the limit on shared n-grams holds, as a sentence; empty where there is none."""
    limit = leakage.get("limit")
    if not limit or not leakage.get("benchmarks"):
        return ""
    size, split, most = limit["gram_words"], limit["split"], limit["grams"]
    if leakage.get("within_limit"):
        allowed = "no" if most == 0 else f"at most {most:,}"
        noun = f"{size}-gram" if most in (0, 1) else f"{size}-grams"
        return (
            f"The limit holds: beyond boiler-plate, {allowed} {noun} of any benchmark's {split}"
            f" split {'stands' if most in (0, 1) else 'stand'} in the corpus."
        )
    over = [
        f"{benchmark_name(name)} {found:,}"
        for name, splits in leakage["benchmarks"].items()
        if (found := _shared(splits.get(split, {}), size)) > most
    ]
    listed = f" ({', '.join(over)})" if over else ""
    return (
        f"The limit does not hold: beyond boiler-plate, {size}-grams of the benchmarks' {split}"
        f" splits stand in the corpus{listed}; the limit is {most:,}."
    )


def _shared(found: Mapping[str, Any], size: int) -> int:
    return found.get(str(size), {}).get("shared_beyond") or 0


def _verdict(leakage: Mapping[str, Any]) -> str:
    said = verdict(leakage)
    if not said:
        return ""
    if leakage.get("within_limit"):
        return f"<p><strong>{escape(said)}</strong></p>"
    return f'<div class="banner" role="note"><strong>{escape(said)}</strong></div>'


def _gram_table(benchmarks: Mapping[str, Any], size: int) -> str:
    columns = {
        "grams": "n-grams",
        "in_raw": "in the notes as read",
        "in_corpus": "in the corpus",
        "boilerplate": "of these boiler-plate",
        "shared_beyond": "shared beyond",
        "texts_touched": "texts touched",
    }
    rows = []
    for benchmark, splits in benchmarks.items():
        for split, found in splits.items():
            grams = found.get(str(size))
            if grams is not None:
                shown = (grams.get(name) for name in columns)
                counts = ["not measured" if n is None else number(n) for n in shown]
                name = f"{escape(benchmark_name(benchmark))} {escape(facts.readable(split))}"
                rows.append([name, number(found.get("texts", "")), *counts])
    if not rows:
        return ""
    headings = ["Benchmark and split", "texts", *columns.values()]
    return webpage.table(
        headings, rows, f"Distinct sequences of {size} words ({size}-grams)", row_headings=True
    )
