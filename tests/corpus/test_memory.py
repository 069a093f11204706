import subprocess
import sys

import pytest

from clinical_t5x.corpus import memory

PREPARE = "import os, clinical_t5x.corpus.pipeline; print(os.environ['_RJEM_MALLOC_CONF'])"


@pytest.mark.parametrize("set_by_user", ["", "dirty_decay_ms:7"])
def test_polars_is_told_before_it_is_imported(monkeypatch, set_by_user):
    """polars puts its own settings before those that it finds; the last ones count."""
    monkeypatch.delenv("_RJEM_MALLOC_CONF", raising=False)
    if set_by_user:
        monkeypatch.setenv("_RJEM_MALLOC_CONF", set_by_user)
    told = subprocess.run(
        [sys.executable, "-c", PREPARE], capture_output=True, text=True, check=True
    ).stdout.strip()
    expected = set_by_user or "dirty_decay_ms:500,muzzy_decay_ms:0"
    assert told.endswith(expected)
    assert len(told) > len(expected)


def test_memory_is_given_back_more_than_once():
    memory.give_back()
    memory.give_back()
