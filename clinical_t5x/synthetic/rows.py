"""Lines of the csv files, quoted as the real ones are, and the headers above them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

NOTEEVENTS = "mimiciii/1.4/NOTEEVENTS.csv.gz"
CAREVUE = "mimic3-carevue/1.4/NOTEEVENTS.csv.gz"
DISCHARGE = "mimic-iv-note/2.2/note/discharge.csv.gz"
DISCHARGE_DETAIL = "mimic-iv-note/2.2/note/discharge_detail.csv.gz"
RADIOLOGY = "mimic-iv-note/2.2/note/radiology.csv.gz"
RADIOLOGY_DETAIL = "mimic-iv-note/2.2/note/radiology_detail.csv.gz"
# What was planted, outside the tree that imitates PhysioNet.
DRAFTS = "drafts.csv.gz"
COPIES = "copies.csv.gz"
PERSONS = "persons.csv.gz"
SHARED = "shared_reports.csv.gz"
PREMISES = "premises.csv.gz"
TRUTH = (DRAFTS, COPIES, PERSONS, SHARED, PREMISES)

_COLUMNS = [
    "ROW_ID",
    "SUBJECT_ID",
    "HADM_ID",
    "CHARTDATE",
    "CHARTTIME",
    "STORETIME",
    "CATEGORY",
    "DESCRIPTION",
    "CGID",
    "ISERROR",
    "TEXT",
]
_IV_NOTE = "note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text\n"
_IV_DETAIL = "note_id,subject_id,field_name,field_value,field_ordinal\n"
HEADERS = {
    NOTEEVENTS: ",".join(f'"{name}"' for name in _COLUMNS) + "\n",
    CAREVUE: ",".join(name.lower() for name in _COLUMNS) + "\n",
    DISCHARGE: _IV_NOTE,
    DISCHARGE_DETAIL: _IV_DETAIL,
    RADIOLOGY: _IV_NOTE,
    RADIOLOGY_DETAIL: _IV_DETAIL,
    DRAFTS: "row_id,final_row_id\n",
    COPIES: "row_id,source_row_id,start,length\n",
    PERSONS: "subject_id,iv_subject_id\n",
    SHARED: "row_id,note_id\n",
    PREMISES: "pair_id,row_id,benchmark_split\n",
}


@dataclass(slots=True)
class Sink:
    """What a block writes, as lines by file and records of the benchmarks.

    Attributes:
        lines: path of a csv.gz file -> lines, each with its newline.
        records: (benchmark, split, rank in the split, record).
        notes: how many notes were written.
    """

    lines: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in HEADERS})
    records: list[tuple[str, str, int, tuple]] = field(default_factory=list)
    notes: int = 0


def quoted(text: str) -> str:
    """A csv field in quotes, with the quotes inside it doubled."""
    return '"' + text.replace('"', '""') + '"'


def day_text(day: int) -> str:
    """A proleptic ordinal as YYYY-MM-DD."""
    return date.fromordinal(day).isoformat()


def moment(minutes: int) -> str:
    """Minutes since day zero of the calendar as YYYY-MM-DD HH:MM:00."""
    day, minute = divmod(minutes, 1_440)
    return f"{date.fromordinal(day).isoformat()} {minute // 60:02}:{minute % 60:02}:00"


def noteevents(
    *, row_id: int, subject: int, hadm: int | None, day: int, minute: int | None,
    stored: int | None, category: str, description: str, author: int | None, error: bool, text: str,
) -> str:  # fmt: skip
    """A line of NOTEEVENTS.

    Args:
        row_id: ROW_ID.
        subject: SUBJECT_ID.
        hadm: HADM_ID, or None where the note belongs to no admission.
        day: CHARTDATE as an ordinal.
        minute: CHARTTIME's minute of that day, or None where only the date is known.
        stored: STORETIME in minutes, or None.
        category: CATEGORY.
        description: DESCRIPTION.
        author: CGID, or None.
        error: whether ISERROR is 1.
        text: TEXT.
    """
    charted = day_text(day)
    time = "" if minute is None else f"{charted} {minute // 60:02}:{minute % 60:02}:00"
    saved = "" if stored is None else moment(stored)
    visit = "" if hadm is None else hadm
    by = "" if author is None else author
    wrong = "1" if error else ""
    return (
        f'{row_id},{subject},{visit},{charted},{time},{saved},"{category}",{quoted(description)},'
        f"{by},{wrong},{quoted(text)}\n"
    )
