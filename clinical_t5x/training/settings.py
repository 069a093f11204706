"""Numbers that users set: checked before work begins, and named when they are none.

Gin takes any value for any parameter: '5' for a period would end a run at its first save.
"""

from __future__ import annotations

import numbers
from typing import Any

from clinical_t5x.console import UserError


def check_count(name: str, value: Any, *, least: int = 1, optional: bool = True) -> None:
    """Refuse what is no whole number, or below the least that makes sense.

    Args:
      name: What users call the setting.
      value: What they set it to.
      least: The smallest number.
      optional: Whether None will do.

    Raises:
      UserError: naming the setting, its value and what it must be.
    """
    if value is None and optional:
        return
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        other = " (or None)" if optional else ""
        raise UserError(f"{name} = {value!r}: must be a whole number, at least {least}{other}")


def check_number(name: str, value: Any) -> None:
    """Refuse what is no number.

    Raises:
      UserError: naming the setting and its value.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise UserError(f"{name} = {value!r}: must be a number")


def rate_name(rate: float) -> str:
    """What a learning rate is called in the names of folders and files."""
    return f"{rate:g}"
