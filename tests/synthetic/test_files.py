"""The files' schemas and quirks, read back with the csv module."""

import gzip
import re
from collections import Counter, defaultdict
from datetime import datetime

from clinical_t5x.synthetic import notices, tags
from clinical_t5x.synthetic.plan import CATEGORIES

_NOTEEVENTS = (
    "ROW_ID SUBJECT_ID HADM_ID CHARTDATE CHARTTIME STORETIME CATEGORY DESCRIPTION CGID ISERROR TEXT"
)
_IV_NOTE = (
    "note_id", "subject_id", "hadm_id", "note_type", "note_seq", "charttime", "storetime", "text",
)  # fmt: skip
_IV_DETAIL = ("note_id", "subject_id", "field_name", "field_value", "field_ordinal")
_MAPPED_KEYS = """First Name|Last Name|Initials|Known lastname|Known firstname|Name
Clip Number (Radiology)|Numeric Identifier|Medical Record Number|MD Number|Job Number|Unit Number
Hospital|Company|College|Location|Street Address|Wardname|Apartment Address|PO Box|Age over 90
Telephone/Fax|Serial Number|Social Security Number|Pager number|Provider Number|Date Range
Date range|State|E-mail address|CC Contact Info|Attending Info|Dictator Info|Country|URL|Year
Month|Day|Holiday""".replace("\n", "|").split("|")


def test_noteevents_has_the_real_columns_and_dense_row_ids(noteevents):
    assert list(noteevents[0]) == _NOTEEVENTS.split()
    assert [int(row["ROW_ID"]) for row in noteevents] == list(range(1, len(noteevents) + 1))
    for row in noteevents:
        datetime.strptime(row["CHARTDATE"], "%Y-%m-%d")
        for column in ("CHARTTIME", "STORETIME"):
            if row[column]:
                datetime.strptime(row[column], "%Y-%m-%d %H:%M:%S")
        assert row["ISERROR"] in ("", "1")
        assert row["TEXT"].strip()


def test_all_fifteen_categories_three_with_a_trailing_space(noteevents):
    found = {row["CATEGORY"] for row in noteevents}
    assert found == set(CATEGORIES)
    spaced = {name for name in found if name.endswith(" ")}
    assert len(found) == 15
    assert spaced == {"Physician ", "Respiratory ", "Case Management "}


def test_empty_times_and_authors_where_the_real_file_has_none(noteevents):
    for row in noteevents:
        if row["CATEGORY"] == "Discharge summary":
            assert row["CHARTTIME"] == row["STORETIME"] == row["CGID"] == ""
            assert row["HADM_ID"]
        elif row["CATEGORY"].startswith(("Nursing", "Physician")):
            assert row["CHARTTIME"] and row["STORETIME"] and row["CGID"]
        elif row["CATEGORY"] == "Radiology":
            assert row["CHARTTIME"] and not row["CGID"]


def test_raw_text_has_embedded_quotes_line_breaks_and_crlf(physionet):
    raw = gzip.decompress((physionet / "files/mimiciii/1.4/NOTEEVENTS.csv.gz").read_bytes())
    assert b'""' in raw
    assert b"\r\n" in raw
    assert raw.startswith(b'"ROW_ID","SUBJECT_ID",')


def test_every_mapped_tag_key_and_the_odd_ones_occur(noteevents):
    found = {tag for row in noteevents for tag in re.findall(r"\[\*\*(.*?)\*\*\]", row["TEXT"])}
    missing = [key for key in _MAPPED_KEYS if not any(key in tag for tag in found)]
    assert missing == []
    assert "" in found and " " in found
    assert any(re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", tag) for tag in found)
    assert any(re.fullmatch(r"\d{1,2}-\d{1,2}", tag) for tag in found)
    assert any(tag.isdigit() for tag in found)
    assert "March" in found


def test_drafts_share_their_key_and_come_before_a_longer_later_save(noteevents, read_csv):
    by_id = {row["ROW_ID"]: row for row in noteevents}
    drafts = read_csv("synthetic_truth/drafts.csv.gz")
    assert len(drafts) > 20
    for entry in drafts:
        draft, final = by_id[entry["row_id"]], by_id[entry["final_row_id"]]
        for column in ("CHARTTIME", "SUBJECT_ID", "CATEGORY", "CGID"):
            assert draft[column] == final[column] != ""
        minutes = datetime.fromisoformat(final["STORETIME"]) - datetime.fromisoformat(
            draft["STORETIME"]
        )
        assert 0 < minutes.total_seconds() <= 6 * 3600
        assert len(draft["TEXT"]) < len(final["TEXT"])
        assert final["TEXT"].startswith(draft["TEXT"].rstrip())


def test_drafts_are_all_rows_that_share_the_key(noteevents, read_csv):
    drafts = {entry["row_id"] for entry in read_csv("synthetic_truth/drafts.csv.gz")}
    groups = defaultdict(list)
    for row in noteevents:
        key = tuple(row[c] for c in ("CHARTTIME", "SUBJECT_ID", "CATEGORY", "CGID"))
        if "" not in key:
            groups[key].append(row)
    for rows in groups.values():
        if len(rows) > 1:
            latest = max(rows, key=lambda row: row["STORETIME"])
            others = {row["ROW_ID"] for row in rows} - {latest["ROW_ID"]}
            assert others <= drafts


def test_pasted_passages_stand_in_source_and_target(noteevents, read_csv):
    by_id = {row["ROW_ID"]: row for row in noteevents}
    copies = read_csv("synthetic_truth/copies.csv.gz")
    assert len(copies) > 20
    for entry in copies:
        start, length = int(entry["start"]), int(entry["length"])
        target, source = by_id[entry["row_id"]], by_id[entry["source_row_id"]]
        passage = target["TEXT"][start : start + length]
        assert len(passage) == length >= 120
        assert passage in source["TEXT"]
        assert source["SUBJECT_ID"] == target["SUBJECT_ID"]


def test_carevue_holds_the_patients_that_are_not_in_iv(noteevents, read_csv):
    carevue = read_csv("files/mimic3-carevue/1.4/NOTEEVENTS.csv.gz")
    in_iv = {entry["subject_id"] for entry in read_csv("synthetic_truth/persons.csv.gz")}
    assert list(carevue[0]) == _NOTEEVENTS.lower().split()
    expected = [row for row in noteevents if row["SUBJECT_ID"] not in in_iv]
    assert [list(row.values()) for row in carevue] == [list(row.values()) for row in expected]


def test_iv_notes_have_the_real_columns_and_details(read_csv):
    for kind, code in (("discharge", "DS"), ("radiology", "RR")):
        notes = read_csv(f"files/mimic-iv-note/2.2/note/{kind}.csv.gz")
        details = read_csv(f"files/mimic-iv-note/2.2/note/{kind}_detail.csv.gz")
        assert list(notes[0]) == (
            [
                "note_id",
                "subject_id",
                "hadm_id",
                "note_type",
                "note_seq",
                "charttime",
                "storetime",
                "text",
            ]
        )
        assert list(details[0]) == [
            "note_id",
            "subject_id",
            "field_name",
            "field_value",
            "field_ordinal",
        ]
        ids = [note["note_id"] for note in notes]
        assert len(set(ids)) == len(ids)
        assert {detail["note_id"] for detail in details} == set(ids)
        for note in notes:
            assert note["note_id"] == f"{note['subject_id']}-{code}-{note['note_seq']}"
            assert datetime.fromisoformat(note["storetime"]) > datetime.fromisoformat(
                note["charttime"]
            )
            assert "[**" not in note["text"]
        assert any("___" in note["text"] for note in notes)


def test_a_person_in_both_has_the_same_reports_under_other_ids_and_dates(noteevents, read_csv):
    by_id = {row["ROW_ID"]: row for row in noteevents}
    iv = {
        note["note_id"]: note
        for kind in ("discharge", "radiology")
        for note in read_csv(f"files/mimic-iv-note/2.2/note/{kind}.csv.gz")
    }
    persons = {
        e["subject_id"]: e["iv_subject_id"] for e in read_csv("synthetic_truth/persons.csv.gz")
    }
    shared = read_csv("synthetic_truth/shared_reports.csv.gz")
    assert len(persons) > 10
    assert len(set(persons.values())) == len(persons)
    for entry in shared:
        row, note = by_id[entry["row_id"]], iv[entry["note_id"]]
        assert note["subject_id"] == persons[row["SUBJECT_ID"]]
        assert note["text"] == tags.blank(row["TEXT"])
    linked = {by_id[entry["row_id"]]["SUBJECT_ID"] for entry in shared}
    assert linked == set(persons)  # every such person can be found by text


def test_every_directory_and_gzip_header_says_synthetic(physionet):
    for directory in [physionet, *(p for p in physionet.rglob("*") if p.is_dir())]:
        assert notices.SHORT in (directory / "SYNTHETIC.txt").read_text()
    for path in physionet.rglob("*.csv.gz"):
        header = path.read_bytes()[:200]
        assert notices.SHORT.encode() in header
        assert header[4:8] == b"\0\0\0\0"  # no time stamp: same seed, same bytes


def test_subjects_and_admissions_are_consistent(noteevents):
    owners = defaultdict(set)
    for row in noteevents:
        if row["HADM_ID"]:
            owners[row["HADM_ID"]].add(row["SUBJECT_ID"])
    assert all(len(members) == 1 for members in owners.values())
    assert len(Counter(row["SUBJECT_ID"] for row in noteevents)) == 40
