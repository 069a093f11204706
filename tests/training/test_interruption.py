"""Runs that are killed or stopped go on bit for bit, and through the examples in the same order.

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

STEPS, MANY_STEPS = 8, 400


def start(model_dir, delay=0.0, steps=STEPS):
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-m", "tests.training.interruptible"]
    return subprocess.Popen(
        [*command, str(model_dir), str(steps), str(delay), f"{model_dir}.order"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, code=0):
    output, errors = process.communicate(timeout=600)
    assert process.returncode == code, errors[-2000:]
    return output + errors


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def outcome(model_dir, steps=STEPS):
    """What two runs must share: the checksums of all arrays, and the losses."""
    position = checkpoints.read_position(model_dir / f"checkpoint_{steps}")
    losses = [(point["step"], point["loss"]) for point in read_metrics(model_dir)]
    return position["checksums"], losses


def order(model_dir):
    """The batch that each update was made of; one that was made again, of the same batch."""
    found = {}
    for line in (model_dir.parent / f"{model_dir.name}.order").read_text().splitlines():
        step, batch = line.split()
        assert found.setdefault(int(step), batch) == batch, f"step {step} had another batch"
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    model_dir = tmp_path_factory.mktemp("undisturbed")
    finish(start(model_dir))
    return model_dir


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
    assert checksums == outcome(undisturbed)[0]
    assert losses[-1] == outcome(undisturbed)[1][-1]
    assert order(model_dir) == order(undisturbed)


def interrupt(process, number, seconds, reached, model_dir):
    """Send a signal `seconds` after the process has saved something, or as soon as it may.

    Returns:
      Whether a save was under way.
    """
    begun = time.monotonic()
    while process.poll() is None and checkpoints.checkpoint_steps(model_dir)[-1:] == reached:
        if seconds < 0 and time.monotonic() - begun > -seconds:
            break  # while it still gets ready
        time.sleep(0.002)
    time.sleep(max(seconds, 0.0))
    saving = partial_save(model_dir)
    if process.poll() is None:
        process.send_signal(number)
    _, errors = process.communicate(timeout=600)
    allowed = {signal.SIGKILL: (0, -9), signal.SIGTERM: (0, 75, -15)}[number]
    assert process.returncode in allowed, errors[-2000:]
    if number == signal.SIGTERM and seconds >= 0:
        assert process.returncode in (0, 75), "a run that has begun saves and says so"
    return saving


@pytest.mark.slow
def test_killed_at_50_random_moments_and_stopped_at_20(tmp_path):
    """The long check: `pytest tests/training/test_interruption.py -m slow -s`, 15 minutes or so.

    One run after another of 400 steps, a checkpoint at each, killed and stopped again and again,
    at moments of which an eighth lie before the first step; at the end each is as the undisturbed.
    """
    finish(start(tmp_path / "undisturbed", steps=MANY_STEPS))
    expected = outcome(tmp_path / "undisturbed", MANY_STEPS)[0]
    generator = random.Random(0)
    signals = [signal.SIGKILL] * 50 + [signal.SIGTERM] * 20
    generator.shuffle(signals)
    saving, runs = 0, [tmp_path / "run0"]
    for number in signals:
        model_dir = runs[-1]
        reached = checkpoints.checkpoint_steps(model_dir)[-1:]
        early = generator.random() < 1 / 8
        seconds = -generator.uniform(0.2, 6.0) if early else generator.uniform(0.0, 1.5)
        process = start(model_dir, delay=0.01, steps=MANY_STEPS)
        saving += interrupt(process, number, seconds, reached, model_dir)
        if storage.is_complete(model_dir):
            runs.append(tmp_path / f"run{len(runs)}")
    for model_dir in runs:
        finish(start(model_dir, steps=MANY_STEPS))
        assert outcome(model_dir, MANY_STEPS)[0] == expected
        assert order(model_dir) == order(tmp_path / "undisturbed")
    print(f"50 kills and 20 stops in {len(runs)} runs, {saving} of them during a save")
    assert saving > 0
