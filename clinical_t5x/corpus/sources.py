"""Where note files lie and what their columns mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from etils import epath

from clinical_t5x.console import UserError

SYNTHETIC_NOTICE = "SYNTHETIC.txt"
DISCHARGE, RADIOLOGY = "Discharge summary", "Radiology"

# The columns of a note, whatever file it comes from. "" stands for a missing value.
NOTE_COLUMNS = (
    "note_id", "patient", "category", "description", "chartdate", "charttime", "storetime",
    "author", "is_error", "text",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class NoteSource:
    """One file (or directory) of notes.

    Attributes:
        source: the corpus' name for it; documents are called `<source>/<note_id>`.
        path: the file.
        label: the path as the manifest names it (relative, so that it says nothing about a person's
            machine).
        columns: note column -> the file's column (compared without case).
        constants: note column -> a value that every note of the file has.
        deid: how blanked-out identifiers look: "tags" (`[**...**]`) or "blanks" (`___`).
        file_format: "csv", "jsonl", "parquet" or "txt" (a directory).
        details: the file that names the examinations of these notes (MIMIC-IV's radiology), if it
            is there; its columns are not those of a note.
    """

    source: str
    path: epath.Path
    label: str
    columns: Mapping[str, str]
    constants: Mapping[str, str] = dataclasses.field(default_factory=dict)
    deid: str = "tags"
    file_format: str = "csv"
    details: NoteSource | None = None

    @property
    def has_patients(self) -> bool:
        """Whether the notes say whose they are; if not, every note counts as its own patient."""
        return "patient" in self.columns


_MIMIC_III_COLUMNS = {
    "note_id": "ROW_ID",
    "patient": "SUBJECT_ID",
    "category": "CATEGORY",
    "description": "DESCRIPTION",
    "chartdate": "CHARTDATE",
    "charttime": "CHARTTIME",
    "storetime": "STORETIME",
    "author": "CGID",
    "is_error": "ISERROR",
    "text": "TEXT",
}
_MIMIC_IV_COLUMNS = {
    "note_id": "note_id",
    "patient": "subject_id",
    "description": "note_type",
    "charttime": "charttime",
    "storetime": "storetime",
    "text": "text",
}
_DETAIL_COLUMNS = {
    "note_id": "note_id",
    "name": "field_name",
    "value": "field_value",
    "ordinal": "field_ordinal",
}
# What the name of a column may be in a message: a note's first words are longer, or more.
_LONGEST_NAME, _MOST_WORDS = 40, 3


def candidates(physionet: epath.Path, slug: str, version: str, file: str) -> list[epath.Path]:
    """Where a file of a PhysioNet project may lie, the likeliest first."""
    roots = (physionet / "physionet.org" / "files", physionet / "files", physionet)
    names = (file, file.removesuffix(".gz")) if file.endswith(".gz") else (file,)
    return [root / slug / version / name for root in roots for name in names]


def find(physionet: epath.Path, slug: str, version: str, file: str) -> epath.Path | None:
    """The file of a PhysioNet project, or None."""
    for path in candidates(physionet, slug, version, file):
        if path.exists():
            return path
    return None


def require(physionet: epath.Path, slug: str, version: str, file: str) -> epath.Path:
    """The file of a PhysioNet project; a `UserError` that says where it was looked for."""
    found = find(physionet, slug, version, file)
    if found is None:
        looked = ", ".join(str(path) for path in candidates(physionet, slug, version, file))
        raise UserError(
            f"{slug}/{version}/{file} is not under {physionet} (looked for {looked}); get it with "
            f"`wget -r -N -c -np --user NAME --ask-password "
            f"https://physionet.org/files/{slug}/{version}/` in that directory, or make a "
            f"synthetic one with `python -m clinical_t5x.synthetic --out {physionet} "
            "--patients 200 --seed 1`"
        )
    return found


def is_there(physionet: epath.Path, name: str) -> bool:
    """Whether some of the notes of "mimic-iii" or "mimic-iv" lie under a PhysioNet root."""
    files = {
        "mimic-iii": [("mimiciii", "1.4", "NOTEEVENTS.csv.gz")],
        "mimic-iv": [
            ("mimic-iv-note", "2.2", f"note/{kind}.csv.gz") for kind in ("discharge", "radiology")
        ],
    }
    return any(find(physionet, *file) is not None for file in files[name])


def mimic_iii(physionet: epath.Path) -> list[NoteSource]:
    """MIMIC-III v1.4's notes."""
    path = require(physionet, "mimiciii", "1.4", "NOTEEVENTS.csv.gz")
    return [
        NoteSource("mimic-iii", path, f"mimiciii/1.4/{path.name}", _MIMIC_III_COLUMNS, deid="tags")
    ]


def carevue(physionet: epath.Path) -> NoteSource:
    """The CareVue subset's notes: those of the MIMIC-III patients who are not in MIMIC-IV."""
    path = require(physionet, "mimic3-carevue", "1.4", "NOTEEVENTS.csv.gz")
    label = f"mimic3-carevue/1.4/{path.name}"
    return NoteSource("mimic-iii", path, label, _MIMIC_III_COLUMNS, deid="tags")


def mimic_iv(physionet: epath.Path) -> list[NoteSource]:
    """MIMIC-IV-Note v2.2's discharge summaries and radiology reports."""
    sources = []
    for kind, category in (("discharge", DISCHARGE), ("radiology", RADIOLOGY)):
        path = require(physionet, "mimic-iv-note", "2.2", f"note/{kind}.csv.gz")
        label = f"mimic-iv-note/2.2/note/{path.name}"
        constants = {"category": category}
        # discharge_detail.csv.gz has nothing but authors, de-identified to ___, and is not read.
        details = _radiology_details(physionet) if kind == "radiology" else None
        sources.append(
            NoteSource(
                "mimic-iv", path, label, _MIMIC_IV_COLUMNS, constants, "blanks", details=details
            )
        )
    return sources


def _radiology_details(physionet: epath.Path) -> NoteSource | None:
    path = find(physionet, "mimic-iv-note", "2.2", "note/radiology_detail.csv.gz")
    if path is None:
        return None
    return NoteSource("mimic-iv", path, f"mimic-iv-note/2.2/note/{path.name}", _DETAIL_COLUMNS)


def is_synthetic(path: epath.Path) -> bool:
    """Whether the generator's notice lies beside a file or in a directory above it."""
    return any((parent / SYNTHETIC_NOTICE).exists() for parent in list(path.parents)[:6])


def find_columns(source: NoteSource, found: Sequence[str]) -> dict[str, int]:
    """The position of every note column in a file's header (compared without case).

    Raises:
        UserError: a column is missing or occurs twice; the message has the columns found.
    """
    lowered = [name.strip().lower() for name in found]
    positions = {}
    for note_column, name in source.columns.items():
        count = lowered.count(name.lower())
        if count != 1:
            problem = f"has no column {name!r}" if count == 0 else f"has {count} columns {name!r}"
            cure = "check that this is the right file"
            cure += "" if source.source.startswith("mimic") else ", or map it with --columns"
            raise UserError(
                f"{source.path} {problem} (needed as the note's {note_column}); columns found: "
                f"{listed(found)}; {cure}"
            )
        positions[note_column] = lowered.index(name.lower())
    return positions


def listed(columns: Sequence[str]) -> str:
    """Column names for a message; none of them where the first line may be a note, not a header."""
    names = [name.strip() for name in columns]
    if not all(map(_may_be_a_name, names)):
        return "none (the first line looks like a row, not like column names)"
    return ", ".join(names)[:400] or "none"


def _may_be_a_name(text: str) -> bool:
    return (
        len(text) <= _LONGEST_NAME
        and len(text.split()) <= _MOST_WORDS
        and text.isprintable()
        and not text[:1].isdecimal()
    )
