"""The data report as one HTML page, from the manifest and leakage.json alone: no note text."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Mapping
from typing import Any

from clinical_t5x import storage, webpage
from clinical_t5x.corpus.report import contents, facts, safeguards
from clinical_t5x.webpage import escape, number

_DIGITS_SHOWN = 12  # of a SHA-256


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The sections with figures, which take longer than all others."""

    stages: str
    categories: str
    lengths: str
    marks: str


def draw(manifest: Mapping[str, Any]) -> Drawn:
    """Draw the figures of a data report.

    Args:
        manifest: what manifest.json of the corpus says; `content_sha256` may still be missing.
    """
    return Drawn(
        stages=contents.stages_section(manifest),
        categories=contents.categories_section(manifest),
        lengths=contents.lengths_section(manifest),
        marks=contents.marks_section(manifest),
    )


def write_page(
    manifest: Mapping[str, Any],
    leakage: Mapping[str, Any],
    path: str | os.PathLike,
    drawn: Drawn | None = None,
) -> None:
    """Write the data report of a corpus, whole or not at all.

    Args:
        manifest: what manifest.json of the corpus says.
        leakage: what its leakage.json says.
        path: the HTML file.
        drawn: what `draw` made of the manifest, if it was called.
    """
    storage.write_text_atomically(path, page(manifest, leakage, drawn))


def page(
    manifest: Mapping[str, Any], leakage: Mapping[str, Any], drawn: Drawn | None = None
) -> str:
    """The data report of a corpus as HTML; the same dictionaries give the same page."""
    drawn = drawn or draw(manifest)
    sections = [
        _header(manifest, leakage),
        drawn.stages,
        drawn.categories,
        drawn.lengths,
        safeguards.combination_section(manifest),
        drawn.marks,
        safeguards.benchmarks_section(manifest),
        safeguards.leakage_section(leakage),
        contents.splits_section(manifest),
        _origin(manifest),
        _footer(manifest),
    ]
    return webpage.document(f"Corpus {_name(manifest)}: data report", sections)


def _name(manifest: Mapping[str, Any]) -> str:
    return facts.readable(manifest.get("name", ""))


def _header(manifest: Mapping[str, Any], leakage: Mapping[str, Any]) -> str:
    banner = webpage.synthetic_banner(
        "all" if manifest.get("synthetic") else "none", "real clinical notes"
    )
    lead = " ".join(filter(None, [*_summary(manifest), safeguards.verdict(leakage)]))
    return webpage.header(f"Corpus {_name(manifest)}: data report", escape(lead), banner)


def _summary(manifest: Mapping[str, Any]) -> list[str]:
    """What the corpus is, where it comes from and what is not in it, a sentence each."""
    totals = facts.totals(manifest.get("splits") or {})
    about = f" about {totals['persons']:,} persons" if manifest.get("patients_known", True) else ""
    said = [f"{totals['documents']:,} documents with {totals['words']:,} words{about}."]
    if counted := manifest.get("tokens"):
        vocabulary = facts.readable(counted["vocabulary"])
        said.append(f"{totals['tokens']:,} tokens of the vocabulary {vocabulary}.")
    rows, files = facts.note_rows(manifest.get("inputs") or [])
    if files:
        said.append(f"Made from {rows:,} rows of {files:,} {'file' if files == 1 else 'files'}.")
    lost = [
        f"{stage.left_out} ({stage.notes_lost:,})"
        for stage in facts.stages_of(manifest)
        if stage.losses
    ]
    if lost:
        said.append(f"Left out: {', '.join(lost)}.")
    return said


def _origin(manifest: Mapping[str, Any]) -> str:
    """Files, options and the command that make this corpus again."""
    options = manifest.get("options") or {}
    rows = [
        [escape(facts.readable(name.replace("_", " "))), escape(_option(value))]
        for name, value in options.items()
    ]
    listed = webpage.table(["Option", "value"], rows, "Options", left=2, row_headings=True)
    content = manifest.get("content_sha256", "")
    again = (
        "<p>The same files and options give the same documents; their content has the SHA-256"
        f" <code>{escape(content)}</code>. To make them again, with the files above:</p>"
        f"<pre>{escape(_command(manifest))}</pre>"
    )
    return webpage.section(
        "origin", "Where it comes from", _input_table(manifest), listed if rows else "", again
    )


def _input_table(manifest: Mapping[str, Any]) -> str:
    rows = [
        [
            escape(facts.readable(file["path"])),
            number(file["rows"]) if file.get("rows") is not None else "",
            number(file.get("bytes", "")),
            f'<code title="{escape(file.get("sha256", ""))}">'
            f"{escape(file.get('sha256', '')[:_DIGITS_SHOWN])}</code>",
        ]
        for file in manifest.get("inputs") or []
    ]
    if not rows:
        return ""
    caption = f"Files; of the SHA-256 the first {_DIGITS_SHOWN} digits (manifest.json has all)"
    return webpage.table(["File", "rows", "bytes", "SHA-256"], rows, caption, row_headings=True)


def _option(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return facts.readable(value)


def _command(manifest: Mapping[str, Any]) -> str:
    """The command as typed; directories and columns are not in the manifest."""
    words = ["python -m clinical_t5x.prepare"]
    paths = [file["path"] for file in manifest.get("inputs") or []]
    # Files of PhysioNet are called by project, version and name; others by name alone.
    if any("/" in path for path in paths):
        words.append("--physionet DIR")
    for path in paths:
        if "/" not in path:
            words.append(f"--notes {shlex.quote(path)} --columns text=...")
    for name, value in (manifest.get("options") or {}).items():
        if value is True:
            words.append(f"--{name}")
        elif value is not None and value is not False:
            words.append(f"--{name} {shlex.quote(str(value))}")
    return facts.on_one_line(" ".join(words))


def _footer(manifest: Mapping[str, Any]) -> str:
    maker = escape(manifest.get("created_by", "clinical_t5x"))
    return f"<footer>Made by {maker}. No note text is part of this file.</footer>"
