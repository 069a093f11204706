"""What a run took, from its metrics."""

import json

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.cost.measured import measured_run


def window(step, **rest):
    line = {
        "step": step,
        "split": "train",
        "seconds": 90.0,
        "tokens_per_second": 1000.0,
        "model_tflops_per_second": 2.0,
        "time_step": 0.5,
        "time_input": 0.25,
        "time_save": 0.25,
    }
    return line | rest


def write(directory, lines, end=""):
    text = "".join(json.dumps(line) + "\n" for line in lines) + end
    (directory / "metrics.jsonl").write_text(text)
    return directory


def test_windows_add_up(tmp_path):
    lines = [
        {"step": 0, "split": "run", "event": "started"},
        window(100),
        {"step": 100, "split": "eval/mednli_v1", "loss": 1.0},
        window(200, seconds=45.0),
    ]
    found = measured_run(write(tmp_path, lines, end='{"step": 300, "spl'))
    assert found.steps == 200
    assert found.step_hours == pytest.approx(135 / 3600)
    assert found.hours == pytest.approx(135 / 0.75 / 3600)
    assert found.tokens == pytest.approx(135_000)
    assert found.flops == pytest.approx(135 * 2e12)


def test_a_window_that_was_made_again_counts_once(tmp_path):
    found = measured_run(write(tmp_path, [window(100), window(200), window(200, seconds=30.0)]))
    assert found.step_hours == pytest.approx(120 / 3600)


def test_a_run_that_counts_no_flops_has_none(tmp_path):
    line = window(100)
    del line["model_tflops_per_second"]
    assert measured_run(write(tmp_path, [line])).flops is None


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(UserError, match="does not exist; name a MODEL_DIR"):
        measured_run(tmp_path)
    with pytest.raises(UserError, match="no line with the time of training"):
        measured_run(write(tmp_path, [{"step": 0, "split": "run"}]))
