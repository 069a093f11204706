import os

import pytest


@pytest.fixture(autouse=True)
def environment_as_before(tmp_path, monkeypatch):
    """A plan sets what JAX and libtpu read when they start; compiled figures stay in the test."""
    before = dict(os.environ)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
