"""Prediction files: what is whole is kept, what is broken made again, what is wrong is said."""

import json

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.predictions import (
    PredictionFile,
    read_prediction_file,
    read_predictions,
)

HEADER = {"task_version": "radqa_v1@aaaa", "predictor": "p"}
TEXT = "fièvre 🤒 \u2028 خوف </script>"
LINES = [{"id": f"q{k}", "score": -0.5 * k, "text": f"{TEXT} {k}"} for k in range(4)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictions" / "radqa_v1-test.jsonl"


def _write(path, lines=LINES, header=HEADER):
    with PredictionFile(path, header) as file:
        for line in lines:
            file.add(line)


def _finished(path, header=HEADER, **options):
    with PredictionFile(path, header, **options) as file:
        return dict(file.finished)


def test_lines_come_back_as_they_were_written(path):
    _write(path)
    header, lines = read_prediction_file(path, task_version="radqa_v1@aaaa")
    assert header == HEADER
    assert list(lines.values()) == LINES == list(_finished(path).values())


def test_half_a_surrogate_pair_can_be_written(path):
    _write(path, [{"id": "q0", "text": "\ud83e"}])
    assert read_predictions(path)["q0"]["text"] == "\ud83e"


@pytest.mark.parametrize("content", [b"", b"\n", b'{"predi', b'{"predictions_of": {"task_ver'])
def test_an_empty_file_or_half_a_header_is_begun_anew(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"is empty|is not a prediction file"):
        read_predictions(path)
    assert _finished(path) == {}
    assert read_predictions(path) == {}


def test_a_file_cut_at_any_byte_keeps_what_is_whole(path):
    """Among these are all cuts within a character of two, three and four bytes."""
    _write(path)
    whole = path.read_bytes()
    second = whole.index(b'{"id": "q1"')
    for cut in range(second, len(whole)):
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n") - 1
        lines = read_predictions(path)
        assert [lines[f"q{k}"] for k in range(kept)] == LINES[:kept]
        assert len(lines) in (kept, kept + 1)  # only the line's end may be missing
    path.write_bytes(whole[: whole.index("🤒".encode(), second) + 2])
    assert list(_finished(path)) == ["q0"]
    _write(path, LINES[1:])  # going on after the cut
    assert list(read_predictions(path).values()) == LINES


def test_a_damaged_line_is_named_when_read_and_predicted_again_when_resumed(path):
    _write(path)
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2][:20]
    lines[3] = b'["no", "prediction"]'
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(UserError, match=r"line 3: not a prediction \(and 1 more"):
        read_predictions(path)
    assert list(_finished(path)) == ["q0", "q3"]
    assert list(read_predictions(path)) == ["q0", "q3"]


def test_the_same_line_twice_counts_once(path):
    _write(path, [*LINES, LINES[0]])
    assert len(read_predictions(path)) == len(_finished(path)) == 4
    assert path.read_text().count('"q0"') == 1


def test_two_lines_that_contradict_each_other_are_trusted_neither(path):
    _write(path, [*LINES, {**LINES[1], "score": -9.0}])
    with pytest.raises(UserError, match=r"different things .*1 ids, the first is 'q1'"):
        read_predictions(path)
    assert list(_finished(path)) == ["q0", "q2", "q3"]


def test_ids_that_are_not_in_the_split_are_refused(path):
    _write(path)
    ids = [line["id"] for line in LINES]
    assert len(read_predictions(path, ids=ids)) == len(_finished(path, ids=[*ids, "q9"])) == 4
    before = path.read_bytes()
    for use in (read_predictions, lambda path, ids: _finished(path, ids=ids)):
        with pytest.raises(UserError, match=r"2 predictions .* not in the split .*'q2'"):
            use(path, ids=ids[:2])
    assert path.read_bytes() == before


def test_another_task_version_is_refused_and_left_alone(path):
    _write(path)
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"of radqa_v1@aaaa, not of radqa_v1@bbbb; remove"):
        _finished(path, {**HEADER, "task_version": "radqa_v1@bbbb"})
    with pytest.raises(UserError, match="evaluate again"):
        read_predictions(path, task_version="radqa_v1@bbbb")
    assert path.read_bytes() == before


def test_predictions_of_another_system_are_begun_anew(path):
    _write(path)
    assert _finished(path, {**HEADER, "predictor": "another"}) == {}


@pytest.mark.parametrize("content", [json.dumps({"id": "q0"}), "a file\nof something else\n", "[]"])
def test_a_file_of_another_kind_is_not_overwritten(path, content):
    path.parent.mkdir()
    path.write_text(content + "\n")
    with pytest.raises(UserError, match=r"in the way|not a prediction file"):
        _finished(path)
    assert path.read_text() == content + "\n"


def test_a_missing_file_says_what_writes_it(path):
    with pytest.raises(UserError, match="run the evaluation"):
        read_predictions(path)
