"""Memory that the process holds and does not use goes back to the system.

Three allocators serve polars, pyarrow and numpy, and each keeps what was freed for itself: stages
that follow each other would need the sum of what each needs alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_POLARS = "_RJEM_MALLOC_CONF"  # polars reads it when it is imported


def keep_little() -> None:
    """Let polars keep freed memory for half a second instead of one and a half.

    Less would cost time: with a twentieth of a second, 6 % of a preparation. What a user has set
    stands.
    """
    os.environ.setdefault(_POLARS, "dirty_decay_ms:500,muzzy_decay_ms:0")


def reuse() -> None:
    """Let the C library keep up to a quarter of a gigabyte of what was freed, for the next batch.

    The system would clear every page of it anew, which is 5 % of a preparation. `give_back` returns
    it between stages. What a user has set stands.
    """
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    with contextlib.suppress(OSError, AttributeError):  # another system than Linux with glibc
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(_M_TRIM_THRESHOLD, 256 << 20)
        library.mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the largest that it takes


def give_back() -> None:
    """Return what pyarrow and the C library keep."""
    import pyarrow as pa  # here, as this module is imported before all others

    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # another system than Linux with glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
