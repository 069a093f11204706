"""Files of tf.train.Examples become a task that inference reads like any other."""

import pytest
import seqio
import tensorflow as tf

from clinical_t5x.console import UserError
from clinical_t5x.data.loader import open_examples
from clinical_t5x.data.tfexample_task import create_task_from_tfexample_file

FEATURES = {name: seqio.Feature(seqio.ByteVocabulary()) for name in ("inputs", "targets")}


def _write(path, *examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for texts in examples:
            feature = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
                for name, text in texts.items()
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    return str(path)


def _create(paths, file_type="tfrecord", inputs_key="inputs", targets_key=None, **options):
    options = {"features": FEATURES} | options
    return create_task_from_tfexample_file(paths, file_type, inputs_key, targets_key, **options)


def _open(name, tmp_path):
    return open_examples(name, split="infer", data_dir=tmp_path / "home")


def test_examples_of_all_files_in_order(tmp_path):
    first = _write(tmp_path / "a.tfrecord", {"inputs": "fever"}, {"inputs": "chill"})
    second = _write(tmp_path / "b.tfrecord", {"inputs": "naïve"})
    found = _open(_create([first, second]), tmp_path)
    vocabulary = FEATURES["inputs"].vocabulary
    assert [vocabulary.decode(ids.tolist()) for ids in found.inputs] == ["fever", "chill", "naïve"]
    assert [ids[-1] for ids in found.inputs] == [1, 1, 1]
    assert [ids.tolist() for ids in found.targets] == [[1], [1], [1]]
    assert [record["id"] for record in found.records] == ["0", "1", "2"]


def test_other_keys_and_a_pattern(tmp_path):
    _write(tmp_path / "x-0.rec", {"note": "fever", "label": "yes", "inputs": "wrong"})
    _write(tmp_path / "x-1.rec", {"note": "cough", "label": "no", "inputs": "wrong"})
    name = _create([str(tmp_path / "x-*.rec")], inputs_key="note", targets_key="label", task_id="t")
    assert name.startswith("t_")
    found = _open(name, tmp_path)
    texts = [(r["inputs_pretokenized"], r["targets_pretokenized"]) for r in found.records]
    assert texts == [("fever", "yes"), ("cough", "no")]


def test_changed_file_is_another_task(tmp_path):
    path = _write(tmp_path / "a.tfrecord", {"inputs": "fever"})
    before = _create([path])
    assert _create([path]) == before
    assert _create([path], inputs_key="inputs", targets_key="inputs") != before
    _write(tmp_path / "a.tfrecord", {"inputs": "chills"})
    after = _create([path])
    assert after != before
    assert _open(after, tmp_path).records[0]["inputs_pretokenized"] == "chills"


def test_mistakes_are_named(tmp_path):
    good = _write(tmp_path / "good", {"inputs": "a", "other": "b"})
    (tmp_path / "text").write_text("no records, but a long enough text to be read as one")
    (tmp_path / "empty").write_bytes(b"")
    with tf.io.TFRecordWriter(str(tmp_path / "strange")) as writer:
        writer.write(b"\xff\xff\xff")
    (tmp_path / "folder").mkdir()
    _write(tmp_path / "mixed", {"inputs": "a"}, {"other": "fever"})
    cases = [
        ({"paths": [good], "file_type": "recordio"}, "'recordio' cannot be read: only 'tfrecord'"),
        ({"paths": [str(tmp_path / "none")]}, "there is no file .*none"),
        ({"paths": [str(tmp_path / "folder")]}, "folder is no file"),
        ({"paths": [str(tmp_path / "fold*")]}, "folder is no file"),
        ({"paths": [good, str(tmp_path / "mixed")]}, "mixed has a record .* one text 'inputs'"),
        ({"paths": []}, "TF_EXAMPLE_FILE_PATHS is empty"),
        ({"paths": [str(tmp_path / "text")]}, "text is no file of TFRecords, or is damaged"),
        ({"paths": [str(tmp_path / "empty")]}, "empty holds no record"),
        ({"paths": [str(tmp_path / "strange")]}, "are no tf.train.Examples"),
        ({"paths": [good], "inputs_key": "nope"}, "no text 'nope' .*texts in them: inputs, other"),
        ({"paths": [good], "features": {"inputs": 1}}, "must name 'inputs' and 'targets'"),
    ]
    for options, expected in cases:
        with pytest.raises(UserError, match=expected):
            _create(**options)


@pytest.mark.parametrize("kept", [1, 10, 13, -1])
def test_truncated_file_is_named(tmp_path, kept):
    """Cut within the second record: its length, the checksum of that, itself, its checksum."""
    good = _write(tmp_path / "good", {"inputs": "a"})
    cut = tmp_path / "cut.tfrecord"
    _write(cut, {"inputs": "fever"})
    first = len(cut.read_bytes())
    _write(cut, {"inputs": "fever"}, {"inputs": "chills"})
    cut.write_bytes(cut.read_bytes()[: first + kept if kept > 0 else kept])
    with pytest.raises(UserError, match=r"cut\.tfrecord is no file of TFRecords, or is damaged"):
        _create([good, str(cut)])
