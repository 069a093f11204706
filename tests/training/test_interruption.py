"""Runs that are killed or stopped go on bit for bit.

Does not show: power loss, or storage that answers before it has written.
"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from clinical_t5x import storage
from clinical_t5x.training import checkpoints
from clinical_t5x.training.metric_log import read_metrics

STEPS = 8


def start(model_dir, delay=0.0):
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-m", "tests.training.interruptible"]
    return subprocess.Popen(
        [*command, str(model_dir), str(STEPS), str(delay)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, code=0):
    output, errors = process.communicate(timeout=240)
    assert process.returncode == code, errors[-2000:]
    return output + errors


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def outcome(model_dir):
    """What two runs must share: the checksums of all arrays, and the losses."""
    position = checkpoints.read_position(model_dir / f"checkpoint_{STEPS}")
    losses = [(point["step"], point["loss"]) for point in read_metrics(model_dir)]
    return position["checksums"], losses


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    model_dir = tmp_path_factory.mktemp("undisturbed")
    finish(start(model_dir))
    return outcome(model_dir)


def partial_save(model_dir):
    return model_dir.exists() and any("tmp" in path.name for path in model_dir.iterdir())


def test_killed_while_saving_and_stopped_by_sigterm(undisturbed, tmp_path):
    model_dir = tmp_path / "run"
    process = start(model_dir, delay=0.1)
    wait_for(
        lambda: len(checkpoints.checkpoint_steps(model_dir)) >= 2 and partial_save(model_dir),
        process,
    )
    process.kill()
    process.communicate()
    killed_at = checkpoints.checkpoint_steps(model_dir)[-1]

    process = start(model_dir, delay=0.1)
    wait_for(lambda: checkpoints.checkpoint_steps(model_dir)[-1] > killed_at, process)
    process.send_signal(signal.SIGTERM)
    assert "stopped: SIGTERM at step" in finish(process, code=75)
    assert not storage.is_complete(model_dir)

    assert "resumed at step" in finish(start(model_dir))
    checksums, losses = outcome(model_dir)
    assert checksums == undisturbed[0]
    assert losses[-1] == undisturbed[1][-1]


@pytest.mark.slow
def test_killed_at_50_random_moments(undisturbed, tmp_path):
    """The long check: `pytest tests/training/test_interruption.py -m slow`."""
    generator = random.Random(0)
    for attempt in range(50):
        model_dir = tmp_path / f"run{attempt}"
        process = start(model_dir, delay=0.1)
        wait_for(lambda place=model_dir: checkpoints.checkpoint_steps(place), process)
        time.sleep(generator.uniform(0.0, 0.9))
        process.kill()
        process.communicate()
        finish(start(model_dir))
        assert outcome(model_dir)[0] == undisturbed[0]
