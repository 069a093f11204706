"""A hand-written PhysioNet of a few patients, with the quirks that preparation must survive."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from clinical_t5x.corpus.sources import SYNTHETIC_NOTICE
from tests.corpus.homes import Home

III_COLUMNS = [
    "ROW_ID", "SUBJECT_ID", "HADM_ID", "CHARTDATE", "CHARTTIME", "STORETIME", "CATEGORY",
    "DESCRIPTION", "CGID", "ISERROR", "TEXT",
]  # fmt: skip
IV_COLUMNS = [
    "note_id", "subject_id", "hadm_id", "note_type", "note_seq", "charttime", "storetime", "text",
]  # fmt: skip


# A report that one person has in both corpora, identified differently.
REPORT = (
    "Portable film of {day} shows a tortuous aorta, an old clavicle fracture on the left side, "
    "and bands of atelectasis above a raised right diaphragm; the azygos lobe is unchanged."
)


def csv_text(columns, rows):
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def write(path: Path, text: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        path.write_text(text, newline="")


def three(row_id, subject, text, *, category="Nursing", charttime="2101-01-01 10:00:00",
          storetime="2101-01-01 10:05:00", author="7", error=""):  # fmt: skip
    return [row_id, subject, "", charttime[:10] or "2101-01-02", charttime, storetime, category,
            "Report", author, error, text]  # fmt: skip


def four(note_id, subject, text):
    kind = note_id.split("-")[1]
    return [note_id, subject, "", kind, 1, "2180-01-01 00:00:00", "2180-01-01 01:00:00", text]


@pytest.fixture
def physionet(tmp_path):
    """A PhysioNet root: patients 1 to 9 in III, 101 to 105 in IV; 9 is CareVue's, 5 is 105."""
    root = tmp_path / "physionet"
    files = root / "physionet.org" / "files"
    write(
        files / "mimiciii/1.4/NOTEEVENTS.csv.gz",
        csv_text(
            III_COLUMNS,
            [
                three(1, 1, 'Pt "resting" comfortably,\r\nno acute distress.   \r\nSaid "ok"'),
                three(2, 1, "Draft of the shift note.", storetime="2101-01-01 11:00:00",
                      charttime="2101-01-01 10:30:00"),
                three(3, 1, "Shift note, finished.", storetime="2101-01-01 12:00:00",
                      charttime="2101-01-01 10:30:00"),
                three(4, 2, "Seen by Dr. [**Last Name (STitle) 12**] on [**2101-5-25**].",
                      category="Physician "),
                three(5, 2, "Seen  by Dr. [**Last Name (STitle) 77**] on [**2101-5-25**].",
                      category="Physician ", charttime="2101-01-03 10:00:00"),
                three(6, 2, "Entered for the wrong patient.", error="1"),
                three(7, 3, "  \r\n "),
                three(8, 3, "Chest film without infiltrate.", category="Radiology"),
                three(9, 4, "Discharged home in good condition.", category="Discharge summary",
                      charttime="", storetime="", author=""),
                three(10, 5, REPORT.format(day="[**2101-3-4**]"), category="Radiology"),
                three(11, 5, "Another note of that patient."),
                three(12, 6, "Summary whose sentences were labelled.",
                      category="Discharge summary", charttime="", storetime="", author=""),
                three(17, 6, "A second labelled summary.", category="Discharge summary",
                      charttime="", storetime="", author=""),
                three(13, 6, "Echo of the same patient.", category="Echo"),
                three(14, 7, "Tube feeds at goal.", category="Nutrition"),
                three(15, 9, "CareVue film, clear lungs.", category="Radiology"),
                three(16, 9, "CareVue summary, sent home.", category="Discharge summary",
                      charttime="", storetime="", author=""),
            ],
        ),
    )  # fmt: skip
    write(
        files / "mimic3-carevue/1.4/NOTEEVENTS.csv.gz",
        csv_text(
            [name.lower() for name in III_COLUMNS],
            [three(15, 9, "CareVue film, clear lungs.", category="Radiology")],
        ),
    )
    notes = files / "mimic-iv-note/2.2/note"
    write(notes / "discharge.csv.gz", csv_text(IV_COLUMNS, [
        four("101-DS-1", 101, "Name:  ___   Unit No:   ___\n\nDr. ___ saw this ___ year old man."),
        four("102-DS-1", 102, "Brief course of antibiotics; went home."),
    ]))  # fmt: skip
    write(notes / "radiology.csv.gz", csv_text(IV_COLUMNS, [
        four("103-RR-1", 103, "CHEST (PA AND LAT)\n\nNo effusion. Compared with ___."),
        four("104-RR-1", 104, "No fracture."),
        four("105-RR-1", 105, "EXAMINATION: " + REPORT.format(day="___")),
        four("105-RR-2", 105, "Film of the same person a year later."),
    ]))  # fmt: skip
    for split, title in (("train", "10"), ("dev", "10"), ("test", "10")):
        question = {"id": split, "question": "Is it old?", "answers": [], "is_impossible": True}
        paragraph = {"context": REPORT.format(day="[**2101-3-4**]"), "qas": [question]}
        article = {"title": title, "paragraphs": [paragraph]}
        write(files / f"radqa/1.0.0/{split}.json", json.dumps({"data": [article]}))
    clip = files / "mimic-iii-clinical-action/1.0.0"
    sentences = [[row, 0, "['Summary', '.']", "[]"] for row in (12, 9, 17)]
    columns = ["doc_id", "sent_index", "sentence", "labels"]
    write(clip / "sentence_level.csv", csv_text(columns, sentences))
    for split, row in (("train", 12), ("val", 9), ("test", 17)):
        write(clip / f"{split}_ids.csv", f"{row}\n")
    for split in ("train", "dev", "test"):
        line = json.dumps(
            {
                "pairID": split,
                "gold_label": "neutral",
                "sentence1": "Tube feeds at goal.",
                "sentence2": "The patient is fed.",
            }
        )
        write(files / f"mednli/1.0.0/mli_{split}_v1.jsonl", line + "\n")
    for benchmark in ("radqa", "mimic-iii-clinical-action", "mednli"):
        # Files of the published releases have the published sizes, and are refused otherwise.
        write(files / benchmark / SYNTHETIC_NOTICE, "Written by a test.\n")
    return root


@pytest.fixture
def home(physionet, tmp_path):
    """A data home for a corpus of the hand-written notes."""
    return Home(tmp_path / "home", physionet)


@pytest.fixture(scope="session")
def made():
    """Manifests by options. The files are the same in every test, wherever they lie."""
    return {}


@pytest.fixture
def undisturbed(physionet, tmp_path, made):
    """Gives the manifest of a preparation that nothing happens to, with some options."""

    def manifest(*more):
        if more not in made:
            made[more] = Home(tmp_path / "undisturbed", physionet).finished(*more)
        return made[more]

    return manifest
