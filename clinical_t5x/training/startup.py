"""Where the time goes from a command to its first completed step.

A run marks the end of each part as it passes it; what a second mark of the same part adds is added.
Outside a command or `run_program` nothing is being started and marks do nothing.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# In the order in which they are told.
PARTS = ("imports", "gin", "data", "state", "compile", "first step")

_begun: float | None = None
_marked = 0.0
_spent: dict[str, float] = {}


def begin(*, with_process: bool = False) -> None:
    """Begin to count: from now, or from the moment in which this process was started."""
    global _begun, _marked
    _begun = _marked = _process_began() if with_process else time.monotonic()
    _spent.clear()


def begun() -> float | None:
    """When the counting began, by `time.monotonic()`; None where nothing is being started."""
    return _begun


def mark(part: str) -> None:
    """Count the time since the last mark as spent on one of `PARTS`."""
    global _marked
    if _begun is None:
        return
    if part not in PARTS:
        raise ValueError(f"{part!r} is none of {PARTS}")
    now = time.monotonic()
    _spent[part] = _spent.get(part, 0.0) + now - _marked
    _marked = now


def end() -> str | None:
    """Stop counting; the parts in one line, or None where nothing was being started."""
    global _begun
    if _begun is None:
        return None
    _begun = None
    parts = ", ".join(f"{part} {_spent[part]:.1f}" for part in PARTS if part in _spent)
    return f"first step after {sum(_spent.values()):.1f} s: {parts}"


def _process_began() -> float:
    """When the process was started, by `time.monotonic()`; where the system hides it, now."""
    now = time.monotonic()
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return now
    # proc(5): the 22nd field is the start in ticks since boot; the 2nd was the last one cut off
    return now - (uptime - int(after_name[19]) / os.sysconf("SC_CLK_TCK"))
