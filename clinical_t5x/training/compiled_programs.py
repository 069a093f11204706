"""Compiled programs kept between runs, by JAX's persistent compilation cache."""

from __future__ import annotations

import logging
import os
import time
import zlib
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

_CHECKED = ".checked"  # its time says up to when entries are known to be whole
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20


def keep_compiled_programs() -> None:
    """Turn on JAX's persistent compilation cache.

    It lies in $JAX_COMPILATION_CACHE_DIR, else under the user's cache directory;
    JAX_ENABLE_COMPILATION_CACHE=0 turns it off.
    """
    import jax

    place = jax.config.jax_compilation_cache_dir
    if place is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        place = str(Path(home) / "clinical_t5x" / "xla")
        try:
            Path(place).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _log.info("no compilation cache: %s", error)
            return
        jax.config.update("jax_compilation_cache_dir", place)
    if "://" not in place:
        remove_partial_programs(Path(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def remove_partial_programs(place: Path) -> None:
    """Remove entries of which only the beginning was written.

    JAX writes them in place, so that a process killed then, or a full disk, leaves one behind; JAX
    never replaces it, and compiles its program anew in every run. Looks only at entries that came
    since the last look.
    """
    begun = time.time()
    try:
        stamp = place / _CHECKED
        last = stamp.stat().st_mtime if stamp.exists() else 0.0
        for entry in place.glob("*-cache"):
            if entry.stat().st_mtime >= last and not _is_whole(entry):
                entry.unlink()
        stamp.touch()
        os.utime(stamp, (begun, begun))
    except OSError as error:  # another process removed the same, or the place is read-only
        _log.info("the compilation cache was not looked through: %s", error)


def _is_whole(entry: Path) -> bool:
    with entry.open("rb") as file:
        chunk = file.read(_CHUNK)
        reader = _decompressor(chunk)
        if reader is None:
            return True
        try:
            while chunk and not reader.eof:
                reader.decompress(chunk)
                chunk = file.read(_CHUNK)
        except Exception:  # the libraries' own errors have no common kind
            return False
        return reader.eof


def _decompressor(beginning: bytes) -> Any:
    """What JAX compressed an entry with; None where it cannot be told here."""
    if not beginning.startswith(_ZSTD_MAGIC):
        return zlib.decompressobj()
    try:
        import zstandard
    except ImportError:
        return None
    return zstandard.ZstdDecompressor().decompressobj()
