"""Commands that run at the same time, each on its share of the processor's cores.

A small model leaves most of a second core idle: two trainings with one core each take about two
thirds of the time of one after the other with both. What the commands print is shown line by line,
with the name of the command before it.

The commands end with the process that started them, however that ends: their input is a pipe from
it, and `end_with_parent`, called by them, ends a process when the other end of that is gone.
"""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence

from clinical_t5x.console import EXIT_DONE, EXIT_RESUMABLE, say
from clinical_t5x.pipeline import Stage, raise_for

_ENDS_WITH_INPUT = "CLINICAL_T5X_ENDS_WITH_INPUT"
_LAST_WORDS_SECONDS = 600  # a training that is asked to stop writes a checkpoint first


def run_side_by_side(stages: Sequence[Stage]) -> None:
    """Run the commands of the stages at the same time, or in turn where cores do not suffice.

    The titles of the stages are written before the lines of their commands. When one of them fails
    or is stopped, the others are asked to stop by SIGTERM, as all are by Ctrl-C.

    Args:
      stages: With commands, of which each calls `end_with_parent`.

    Raises:
      UserError, Stopped, StageFailedError: as the first stage ended that did not end well.
    """
    shares = _shares_of_cores(len(stages))
    width = max(len(stage.title) for stage in stages)
    if shares is None:
        for stage in stages:
            _wait_for([_Running(stage, width, cores=None)])
    else:
        pairs = zip(stages, shares, strict=True)
        _wait_for([_Running(stage, width, cores=cores) for stage, cores in pairs])


def end_with_parent() -> None:
    """End this process when the one that started it is gone; nothing where a person started it."""
    if os.environ.pop(_ENDS_WITH_INPUT, None) is None:
        return

    def watch() -> None:
        while os.read(0, 1):  # not through sys.stdin, whose lock an orderly end would wait for
            pass
        os._exit(EXIT_RESUMABLE)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


class _Running:
    """A command that was started, and the thread that shows what it prints."""

    def __init__(self, stage: Stage, width: int, cores: set[int] | None):
        self.stage = stage
        self._before = f"{stage.title:{width}} | "
        self._say(f"$ python -m {shlex.join(stage.arguments)}")
        # In a session of its own: it is stopped by `ask_to_stop` alone, not by the terminal too.
        self.process = subprocess.Popen(
            [sys.executable, "-m", *stage.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            env=os.environ | {_ENDS_WITH_INPUT: "1"},
        )
        if cores is not None:  # before it starts threads: they inherit the cores
            os.sched_setaffinity(self.process.pid, cores)
        self._shown = threading.Thread(target=self._show, daemon=True)
        self._shown.start()

    def _say(self, line: str) -> None:
        say(f"{self._before}{line}")

    def _show(self) -> None:
        for line in self.process.stdout:
            if line.strip():
                self._say(line.rstrip("\n"))

    def ask_to_stop(self) -> None:
        # Not SIGINT: what a shell starts in the background ignores it, and so do its children.
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self, seconds: float | None = None) -> int:
        code = self.process.wait(seconds)
        self._shown.join(timeout=10)
        return code


def _wait_for(running: Sequence[_Running]) -> None:
    """Until all have ended; the first that ends badly stops the others."""
    ended = threading.Semaphore(0)
    failed: list[_Running] = []

    def follow(one: _Running) -> None:
        if one.wait() != EXIT_DONE:
            failed.append(one)
        ended.release()

    for one in running:
        threading.Thread(target=follow, args=(one,), daemon=True).start()
    try:
        for _ in running:
            ended.acquire()
            if failed:
                break
    finally:
        for one in running:
            one.ask_to_stop()
        for one in running:
            one.wait(_LAST_WORDS_SECONDS)
    if failed:
        raise_for(failed[0].stage, failed[0].process.returncode)


def _shares_of_cores(count: int) -> list[set[int]] | None:
    """The cores of each of `count` processes; None where they cannot be told apart or are fewer."""
    if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < count:
        return None
    edges = [len(cores) * number // count for number in range(count + 1)]
    return [set(cores[begin:end]) for begin, end in itertools.pairwise(edges)]
