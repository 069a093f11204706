"""A chain of stages, each a command that anyone can type, shown and run in order.

Nothing here knows how a stage works or whether its output is whole: the command behind a stage
finds that out by itself and then does nothing. So a chain that was stopped or killed goes on by
being run again, and what it skips is exactly what the command would skip.
"""

from __future__ import annotations

import dataclasses
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from clinical_t5x.console import EXIT_DONE, EXIT_RESUMABLE, EXIT_USAGE, Stopped, UserError, say


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of the way from notes to scores.

    Attributes:
      title: What it does, in a few words.
      arguments: The command line after `python -m`, as a person would type it; empty for a stage
        that shows its commands itself.
      run: Does the same inside this process; None starts `python -m ARGUMENTS`.
    """

    title: str
    arguments: tuple[str, ...]
    run: Callable[[], object] | None = None


class StageFailedError(Exception):
    """A stage's command ended with an error, which it has already explained."""


def run_stages(stages: Sequence[Stage]) -> None:
    """Run the stages in order.

    Raises:
      UserError, Stopped, StageFailedError: as the stage ended.
    """
    for number, stage in enumerate(stages, 1):
        say(f"\n[{number}/{len(stages)}] {stage.title}")
        if stage.arguments:
            say(f"$ python -m {shlex.join(stage.arguments)}")
        start = time.monotonic()
        if stage.run is None:
            _run_command(stage)
        else:
            stage.run()
        say(f"[{number}/{len(stages)}] took {time.monotonic() - start:.0f} s")


def _run_command(stage: Stage) -> None:
    """Run `python -m ARGUMENTS`; Ctrl-C reaches the command too, so wait for it to tidy up."""
    process = subprocess.Popen([sys.executable, "-m", *stage.arguments])
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    raise_for(stage, code)


def raise_for(stage: Stage, code: int) -> None:
    """Nothing, where the stage's command ended well; else its end as an exception."""
    if code == EXIT_DONE:
        return
    if code == EXIT_RESUMABLE:
        raise Stopped(f"in '{stage.title}'; run the same command again to go on")
    if code == EXIT_USAGE:
        raise UserError(f"'{stage.title}' could not run; its message is above")
    raise StageFailedError(f"'{stage.title}' ended with exit code {code}; its message is above")
