"""The command that shows a part: the same units as the task has, hashed, and no text."""

import json

import pytest
from etils import epath

import tasks.mednli
from clinical_t5x import subset as command
from clinical_t5x.console import UserError
from clinical_t5x.data.loader import open_examples
from clinical_t5x.evaluation.results import hash_units
from tests.data import tiny


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data home with everything in it."""
    return tiny.make_home(epath.Path(tmp_path_factory.mktemp("subset")))


def test_units_are_those_of_the_task_and_hashed_as_in_results(home, tmp_path, capsys, monkeypatch):
    out = tmp_path / "part.json"
    options = ["--benchmark", "mednli", "--fraction", "0.5", "--seed", "1", "--out", str(out)]
    assert command.main([*options, "--data_dir", str(home), "--json"]) == 0
    said = capsys.readouterr().out
    assert "train: 1 units, 9 examples (published: 2, 18)" in said
    assert "33.3 % neutral (published: 33.3 %)" in said
    found = json.loads(out.read_text())
    assert json.loads(said.splitlines()[-1]) == found
    assert found["synthetic"]
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(home))
    name = tasks.mednli.register(fraction=0.5, subset_seed=1)
    assert found["name"] == name
    units = {record["unit"] for record in open_examples(name, split="train").records}
    assert found["splits"]["train"]["hashed_units"] == [
        value.decode() for value in hash_units("mednli", sorted(units))
    ]
    assert not any(unit in out.read_text() for unit in units), "no plain unit id"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fraction", "0.001"], "leaves no unit"),
        (["--folds", "3"], "fold is not given"),
        (["--data_dir", "/no/such/home"], "make it with: python -m clinical_t5x.prepare"),
    ],
)
def test_mistakes_are_said(home, options, message):
    with pytest.raises(UserError, match=message):
        command.main(["--benchmark", "clip", "--data_dir", str(home), *options])
