"""Chains of stages: order, exit codes, and what a person is told."""

import sys

import pytest

from clinical_t5x.console import Stopped, UserError
from clinical_t5x.pipeline import Stage, StageFailedError, run_stages


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A module `ends_with` that writes a line and exits with the code it is given."""
    (tmp_path / "ends_with.py").write_text(
        "import pathlib, sys\n"
        "with pathlib.Path('ran').open('a') as file: file.write(sys.argv[1] + '\\n')\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    monkeypatch.chdir(tmp_path)
    return lambda: (tmp_path / "ran").read_text().split()


def stage(code, run=None):
    return Stage(f"end with {code}", ("ends_with", str(code)), run)


def test_stages_run_in_order_and_are_shown_as_they_can_be_typed(commands, capsys):
    inside = []
    run_stages([stage(0), stage(7, run=lambda: inside.append("here")), stage("00")])
    assert (commands(), inside) == (["0", "00"], ["here"])
    shown = capsys.readouterr().out
    assert "[2/3] end with 7\n$ python -m ends_with 7\n" in shown


@pytest.mark.parametrize(
    ("code", "error"),
    [(1, StageFailedError), (2, UserError), (75, Stopped), (-9, StageFailedError)],
)
def test_a_command_that_fails_ends_the_chain_in_its_own_way(commands, code, error):
    if code < 0:
        kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        with open("ends_with.py", "w") as file:
            file.write(kill)
    with pytest.raises(error, match="end with"):
        run_stages([stage(code), stage(0)])
    if code > 0:
        assert commands() == [str(code)]


def test_stages_use_this_python(commands, capfd):
    with open("ends_with.py", "w") as file:
        file.write("import sys; print(sys.executable)")
    run_stages([stage(0)])
    assert sys.executable in capfd.readouterr().out
