"""The peer of our corpus preparation: the paper's stages in plain pandas, MIMIC-III alone.

    python benchmarks/corpus_pandas.py --physionet DIR --patients FILE --out DIR2

Written anew, in the way in which the authors' scripts work: one for every stage, each of which reads
a CSV file and writes another; all rows in memory; the drafts of a note are looked for in a Python
loop over all groups of rows, which are kept in a list and put together again; marks are replaced and
words counted row by row. Stages: drafts of one note, marks by the first of 39 kinds that is a
substring, words, patients of a list removed, the text alone. Two of their scripts run on MIMIC-III
alone and can be timed beside these (`corpus_against_pandas.py --authors`). Where the authors' code
stops at a mark of an unknown kind, this writes [MISC], so that it comes to an end.

Needs pandas. `benchmarks/corpus_against_pandas.py` compares it with ours.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd

DRAFT_COLUMNS = ["CHARTTIME", "SUBJECT_ID", "CATEGORY", "CGID"]
MISSING = "NaN"
TAG = re.compile(r"\[\*\*(.*?)\*\*\]")
# The first key that stands in a tag (as it is, or lower-cased) decides.
KINDS = {
    "First Name": "[Name]",
    "Last Name": "[Name]",
    "Clip Number (Radiology)": "[Reg#]",
    "Hospital": "[Company]",
    "Numeric Identifier": "[Reg#]",
    "Location": "[LOC]",
    "Initials": "[Name]",
    "Known lastname": "[Name]",
    "Known firstname": "[Name]",
    "Age over 90": "[Age]",
    "Medical Record Number": "[Reg#]",
    "Telephone/Fax": "[#]",
    "Name": "[Name]",
    "Street Address": "[LOC]",
    "Date Range": "[DR]",
    "Date range": "[DR]",
    "Serial Number": "[#]",
    "Social Security Number": "[#]",
    "State": "[State]",
    "E-mail address": "[CI]",
    "Company": "[Company]",
    "Pager number": "[#]",
    "Country": "[Country]",
    "MD Number": "[Reg#]",
    "Wardname": "[LOC]",
    "College": "[Company]",
    "Apartment Address": "[LOC]",
    "URL": "[URL]",
    "CC Contact Info": "[CI]",
    "Attending Info": "[CI]",
    "Job Number": "[Reg#]",
    "Year": "[YR]",
    "Month": "[MO]",
    "Day": "[DAY]",
    "Holiday": "[DAY]",
    "Unit Number": "[Reg#]",
    "PO Box": "[LOC]",
    "Dictator Info": "[CI]",
    "Provider Number": "[#]",
}
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}-\d{1,2}|\d{4}-\d{1,2}")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--physionet", type=Path, required=True, help="root of the PhysioNet files")
    parser.add_argument("--patients", type=Path, required=True, help="SUBJECT_IDs to leave out")
    parser.add_argument("--out", type=Path, required=True, help="directory for the CSV files")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    notes = file_of(options.physionet, "mimiciii/1.4/NOTEEVENTS.csv.gz")
    for stage, seconds in prepare(notes, options.patients, options.out).items():
        print(f"{stage:10} {seconds:8.2f} s")


def prepare(source: Path, patients: Path, out: Path) -> dict[str, float]:
    """Seconds by stage; `out` has a CSV file of each, `patients.csv` is the corpus with its ids.

    Every stage is a script of its own in the authors' pipeline: it reads what the one before wrote.
    """
    stages: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "drafts": without_drafts,
        "tags": with_tags,
        "words": count_words,
        "patients": lambda notes: without_patients(notes, patients),
        "text": lambda notes: notes[["text"]],
    }
    seconds = {}
    for stage, work_of in stages.items():
        started = time.perf_counter()
        notes = work_of(pd.read_csv(source, low_memory=False))
        source = out / f"{stage}.csv"
        notes.to_csv(source, index=False)
        seconds[stage] = time.perf_counter() - started
    return seconds


def file_of(physionet: Path, name: str) -> Path:
    for root in (physionet / "physionet.org" / "files", physionet / "files", physionet):
        for path in (root / name, root / name.removesuffix(".gz")):
            if path.exists():
                return path
    raise SystemExit(f"{name} is not under {physionet}")


def without_drafts(notes: pd.DataFrame) -> pd.DataFrame:
    """Of the rows with one time, patient, category and author, the one stored last."""
    # Numbers and words in one column, where some are missing, as objects alone can have them.
    holes = [name for name in notes if notes[name].isna().any() and notes[name].dtype != "str"]
    notes = notes.astype(dict.fromkeys(holes, object)).fillna(MISSING)
    groups, rows = [], []
    for _, group in notes.groupby(DRAFT_COLUMNS):
        missing = group["CHARTTIME"].iloc[0] == MISSING or MISSING in set(group["CGID"].values)
        stored = group["STORETIME"].values
        if len(group) == 1 or missing or MISSING in set(stored):
            groups.append(group)
            continue
        times = [datetime.strptime(time, "%Y-%m-%d %H:%M:%S") for time in stored]
        # The later row where two agree.
        rows.append(group.iloc[max(range(len(times)), key=lambda row: (times[row], row))])
    return pd.concat([pd.concat(groups), pd.DataFrame(rows)])


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


def count_words(notes: pd.DataFrame) -> pd.DataFrame:
    counts = [len(text.split()) for text in notes["text"].fillna("")]
    print(f"{sum(counts):,} words")
    return notes


def without_patients(notes: pd.DataFrame, patients: Path) -> pd.DataFrame:
    named = [int(line) for line in patients.read_text().split()]
    return notes[~notes["SUBJECT_ID"].isin(named)]


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


if __name__ == "__main__":
    main()
