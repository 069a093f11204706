"""The time from a command to its first completed step, by part."""

import re
import subprocess
import sys
import time

import pytest

from clinical_t5x.training import startup
from clinical_t5x.training.metric_log import read_metrics
from tests.training import standin


@pytest.fixture(autouse=True)
def nothing_is_being_started():
    startup.end()
    yield
    startup.end()


def test_parts_add_up(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    startup.begin()
    for part, seconds in [("imports", 2), ("gin", 1), ("imports", 3), ("compile", 4)]:
        now[0] += seconds
        startup.mark(part)
    assert startup.end() == "first step after 10.0 s: imports 5.0, gin 1.0, compile 4.0"


def test_without_a_beginning_nothing_is_counted():
    startup.mark("gin")
    assert startup.begun() is None
    assert startup.end() is None


def test_an_unknown_part_is_a_mistake():
    startup.begin()
    with pytest.raises(ValueError, match="none of"):
        startup.mark("lunch")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when a process was started")
def test_a_command_counts_from_the_start_of_its_process():
    code = (
        "import time; time.sleep(0.3); begun = time.monotonic();"
        "from clinical_t5x.training import startup; startup.begin(with_process=True);"
        "print(startup.begun() < begun - 0.25)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


def test_a_run_tells_once_what_its_start_took(tmp_path, capsys):
    startup.begin()
    time.sleep(0.05)  # whatever comes before the run is part of it, and of the run's time
    startup.mark("imports")
    standin.run(tmp_path, total_steps=4)
    told = re.findall(r"first step after .*", capsys.readouterr().out)
    assert len(told) == 1
    for part in startup.PARTS:
        assert f" {part} " in told[0]
    assert startup.begun() is None
    shares = [point["time_start"] for point in read_metrics(tmp_path)]
    assert shares[0] > 0 == shares[1]
