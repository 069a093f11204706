"""Profiles of some steps. Does not show: what an accelerator's profile looks like."""

import gzip
import json

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.training.metric_log import read_metrics
from clinical_t5x.training.profile_window import ProfileWindow, profile_window
from tests.training import standin


@pytest.mark.parametrize("asked", ["100:110", " 100 : 110 ", (100, 110), [100, 110]])
def test_a_window_is_two_steps(asked):
    assert profile_window(asked) == ProfileWindow(100, 110)


@pytest.mark.parametrize(
    "asked",
    ["", "100", "110:100", "5:5", "-1:5", "a:b", "1:2:3", "1.5:2", (1,), (3, 2), (True, 2), 7],
)
def test_what_is_no_window_is_refused(asked):
    with pytest.raises(UserError, match="--profile=100:110"):
        profile_window(asked)


def profiled_steps(directory):
    """Numbers of the steps that the trace of a profile names."""
    (path,) = directory.glob("plugins/profile/*/*.trace.json.gz")
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    steps = [event["args"]["step_num"] for event in events if event.get("name") == "train"]
    return sorted(int(step) for step in steps)


def test_a_profile_holds_the_steps_that_were_asked_for(tmp_path, capsys):
    standin.run(tmp_path, total_steps=6, profile="2:4")
    assert profiled_steps(tmp_path / "profile") == [2, 3]
    output = capsys.readouterr().out
    assert f"profile of steps 3 to 4 in {tmp_path}/profile" in output
    assert "xprof --logdir=" in output
    assert read_metrics(tmp_path)[1]["time_profile"] > 0


def test_a_run_that_ends_inside_the_window_leaves_what_it_did(tmp_path, capsys):
    standin.run(tmp_path, total_steps=2, profile="1:10")
    assert profiled_steps(tmp_path / "profile") == [1]
    standin.run(tmp_path, total_steps=4, profile="0:2")
    assert "no profile: step 2 is after steps 0:2" in capsys.readouterr().out
    with pytest.raises(UserError, match="begins after the run's last step, 6"):
        standin.run(tmp_path, total_steps=6, profile="6:8")
