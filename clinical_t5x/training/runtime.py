"""What a run needs from its process: its random streams, and stopping in order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

# Keys of the run's random streams, folded into RANDOM_SEED.
INIT_STREAM, DROPOUT_STREAM = 0, 1


def random_key(seed: int, stream: int, *, hardware: bool = False) -> Any:
    """The key of one of the run's random streams.

    Args:
      seed: RANDOM_SEED.
      stream: INIT_STREAM or DROPOUT_STREAM.
      hardware: Take the accelerator's generator: faster on TPU, but its bits depend on the mesh.
    """
    import jax

    key = jax.random.key(seed, impl="rbg" if hardware else "threefry2x32")
    return jax.random.fold_in(key, stream)


class StopAtOnce(BaseException):
    """A request to stop that came during work which may be cut off, see `StopRequest.at_once`."""


class StopRequest:
    """Ctrl-C and SIGTERM as a flag that the loop reads between two steps.

    A second Ctrl-C interrupts at once. Outside the main thread, where Python allows no handlers,
    signals keep their usual meaning. Use as a context manager.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._previous: dict[int, Any] = {}
        self._raises = False

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.reason = {signal.SIGINT: "Ctrl-C"}.get(number, "SIGTERM")
        if self._raises:
            raise StopAtOnce

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a request cut off what is inside the block, which can be made up for later.

        Raises:
          StopAtOnce: when a request comes, or came before.
        """
        self._raises = True
        try:
            if self.reason is not None:
                raise StopAtOnce
            yield
        finally:
            self._raises = False

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
