"""How fast to ask, and how long to wait before asking again."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
_LONGEST_ASKED_WAIT = 3600.0  # that a server may ask for


def wait_before(attempt: int, asked: float | None, rng: random.Random) -> float:
    """Seconds before attempt number `attempt` (the second is 1).

    Doubling, with up to half as much again at random so that many clients do not come back at once;
    never less than the server asked for.
    """
    wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1)) * rng.uniform(1.0, 1.5)
    return wait if asked is None else max(wait, asked)


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a reply asks to wait: Retry-After as a number or date, or retry-after-ms.

    Args:
      headers: names in lower case.
      now: seconds since 1970.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                seconds = email.utils.parsedate_to_datetime(value).timestamp() - now
            except (TypeError, ValueError):
                continue
        if seconds == seconds:  # not NaN
            return min(max(0.0, seconds), _LONGEST_ASKED_WAIT)
    return None


class RateLimit:
    """Spaces requests out over all threads.

    Args:
      requests_per_minute: at most; None is no limit.
      tokens_per_minute: of prompts and possible replies, at most; None is no limit.
      clock: the time in seconds.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._requests, self._tokens = requests_per_minute, tokens_per_minute
        self._clock, self._next = clock, clock()
        self._lock = threading.Lock()

    def wait(self, tokens: int, sleep: Callable[[float], Any] = time.sleep) -> None:
        """Wait until a request of so many tokens may go, or `sleep` returns True: to stop."""
        with self._lock:
            start = max(self._clock(), self._next)
            spacings = [0.0]
            if self._requests:
                spacings.append(60.0 / self._requests)
            if self._tokens:
                spacings.append(60.0 * tokens / self._tokens)
            self._next = start + max(spacings)
        while (left := start - self._clock()) > 0:
            if sleep(left):
                return

    def hold(self, seconds: float) -> None:
        """Let nobody go for so long: the server said that it is too much."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)
