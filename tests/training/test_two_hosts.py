"""A run that moves between one process and two real ones, on CPU over 127.0.0.1.

One process trains to step 4; two go on, of which one cannot read the newest checkpoint, meet a bad
batch, and are stopped by a SIGTERM to one of them; one process finishes. Compared with one process
that does it all at once.

Does not show: an interconnect, accelerators, or hosts that do not share a file system.
"""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from clinical_t5x.training import checkpoints
from clinical_t5x.training.metric_log import read_metrics
from tests.training import standin, two_hosts

pytestmark = pytest.mark.long_file

STEPS, BAD = 14, 6


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def on_one(model_dir, steps, order):
    options = {"model_dir": str(model_dir), "steps": steps, "order": str(order), "bad": BAD}
    two_hosts.main(["0", "1", "0", json.dumps(options)])


def on_two(model_dir, order, **options):
    """Start two processes; their exit codes and what they said."""
    options |= {"model_dir": str(model_dir), "steps": STEPS, "bad": BAD}
    port, environment = str(free_port()), os.environ | {"PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-m", "tests.training.two_hosts"]
    processes = [
        subprocess.Popen(
            [*command, str(rank), "2", port, json.dumps(options | {"order": f"{order}{rank}"})],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=240)[0] for process in processes]
    return [process.returncode for process in processes], said


def rows_by_step(*files):
    """The rows of every batch in their global order, whoever took them."""
    found = {}
    for file in files:
        for line in map(json.loads, file.read_text().splitlines()):
            part = {line["first"] + i: row for i, row in enumerate(line["rows"])}
            step = found.setdefault(line["step"], {})
            for place, row in part.items():
                assert step.setdefault(place, row) == row  # made again, it is the same
    return {step: [rows[place] for place in sorted(rows)] for step, rows in found.items()}


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    root = tmp_path_factory.mktemp("moved")
    on_one(root / "run", 4, root / "first")
    codes, said = on_two(root / "run", root / "two_", unreadable={"1": 4}, sigterm={"1": 11})
    stopped_at = checkpoints.checkpoint_steps(root / "run")[-1]
    on_one(root / "run", STEPS, root / "last")
    on_one(root / "whole", STEPS, root / "whole_order")
    return {"root": root, "codes": codes, "said": said, "stopped_at": stopped_at}


def test_a_signal_to_one_stops_both_after_the_same_step(moved):
    assert moved["codes"] == [75, 75], moved["said"]
    step = moved["stopped_at"]
    assert BAD < step < STEPS
    assert f"stopped: a stop of another process at step {step}, saved" in moved["said"][0]
    assert f"stopped: SIGTERM at step {step}, saved" in moved["said"][1]


def test_what_one_cannot_read_is_damaged_for_both(moved):
    assert (moved["root"] / "run" / "damaged_checkpoint_4").exists()
    assert all("resumed at step 2" in said for said in moved["said"])
    assert "unreadable on another host" in moved["said"][0]


def test_a_bad_batch_takes_both_back(moved):
    # to step 2: one of them cannot read the new checkpoint of step 4 either
    assert all("'rolled_back_to': 2, 'left_out': [6]" in said for said in moved["said"])


def test_the_order_of_examples_is_that_of_one_process(moved):
    root = moved["root"]
    expected = rows_by_step(root / "whole_order")
    assert len(expected) == STEPS
    assert all(len(rows) == standin.BATCH for rows in expected.values())
    on_two_hosts = rows_by_step(root / "two_0", root / "two_1")
    assert {*range(3, moved["stopped_at"] + 1)} <= {*on_two_hosts}
    for file in ("two_0", "two_1"):  # each took its half
        assert all(len(rows) == standin.BATCH // 2 for rows in rows_by_step(root / file).values())
    for found in (rows_by_step(root / "first"), on_two_hosts, rows_by_step(root / "last")):
        assert found == {step: expected[step] for step in found}


def test_the_losses_are_those_of_one_process(moved):
    found, expected = (
        {p["step"]: p["loss"] for p in read_metrics(moved["root"] / name)}
        for name in ("run", "whole")
    )
    assert [*found] == [*expected] == [step for step in range(1, STEPS + 1) if step != BAD]
    np.testing.assert_allclose([*found.values()], [*expected.values()], rtol=1e-6)
