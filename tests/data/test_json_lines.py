"""Records in JSON lines as a SeqIO source: what is read, what is refused, and when it is stale."""

import json

import pytest
import seqio

from clinical_t5x.console import UserError
from clinical_t5x.data.json_lines import JsonLinesSource
from clinical_t5x.data.loader import open_examples, open_store
from clinical_t5x.data.preprocessors import replace_registration, tokenised_with_end
from clinical_t5x.data.vocabulary import ClinicalVocabulary

FIELDS = {"note": str, "age": int, "score": float, "urgent": bool, "labels": list}
RECORD = {"note": "a\u2028b", "age": 70, "score": 1, "urgent": True, "labels": ["x", "y"]}


@pytest.fixture
def files(tmp_path):
    """A train and a test file of two records each."""
    found = {}
    for split in ("train", "test"):
        found[split] = tmp_path / f"{split}.jsonl"
        lines = [json.dumps({"id": f"{split}-{k}", **RECORD, "age": k}) for k in range(2)]
        found[split].write_text("\n".join(lines) + "\n\n")
    return found


def test_records_come_with_their_types_in_order(files):
    source = JsonLinesSource(files, FIELDS)
    first, second = source.get_dataset("test", shuffle=False).as_numpy_iterator()
    assert (first["id"], first["note"], first["urgent"]) == (b"test-0", "a\u2028b".encode(), True)
    assert (first["age"], second["age"], second["score"]) == (0, 1, 1.0)
    assert first["labels"].tolist() == [b"x", b"y"]
    assert source.num_input_examples("train") == 2
    assert set(source.splits) == {"train", "test"}


def test_unnamed_fields_are_left_out(files):
    (first, _) = JsonLinesSource(files, {"age": int}).get_dataset("train").as_numpy_iterator()
    assert set(first) == {"id", "age"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", r"test\.jsonl, line 4: not JSON"),
        ('["id"]', "line 4: not an object with fields but a list"),
        ('{"note": "secret"}', r"there is no field 'id' \(found: 'note'\)"),
        (json.dumps({"id": "test-1", **RECORD}), r"'test-1' stands twice, first in .*line 2"),
        (json.dumps({"id": "train-1", **RECORD}), r"'train-1' stands twice, first in .*train\.jso"),
        (json.dumps({"id": "n", **RECORD, "age": "70"}), "the field 'age' is a str, not a int"),
        (json.dumps({"id": "n", **RECORD, "age": True}), "the field 'age' is a bool, not a int"),
        (json.dumps({"id": "n", **RECORD, "labels": [1]}), "'labels' is a list, not a list of str"),
        (json.dumps({"id": 5, **RECORD}), "the field 'id' is a int, not a str"),
    ],
)
def test_mistakes_are_named_with_their_line_and_without_text(files, line, message):
    files["test"].write_text(files["test"].read_text() + line)
    with pytest.raises(UserError, match=message) as caught:
        JsonLinesSource(files, FIELDS).get_dataset("test")
    assert "secret" not in str(caught.value)


def test_missing_and_empty_files_are_said(files):
    files["test"].write_text("\n")
    with pytest.raises(UserError, match=r"test\.jsonl has no records"):
        JsonLinesSource(files, FIELDS).check()
    files["test"].unlink()
    with pytest.raises(UserError, match=r"there is no file .*test\.jsonl for the split 'test'"):
        JsonLinesSource(files, FIELDS).check()
    with pytest.raises(UserError, match="the field 'age' is to be"):
        JsonLinesSource(files, {"age": dict})


def test_a_changed_file_is_tokenised_anew(files, tiny_home, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "vocabularies").symlink_to(tiny_home / "vocabularies")
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tmp_path / "home"))
    feature = seqio.Feature(ClinicalVocabulary())
    rekeyed = seqio.map_over_dataset(
        lambda record: {"id": record["id"], "inputs": record["note"], "targets": record["note"]}
    )
    replace_registration(
        "lines_v1",
        source=JsonLinesSource(files, FIELDS),
        preprocessors=[rekeyed, *tokenised_with_end()],
        metric_fns=[],
        output_features={"inputs": feature, "targets": feature},
    )
    try:
        first = {split: open_store("lines_v1", split=split).directory for split in files}
        assert open_store("lines_v1", split="test").directory == first["test"]
        files["test"].write_text(files["test"].read_text().replace("test-1", "test-9"))
        records = open_examples("lines_v1", split="test").records
        assert [record["id"] for record in records] == ["test-0", "test-9"]
        assert not first["test"].exists(), "the stale store is removed"
        assert open_store("lines_v1", split="train").directory == first["train"]
    finally:
        seqio.TaskRegistry.remove("lines_v1")
