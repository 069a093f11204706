"""What a person sees: errors with a cure, progress with rate and time left, exit codes.

Every command goes through `run_command`, so that bad input ends in one clear message and the exit
code that DESIGN's small agreements promise. Library code raises `UserError`; it never prints.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import logging
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_RESUMABLE = 75

_DEBUG = "CLINICAL_T5X_DEBUG"  # set: tracebacks are shown, as with --debug
_PLAIN_REPORT_SECONDS = 10.0
# What a path that a person named is refused with by the operating system.
_PLACES = (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


class UserError(Exception):
    """A mistake in the input or the call: the message names the thing and what to do about it."""


class Stopped(Exception):  # noqa: N818 - a request that was carried out, not an error
    """The run was asked to stop (Ctrl-C, SIGTERM), saved what it had, and can be resumed."""


@dataclasses.dataclass(frozen=True)
class Host:
    """This process among those of its run.

    Attributes:
      index: its number; number 0 speaks to the person at the terminal, the others only of errors.
      count: how many there are.
      machine: the name of its machine.
    """

    index: int = 0
    count: int = 1
    machine: str = ""


_host = Host()


def speak_as(host: Host) -> None:
    """Say which process of a run this one is; it is on its own until then."""
    global _host
    _host = host
    if host.index:
        logging.getLogger("clinical_t5x").setLevel(logging.ERROR)


def this_host() -> Host:
    """Which process of a run this one is."""
    return _host


def say(text: str = "") -> None:
    """Print one line for the person at the terminal, at once."""
    if _host.index == 0:
        print(text, flush=True)


def say_json(summary: dict[str, Any]) -> None:
    """Print a machine-readable summary as the last line of standard output."""
    if _host.index == 0:
        print(json.dumps(summary, sort_keys=True), flush=True)


def quiet_third_parties() -> None:
    """Silence start-up noise of TensorFlow, absl and JAX; their errors still come through.

    Must run before those libraries are imported: they read the environment at import.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("ABSL_MIN_LOG_LEVEL", "3")
    for name in ("jax", "orbax", "absl", "tensorflow", "tensorflow_datasets", "seqio"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)


def quiet_failed_saves() -> None:
    """Leave it to the command's one message to tell of a checkpoint that could not be written.

    Orbax logs the failure in each of its threads, with the whole way there, and closes the event
    loop to which TensorStore's threads then report the other arrays; that would come to a thousand
    lines, some of them after the message.
    """
    logging.getLogger("absl").addFilter(lambda record: "/orbax/" not in record.pathname)
    logging.getLogger("asyncio").addFilter(lambda record: "never retrieved" not in record.msg)
    warnings.filterwarnings(
        "ignore", message="coroutine .* was never awaited", category=RuntimeWarning
    )
    tell = sys.unraisablehook

    def tell_others(unraisable):
        if str(unraisable.exc_value) != "Event loop is closed":
            tell(unraisable)

    sys.unraisablehook = tell_others


def run_command(main: Callable[[Sequence[str]], int | None], argv: Sequence[str] | None = None):
    """Run a command's `main(argv)` and exit with the agreed code; `--debug` shows tracebacks.

    `--debug` is taken out of `argv` here, so that every command has it; the environment hands it on
    to the commands that this one starts.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if "--debug" in argv:
        os.environ[_DEBUG] = "1"
    debug = _DEBUG in os.environ
    argv = [argument for argument in argv if argument != "--debug"]
    # Libraries make hundreds of thousands of objects that stay. With Python's own threshold (700)
    # the search for garbage among them is a sixth of the import of JAX and TensorFlow.
    gc.set_threshold(10_000)
    code = _guarded(main, argv, debug=debug)
    if code in (EXIT_FAILED, EXIT_USAGE) and _host.count > 1:
        # An orderly end would wait for the other hosts, which may be waiting for this one.
        sys.stdout.flush()
        os._exit(code)
    # The interpreter ends by looking for garbage among all objects, those of every library; for
    # half a second, and in vain.
    gc.freeze()
    sys.exit(code)


def _guarded(main: Callable, argv: Sequence[str], *, debug: bool) -> int:
    quiet_third_parties()
    if not debug:
        quiet_failed_saves()
    try:
        with interrupt_on_sigterm():
            return main(argv) or EXIT_DONE
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        code, message = _explanation(error)
        if code != EXIT_RESUMABLE or _host.index == 0:
            print(message, file=sys.stderr, flush=True)
        return code


def _explanation(error: BaseException) -> tuple[int, str]:
    """The exit code and the one line that a person sees for an error."""
    where = f" on host {_host.index} of {_host.count} ({_host.machine})" if _host.count > 1 else ""
    if isinstance(error, UserError):
        return EXIT_USAGE, f"error{where}: {error}"
    if isinstance(error, Stopped):
        return EXIT_RESUMABLE, f"stopped: {error}"
    if isinstance(error, KeyboardInterrupt):
        return EXIT_RESUMABLE, "stopped: run the same command again to go on from here"
    if isinstance(error, _PLACES) and error.filename:
        return EXIT_USAGE, f"error{where}: {_place(error)}; name another place, or mend this one"
    return (
        EXIT_FAILED,
        f"failed{where}: {type(error).__name__}: {_first_line(error)} (--debug shows where)",
    )


def _place(error: OSError) -> str:
    """What is wrong with the place that an operation named: 'PATH is a directory'."""
    wrong = {
        FileExistsError: "is there already, and is no directory",
        IsADirectoryError: "is a directory",
        NotADirectoryError: "is a file, or lies below one",
        PermissionError: f"may not be read or written ({error.strerror})",
    }
    said = next(text for kind, text in wrong.items() if isinstance(error, kind))
    return f"{os.fspath(error.filename)} {said}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else "no message"


@contextlib.contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt inside the block, so that both stop a command alike."""

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


class Progress:
    """A bar with rate and time left on a terminal; a line every ten seconds elsewhere.

    Hosts other than the first show none.

    Use as a context manager and call `advance(n)`; `note` puts a short text beside the bar. A bar
    inside the block of another shares its display and disappears when it is done.
    """

    _display: Any = None  # the terminal's bars while there are any

    def __init__(self, description: str, total: int | None = None, *, unit: str = "it"):
        self._description, self._total, self._unit = description, total, unit
        self._done = 0
        self._note = ""
        self._bar: Any = None
        self._outermost = False

    def __enter__(self) -> Progress:
        self._start = self._last_report = time.monotonic()
        if sys.stderr.isatty() and _host.index == 0:
            self._outermost = Progress._display is None
            if self._outermost:
                Progress._display = _terminal_display()
                Progress._display.start()
            self._bar = Progress._display
            self._task = self._bar.add_task(self._description, total=self._total, note="", rate="")
        return self

    def advance(self, count: int = 1, *, note: str | None = None) -> None:
        """Count `count` more units as done."""
        self._done += count
        self._note = self._note if note is None else note
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, advance=count, note=self._note, rate=self._rate(now))
        elif now - self._last_report >= _PLAIN_REPORT_SECONDS and _host.index == 0:
            self._last_report = now
            print(self._plain_line(now), file=sys.stderr, flush=True)

    def _rate(self, now: float) -> str:
        rate = self._done / max(now - self._start, 1e-9)
        return f"{rate:,.0f} {self._unit}/s" if rate >= 10 else f"{rate:.2g} {self._unit}/s"

    def _plain_line(self, now: float) -> str:
        of_total, left = "", ""
        if self._total:
            of_total = f" of {self._total:,} ({100 * self._done / self._total:.0f}%)"
            seconds = (now - self._start) / max(self._done, 1) * (self._total - self._done)
            left = f", {_duration(seconds)} left"
        note = f"  {self._note}" if self._note else ""
        return f"  {self._description}: {self._done:,}{of_total}, {self._rate(now)}{left}{note}"

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is None:
            return
        if self._outermost:
            self._bar.stop()
            Progress._display = None
        else:
            self._bar.remove_task(self._task)


def _terminal_display() -> Any:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("  {task.description}"),
        progress.BarColumn(bar_width=30),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def track(
    items: Iterable, description: str, total: int | None = None, *, unit: str = "it"
) -> Iterator:
    """Iterate over `items` behind a `Progress` bar."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    with Progress(description, total, unit=unit) as progress:
        for item in items:
            yield item
            progress.advance()
