"""Numbers as a report writes them."""

from __future__ import annotations


def percent(value: float) -> str:
    """A fraction in per cent with one decimal."""
    return f"{100 * value:.1f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval in per cent."""
    if low is None or high is None:
        return "no interval"
    return f"{percent(low)} to {percent(high)}"


def points(value: float) -> str:
    """A difference in percentage points, signed."""
    return f"{100 * value:+.1f}"


def p_value(value: float) -> str:
    """A p-value as one reports it."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def counted(count: int, noun: str) -> str:
    """A number and what it counts, in the plural unless it is one."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{count:,} {noun if count == 1 else plural}"
