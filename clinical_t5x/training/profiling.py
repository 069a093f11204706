"""A profile of some steps, by JAX's profiler, in MODEL_DIR/profile.

It shows what devices and threads did and when: names of operations and their times, no data.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from etils import epath

from clinical_t5x import console
from clinical_t5x.training.measuring import TimeAccount
from clinical_t5x.training.profile_window import ProfileWindow

DIRECTORY = "profile"

_log = logging.getLogger(__name__)


class Profiler:
    """Traces the steps of a window.

    Use as a context manager around the loop: a run that ends inside the window leaves the profile
    of what it did.

    Args:
      window: None for no profile.
      model_dir: MODEL_DIR.
      settle: Waits until all steps that were begun are done.
      account: The process's time; what the profile itself takes is counted apart.
    """

    def __init__(
        self,
        window: ProfileWindow | None,
        model_dir: Any,
        settle: Callable[[], None],
        account: TimeAccount,
    ):
        self._window, self._settle, self._account = window, settle, account
        self._place = epath.Path(model_dir) / DIRECTORY
        self._traced: tuple[int, int] | None = None  # steps, while tracing
        self._directory = ""

    def __enter__(self) -> Profiler:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._traced is not None:
            self._write()

    @contextlib.contextmanager
    def around(self, step: int) -> Iterator[None]:
        """To be put around the beginning of the update after `step` steps."""
        window = self._window
        if window is None or not window.first <= step < window.last:
            yield
            return
        if self._traced is None:
            self._begin(step)
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield
        if self._traced is None:  # it could not be begun
            return
        self._traced = self._traced[0], step + 1
        if step + 1 == window.last:
            self._settle()
            self._write()

    def _begin(self, step: int) -> None:
        self._settle()  # so that no earlier step is in the profile
        # JAX writes to local directories only
        remote = "://" in str(self._place)
        self._directory = tempfile.mkdtemp() if remote else str(self._place)
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # every Python call: slow, and too much to look at
        with self._account.spending("profile"):
            try:
                jax.profiler.start_trace(self._directory, profiler_options=options)
            except RuntimeError as error:  # somebody profiles this process already
                _log.warning("no profile of the steps from %s on: %s", step, error)
                self._window = None
                return
        self._traced = step, step

    def _write(self) -> None:
        first, last = self._traced
        self._traced = None
        with self._account.spending("profile"):
            jax.profiler.stop_trace()
            if self._directory != str(self._place):
                _move(Path(self._directory), self._place)
        console.say(
            f"  profile of steps {first + 1:,} to {last:,} in {self._place}; to see it: "
            f"pip install xprof; xprof --logdir={self._place}"
        )


def _move(source: Path, target: epath.Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(source).as_posix()
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    shutil.rmtree(source)
