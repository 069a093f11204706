"""The peer of our corpus preparation: the paper's stages in plain pandas, MIMIC-III alone.

    python benchmarks/corpus_pandas.py --physionet DIR --out notes.parquet [--rows N]

Written from a description of the authors' pipeline, in the style in which research code does such
things: a script for every stage that reads a CSV file and writes another, everything in memory, a
Python loop over all groups of possible drafts, regular expressions note by note, words counted in a
loop. Stages: drafts of one note, de-identification tags by the first of 39 kinds that is a
substring, words, patients of RadQA and CLIP removed by id. Where the authors' code stops at a tag of
an unknown kind, this writes [MISC], so that it comes to an end.

Needs pandas. `benchmarks/corpus_against_pandas.py` compares it with ours.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

DRAFT_COLUMNS = ["CHARTTIME", "SUBJECT_ID", "CATEGORY", "CGID"]
MISSING = "NaN"
TAG = re.compile(r"\[\*\*(.*?)\*\*\]")
# The first key that stands in a tag (as it is, or lower-cased) decides.
KINDS = {
    "First Name": "[Name]",
    "Last Name": "[Name]",
    "Initials": "[Name]",
    "Known lastname": "[Name]",
    "Known firstname": "[Name]",
    "Name": "[Name]",
    "Clip Number (Radiology)": "[Reg#]",
    "Numeric Identifier": "[Reg#]",
    "Medical Record Number": "[Reg#]",
    "MD Number": "[Reg#]",
    "Job Number": "[Reg#]",
    "Unit Number": "[Reg#]",
    "Hospital": "[Company]",
    "Company": "[Company]",
    "College": "[Company]",
    "Location": "[LOC]",
    "Street Address": "[LOC]",
    "Wardname": "[LOC]",
    "Apartment Address": "[LOC]",
    "PO Box": "[LOC]",
    "Age over 90": "[Age]",
    "Telephone/Fax": "[#]",
    "Serial Number": "[#]",
    "Social Security Number": "[#]",
    "Pager number": "[#]",
    "Provider Number": "[#]",
    "Date Range": "[DR]",
    "Date range": "[DR]",
    "State": "[State]",
    "E-mail address": "[CI]",
    "CC Contact Info": "[CI]",
    "Attending Info": "[CI]",
    "Dictator Info": "[CI]",
    "Country": "[Country]",
    "URL": "[URL]",
    "Year": "[YR]",
    "Month": "[MO]",
    "Day": "[DAY]",
    "Holiday": "[DAY]",
}
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}-\d{1,2}|\d{4}-\d{1,2}")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--physionet", type=Path, required=True, help="root of the PhysioNet files")
    parser.add_argument("--out", type=Path, required=True, help="a Parquet file")
    parser.add_argument("--rows", type=int, help="read only so many")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        notes, seconds = prepare(options.physionet, Path(work), options.rows)
    started = time.perf_counter()
    notes[["ROW_ID", "SUBJECT_ID", "text"]].to_parquet(options.out)
    seconds["write"] = time.perf_counter() - started
    for stage, took in seconds.items():
        print(f"{stage:10} {took:8.2f} s")
    print(f"{len(notes):,} notes, {notes['words'].sum():,} words")


def prepare(
    physionet: Path, work: Path, rows: int | None = None
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The notes that are left (with columns text and words), and seconds by stage.

    Every stage is a script of its own in the authors' pipeline: it reads what the one before wrote.
    """
    stages: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "drafts": without_drafts,
        "tags": with_tags,
        "words": with_words,
        "patients": lambda notes: notes[~notes["SUBJECT_ID"].isin(patients)],
    }
    patients = benchmark_patients(physionet)
    seconds = {}
    source = file_of(physionet, "mimiciii/1.4/NOTEEVENTS.csv.gz")
    for stage, work_of in stages.items():
        started = time.perf_counter()
        notes = work_of(pd.read_csv(source, nrows=rows, low_memory=False))
        source = work / f"{stage}.csv"
        notes.to_csv(source, index=False)
        seconds[stage] = time.perf_counter() - started
    return notes, seconds


def file_of(physionet: Path, name: str) -> Path:
    for root in (physionet / "physionet.org" / "files", physionet / "files", physionet):
        for path in (root / name, root / name.removesuffix(".gz")):
            if path.exists():
                return path
    raise SystemExit(f"{name} is not under {physionet}")


def without_drafts(notes: pd.DataFrame) -> pd.DataFrame:
    """Of the rows with one time, patient, category and author, the one stored last."""
    filled = notes[[*DRAFT_COLUMNS, "STORETIME"]].astype(object).fillna(MISSING).astype(str)
    kept = []
    for (charttime, _, _, author), group in filled.groupby(DRAFT_COLUMNS, sort=False):
        missing = MISSING in (charttime, author) or (group["STORETIME"] == MISSING).any()
        if len(group) == 1 or missing:
            kept.extend(group.index)
            continue
        latest, stored = None, ""
        for index, row in group.iterrows():
            if row["STORETIME"] >= stored:  # the later row where two agree
                latest, stored = index, row["STORETIME"]
        kept.append(latest)
    return notes.loc[sorted(kept)]


def with_tags(notes: pd.DataFrame) -> pd.DataFrame:
    texts = []
    for _, row in notes.iterrows():
        texts.append(replaced(row["TEXT"]) if isinstance(row["TEXT"], str) else "")
    return notes.assign(text=texts)


def replaced(text: str) -> str:
    """The text with its tags replaced, pieces joined with blanks."""
    pieces, done = [], 0
    for match in TAG.finditer(text):
        pieces += [text[done : match.start()], tag_of(match.group(1))]
        done = match.end()
    return " ".join([*pieces, text[done:]])


def tag_of(content: str) -> str:
    if not content.strip():
        return ""
    for key, tag in KINDS.items():
        if key in content or key.lower() in content:
            return tag
    if content.strip().isdigit():
        return "[Reg#]"
    if _DATE.fullmatch(content.strip()) or any(month in content for month in _MONTHS):
        return content
    return "[MISC]"


def benchmark_patients(physionet: Path) -> set[int]:
    """SUBJECT_IDs of the notes that RadQA and CLIP name."""
    rows: set[int] = set()
    for split in ("train", "dev", "test"):
        with file_of(physionet, f"radqa/1.0.0/{split}.json").open() as file:
            rows.update(int(article["title"]) for article in json.load(file)["data"])
    for split in ("train", "val", "test"):
        path = file_of(physionet, f"mimic-iii-clinical-action/1.0.0/{split}_ids.csv")
        with path.open(newline="") as file:
            rows.update(int(float(line[0])) for line in csv.reader(file) if line)
    source = file_of(physionet, "mimiciii/1.4/NOTEEVENTS.csv.gz")
    notes = pd.read_csv(source, usecols=["ROW_ID", "SUBJECT_ID"])
    return set(notes.loc[notes["ROW_ID"].isin(rows), "SUBJECT_ID"])


def with_words(notes: pd.DataFrame) -> pd.DataFrame:
    words = []
    notes = notes.fillna({"text": ""})
    for _, row in notes.iterrows():
        words.append(len(row["text"].split()))
    return notes.assign(words=words)


if __name__ == "__main__":
    main()
