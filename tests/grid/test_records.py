"""Damaged files in a run's directory: named, with a cure."""

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.grid import sharing
from clinical_t5x.grid.__main__ import main
from clinical_t5x.grid.cells import cells_of
from clinical_t5x.storage import write_text_atomically
from tests.grid.test_sharing import finish


@pytest.mark.parametrize("content", ["", '{"made_from": {', "{}", "[]", '{"made_from": 1}'])
@pytest.mark.parametrize("name", ["run.json", "_COMPLETE.json"])
def test_damaged_files_are_named_with_the_cure(described, name, content):
    cell = next(cells_of(described))
    finish(cell)
    path = cell.directory / name
    write_text_atomically(path, content)
    with pytest.raises(UserError, match=rf"{name} is damaged; remove that run's directory"):
        sharing.refuse_other_runs([cell])
        sharing.state_of(cell)


@pytest.mark.parametrize("content", ["", '{"reason": "it', "{}", "[]"])
def test_a_damaged_failure_is_a_failure_that_can_be_tried_again(described, content, capsys):
    cell = next(cells_of(described))
    write_text_atomically(cell.directory / "failure.json", content)
    models = ["--model", "scratch=none", "--tasks", "mednli", "--only", cell.name]
    assert main(["--out", str(described.out), *models, "--status", "--json"]) == 0
    said = capsys.readouterr().out
    assert "nobody knows why" in said and "failure.json is damaged" in said
    assert sharing.forget_failures([cell]) == 1
    assert sharing.state_of(cell)[0] is sharing.State.WAITING
