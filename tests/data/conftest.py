import pytest
from etils import epath

from tests.data import tiny


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory):
    """A data home with everything in it; tests must not change it."""
    return tiny.make_home(epath.Path(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def in_tiny_home(tiny_home, monkeypatch):
    """The tiny data home as the default one."""
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tiny_home))
    return tiny_home
