"""Work for several processes: they end with the one that started them, however it ends."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection


@contextlib.contextmanager
def ordered_map(workers: int) -> Iterator[Callable[[Callable, list], Iterator]]:
    """Yield a `map` of a function over a list whose calls run in `workers` processes.

    Results come in order. Processes start afresh, so that threads and devices of this one mean
    nothing to them; what they are given and give back is pickled. One worker is this process.
    """
    if workers <= 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_end_with_parent) as pool:
        yield pool.imap


def _end_with_parent() -> None:
    """Let a worker die when its parent was killed, rather than wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
