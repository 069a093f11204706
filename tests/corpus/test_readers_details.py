"""MIMIC-IV's detail file gives radiology reports their descriptions."""

import gzip
import hashlib

import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks, inputs, readers

NOTES = "physionet.org/files/mimic-iv-note/2.2/note"
LABEL = "mimic-iv-note/2.2/note/radiology_detail.csv.gz"
HEADER = "note_id,subject_id,field_name,field_value,field_ordinal\n"
ROWS = (
    "103-RR-1,103,exam_code,C12,1\n"
    '103-RR-1,103,exam_name,"KNEE, 3 VIEWS LEFT",10\n'
    "103-RR-1,103,exam_name,CHEST (PA AND LAT),1\n"
    "103-RR-1,103,cpt_code,71046,1\n"
    "103-RR-1,103,exam_name,ABDOMEN (SUPINE ONLY),2\n"
    "104-RR-1,104,exam_code,C13,1\n"
    " 105-RR-1 ,105,exam_name, CT HEAD W/O CONTRAST ,1\n"
    "105-RR-2,105,exam_name,,1\n"
    "999-RR-9,999,exam_name,OF NO NOTE,1\n"
    "105-RR-2,105,exam_name,too,many,fields\n"
)


def sources_of(physionet, details=None):
    if details is not None:
        (physionet / NOTES / "radiology_detail.csv.gz").write_bytes(
            gzip.compress(details.encode(), mtime=0)
        )
    return inputs.resolve(
        physionet=epath.Path(physionet), names=["mimic-iv"], notes=None, columns=None
    )


def descriptions(found):
    (source,) = [source for source in found.sources if source.label.endswith("radiology.csv.gz")]
    return {
        note_id: description
        for unparsed in readers.read_batches(source)
        for note_id, description in unparsed.parse().notes.select("note_id", "description").rows()
    }


@pytest.mark.parametrize("block_bytes", [30, 1 << 20])
def test_exam_names_are_the_descriptions_in_the_order_of_their_ordinals(
    physionet, monkeypatch, block_bytes
):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(readers, "_DETAIL_BLOCK_BYTES", block_bytes)
    assert descriptions(sources_of(physionet, HEADER + ROWS)) == {
        "103-RR-1": "CHEST (PA AND LAT); ABDOMEN (SUPINE ONLY); KNEE, 3 VIEWS LEFT",
        "104-RR-1": "RR",
        "105-RR-1": "CT HEAD W/O CONTRAST",
        "105-RR-2": "RR",
    }


@pytest.mark.parametrize("details", [None, HEADER])
def test_without_details_the_description_is_the_type_of_the_note(physionet, details):
    assert set(descriptions(sources_of(physionet, details)).values()) == {"RR"}


def test_the_detail_file_is_an_input_of_the_corpus(physionet):
    assert LABEL not in sources_of(physionet).seen()
    found = sources_of(physionet, HEADER + ROWS)
    assert LABEL in found.seen()
    (described,) = [file for file in found.describe() if file["path"] == LABEL]
    data = (physionet / NOTES / "radiology_detail.csv.gz").read_bytes()
    assert described == {
        "path": LABEL, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)
    }  # fmt: skip


def test_columns_of_the_detail_file_are_checked_before_anything_is_read(physionet):
    with pytest.raises(UserError, match=r"radiology_detail.* has no column 'field_ordinal'"):
        sources_of(physionet, "note_id,subject_id,field_name,field_value\n")


def test_columns_of_every_file_of_notes_are_checked_before_anything_is_read(physionet):
    (physionet / NOTES / "radiology.csv.gz").write_bytes(b"note_id,subject_id,text\n")
    with pytest.raises(UserError, match=r"radiology\.csv\.gz has no column 'note_type'"):
        sources_of(physionet)
