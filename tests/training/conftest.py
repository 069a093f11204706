import pytest

from clinical_t5x.training import compiled_programs


@pytest.fixture(autouse=True, scope="session")
def compiled_programs_are_kept():
    """The same tiny programs are compiled in many tests, and in the next session again."""
    compiled_programs.keep_compiled_programs()
