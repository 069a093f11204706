"""How the loops of this package are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """A function that numba compiles at its first call and that leaves the interpreter free."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no directory to keep the result in
        return numba.njit(nogil=True)(function)
