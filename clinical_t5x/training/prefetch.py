"""Batches made ahead of the step that needs them, by one thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

# Seconds between two looks at the device while a batch is waited for.
_LOOK = 0.002


class Prefetcher:
    """Calls `make(step)` for successive steps in a thread and hands the results out in order.

    `make` is a pure function of the step, so that what is in flight when a run ends is of no
    consequence. Use as a context manager; leaving it ends the thread.

    Args:
      make: From step to batch.
      first: The first step.
      last: One past the last step.
      ahead: How many batches may wait.
      is_busy: Whether the device still has work: a wait for a batch costs nothing as long.
      starved: Told the seconds in which a batch was waited for and the device had no work.
    """

    def __init__(
        self,
        make: Callable[[int], Any],
        first: int,
        last: int,
        *,
        ahead: int = 2,
        is_busy: Callable[[], bool] = lambda: False,
        starved: Callable[[float], None] = lambda seconds: None,
    ):
        self._make, self._steps = make, range(first, last)
        self._is_busy, self._starved = is_busy, starved
        self._ready: queue.Queue = queue.Queue(maxsize=ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)

    def __enter__(self) -> Prefetcher:
        self._thread.start()
        return self

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Yield (step, batch); an error in `make` is raised here."""
        for step in self._steps:
            batch, error = self._take()
            if error is not None:
                raise error
            yield step, batch

    def _take(self) -> tuple[Any, Exception | None]:
        while self._is_busy():
            try:
                return self._ready.get(timeout=_LOOK)
            except queue.Empty:
                continue
        begun = time.monotonic()
        taken = self._ready.get()
        self._starved(time.monotonic() - begun)
        return taken

    def _run(self) -> None:
        for step in self._steps:
            try:
                item = self._make(step), None
            except Exception as error:  # handed over to the thread that asked
                item = None, error
            if not self._put(item) or item[1] is not None:
                return

    def _put(self, item: Any) -> bool:
        """Wait for room; False when the consumer left."""
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()
