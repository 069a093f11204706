"""The compilation cache does not keep what was only begun to be written."""

import os
import time
import zlib

import pytest
import zstandard

from clinical_t5x.training import compiled_programs

PROGRAM = os.urandom(3_000_000)


@pytest.mark.parametrize("compress", [zlib.compress, zstandard.ZstdCompressor().compress])
def test_partial_entries_go_and_whole_ones_stay(tmp_path, compress):
    whole = compress(PROGRAM)
    (tmp_path / "whole-cache").write_bytes(whole)
    for size in (0, 1, 3, 1000, 1 << 20, len(whole) - 1):
        (tmp_path / f"first_{size}-cache").write_bytes(whole[:size])
    compiled_programs.remove_partial_programs(tmp_path)
    assert [path.name for path in tmp_path.glob("*-cache")] == ["whole-cache"]


def test_looks_at_an_entry_once(tmp_path):
    """An entry that came later is looked at, one from before is not."""
    compiled_programs.remove_partial_programs(tmp_path)
    (tmp_path / "old-cache").write_bytes(b"")
    (tmp_path / "new-cache").write_bytes(b"")
    os.utime(tmp_path / "old-cache", (time.time() - 60,) * 2)
    compiled_programs.remove_partial_programs(tmp_path)
    assert [path.name for path in tmp_path.glob("*-cache")] == ["old-cache"]


def test_a_cache_that_cannot_be_read_is_left_alone(tmp_path):
    compiled_programs.remove_partial_programs(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
