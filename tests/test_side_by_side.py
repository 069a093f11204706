"""Commands at the same time: cores, lines, and that none outlives or is left waiting."""

import os
import signal
import subprocess
import sys
import time

import pytest

from clinical_t5x.console import Stopped, UserError
from clinical_t5x.pipeline import Stage, StageFailedError
from clinical_t5x.side_by_side import run_side_by_side

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
needs_two_cores = pytest.mark.skipif(CORES < 2, reason="one core, or cores cannot be told apart")

# `meet NAME OTHER` ends well only when the other runs at the same time; `wait NAME` until it
# is asked to stop, deaf to Ctrl-C like all that a shell starts in the background.
COMMANDS = {
    "meet": """
import os, pathlib, sys, time
name, other = sys.argv[1:]
pathlib.Path(name).write_text("here")
end = time.monotonic() + 30
while not pathlib.Path(other).exists():
    if time.monotonic() > end: sys.exit(3)
    time.sleep(0.01)
print("cores", *sorted(os.sched_getaffinity(0)))
print("progress", file=sys.stderr)
""",
    "wait": """
import os, pathlib, signal, sys, time
from clinical_t5x.side_by_side import end_with_parent
end_with_parent()
def asked(*_):
    pathlib.Path(sys.argv[1] + ".asked").write_text("once\\n")
    sys.exit(75)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, asked)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(60)
""",
    "ends_with": """
import pathlib, sys, time
code, *awaited = sys.argv[1:]
while not all(pathlib.Path(name).exists() for name in awaited): time.sleep(0.01)
with pathlib.Path("order").open("a") as file: file.write(code + "\\n")
sys.exit(int(code))
""",
}


@pytest.fixture(autouse=True)
def commands(tmp_path, monkeypatch):
    for name, text in COMMANDS.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    root = os.path.dirname(os.path.dirname(__file__))
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{tmp_path}")
    return tmp_path


def stage(title, *arguments):
    return Stage(title, arguments)


@needs_two_cores
def test_they_run_at_the_same_time_on_cores_of_their_own(capsys):
    run_side_by_side([stage("left", "meet", "a", "b"), stage("right one", "meet", "b", "a")])
    lines = capsys.readouterr().out.splitlines()
    assert "left      | $ python -m meet a b" in lines
    assert "right one | progress" in lines
    marked = (line.partition("| cores ") for line in lines)
    cores = {title.strip(): set(found.split()) for title, mark, found in marked if mark}
    assert cores.keys() == {"left", "right one"}
    assert not cores["left"] & cores["right one"]
    assert len(cores["left"] | cores["right one"]) == CORES
    assert len(os.sched_getaffinity(0)) == CORES  # this process keeps its own


def test_without_cores_for_all_they_run_one_after_the_other(commands, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    good, bad = stage("good", "ends_with", "0"), stage("bad", "ends_with", "1")
    with pytest.raises(StageFailedError, match="bad"):
        run_side_by_side([good, bad, stage("never", "wait")])
    assert (commands / "order").read_text().split() == ["0", "1"]


@needs_two_cores
@pytest.mark.parametrize(("code", "error"), [(1, StageFailedError), (2, UserError), (75, Stopped)])
def test_one_that_fails_stops_the_other_and_says_how(commands, code, error):
    failing = stage("failing", "ends_with", str(code), "waiting")
    with pytest.raises(error, match="failing"):
        run_side_by_side([stage("waiting", "wait", "waiting"), failing])
    assert (commands / "waiting.asked").read_text() == "once\n"


def started(commands, names):
    """A process that runs `wait` for each name, and the processes of these."""
    program = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in a background job
        "from clinical_t5x.console import run_command\n"
        "from clinical_t5x.pipeline import Stage\n"
        "from clinical_t5x.side_by_side import run_side_by_side\n"
        f"stages = [Stage(name, ('wait', name)) for name in {names!r}]\n"
        "run_command(lambda argv: run_side_by_side(stages))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    until(
        lambda: all((commands / name).exists() and (commands / name).read_text() for name in names)
    )
    return parent, [int((commands / name).read_text()) for name in names]


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@needs_two_cores
def test_kill_9_of_the_parent_ends_both(commands):
    parent, children = started(commands, ["one", "two"])
    parent.kill()
    parent.wait()
    until(lambda: not any(runs(child) for child in children))
    assert not list(commands.glob("*.asked"))  # ended at once, not asked


@needs_two_cores
def test_ctrl_c_asks_both_once(commands):
    parent, children = started(commands, ["one", "two"])
    parent.send_signal(signal.SIGINT)
    assert parent.wait(30) == 75
    assert "run the same command again" in parent.stderr.read()
    assert not any(runs(child) for child in children)
    assert (commands / "one.asked").exists() and (commands / "two.asked").exists()
