"""Exit codes and messages of commands, as DESIGN's small agreements promise."""

import os
import pty
import subprocess
import sys

import pytest

from clinical_t5x import console


def _exit_code(main, argv=(), capsys=None):
    with pytest.raises(SystemExit) as exit_info:
        console.run_command(main, list(argv))
    return exit_info.value.code


def _raise(error):
    def main(argv):
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (console.UserError("no file x; make it with y"), 2, "error: no file x; make it with y\n"),
        (console.Stopped("saved at step 3"), 75, "stopped: saved at step 3\n"),
        (RuntimeError("first\nsecond"), 1, "failed: RuntimeError: first (--debug shows where)\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error, code, message, capsys):
    assert _exit_code(_raise(error)) == code
    assert capsys.readouterr().err == message


def test_interrupt_is_resumable(capsys):
    assert _exit_code(_raise(KeyboardInterrupt())) == 75
    assert "again" in capsys.readouterr().err


def test_debug_shows_the_traceback_and_is_taken_out_of_the_arguments(capsys, monkeypatch):
    monkeypatch.setenv("CLINICAL_T5X_DEBUG", "")
    monkeypatch.delenv("CLINICAL_T5X_DEBUG")  # what `--debug` sets is undone with this
    seen = []

    def main(argv):
        seen.extend(argv)
        raise console.UserError("bad")

    assert _exit_code(main, ["--debug", "--x"]) == 2
    assert seen == ["--x"]
    assert "Traceback" in capsys.readouterr().err
    show = "from clinical_t5x import console; console.run_command(lambda argv: [].pop())"
    child = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True)
    assert child.returncode == 1 and "IndexError" in child.stderr
    assert "Traceback" in child.stderr


def test_success_is_zero():
    assert _exit_code(lambda argv: None) == 0


def test_plain_progress_reports_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(console, "_PLAIN_REPORT_SECONDS", 0.0)
    with console.Progress("reading", 10, unit="notes") as progress:
        progress.advance(5, note="half")
    line = capsys.readouterr().err
    assert "reading: 5 of 10 (50%)" in line
    assert "notes/s" in line and "left" in line and "half" in line


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("open('.')", ". is a directory"),
        ("open('file/below')", "file/below is a file, or lies below one"),
        ("os.mkdir('file')", "file is there already, and is no directory"),
    ],
)
def test_a_place_of_the_wrong_kind_is_one_line(tmp_path, act, said):
    (tmp_path / "file").touch()
    code = "import os; from clinical_t5x import console\n"
    code += f"console.run_command(lambda argv: {act})"
    command, environment = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": os.getcwd()}
    child = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert child.returncode == console.EXIT_USAGE
    assert child.stderr == f"error: {said}; name another place, or mend this one\n"


def test_sigterm_ends_any_command_as_ctrl_c_does():
    wait = "import time; from clinical_t5x import console\n"
    wait += "console.run_command(lambda argv: (console.say('begun'), time.sleep(60)))"
    command = [sys.executable, "-c", wait]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == console.EXIT_RESUMABLE
    assert errors == "stopped: run the same command again to go on from here\n"


NESTED = """
import time
from clinical_t5x.console import Progress, say
with Progress("outer", 2, unit="step") as outer:
    outer.advance(note="loss 1.5")
    with Progress("inner", 3, unit="batch") as inner:
        inner.advance(3)
        time.sleep(0.3)
    say("a line between")
    outer.advance()
    time.sleep(0.3)
with Progress("after", 1) as after:
    after.advance()
"""


def test_bars_share_a_terminal():
    """On a real terminal: a bar within a bar, a line printed meanwhile, and another bar after."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", NESTED],
        stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while True:
        try:
            block = os.read(controller, 4096)
        except OSError:  # the other end was closed
            break
        if not block:
            break
        shown += block
    assert process.wait() == 0, shown
    for text in (b"outer", b"inner", b"3/3", b"loss 1.5", b"a line between", b"after"):
        assert text in shown
    assert b"Error" not in shown
