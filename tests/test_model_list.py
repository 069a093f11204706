"""`clinical-t5x models`: what a person sees of the registry."""

import json
import subprocess
import sys
import time

import pytest

from clinical_t5x import model_list
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.registry import MODELS


def shown(capsys, *arguments) -> str:
    assert model_list.main(arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 100, 135, 160])
def test_every_model_is_in_the_table_whole_at_any_width(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    out = shown(capsys)
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out
    for key in MODELS:
        assert f"  {key} " in out
    assert ("UFNLP/gatortron-base" in out) == (width >= 135)
    assert ("Apache-2.0" in out) == (width >= 155)


def test_a_group_alone(capsys):
    out = shown(capsys, "--group", "appendix")
    assert "clinicalbert" in out and "t5_base" not in out


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("key", MODELS)
def test_every_model_can_be_shown_whole(capsys, monkeypatch, key, width):
    monkeypatch.setenv("COLUMNS", str(width))
    out = shown(capsys, key)
    row = MODELS[key]
    assert row.name in out and row.licence.split()[0] in out
    described, command = out.split("To run it")
    assert "…" not in described
    assert max(map(len, described.splitlines())) <= width
    for line in row.command.splitlines():
        assert f"  {line}\n" in command


def test_published_numbers_and_their_errors_are_shown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    out = shown(capsys, "pubmedgpt")
    assert "0.870±.009" in out  # Table 7
    assert "0.291±.017" in out  # Table 12, 1 %
    assert "WRONG: this is T5-XL's number" in out
    assert "of test" in out and "25%" in shown(capsys, "gpt3")
    assert "1.4e19" in shown(capsys, "gatortron")  # the wrong cell of Table 3
    assert "The paper does not have this model" in shown(capsys, "qwen3_8b")


def test_a_hugging_face_id_is_a_name_too(capsys):
    assert "gatortron" in shown(capsys, "UFNLP/gatortron-base")


def test_json_has_everything(capsys):
    document = json.loads(shown(capsys, "--json"))
    assert [row["key"] for row in document["models"]] == list(MODELS)
    one = json.loads(shown(capsys, "t5_xl", "--json"))
    assert one["cost"]["pretraining"]["general"] == 6 * 3e9 * 34e9
    assert {number["mean"] for number in one["published"]} == {0.869, 0.568, 0.729, 0.780, 0.640}
    assert one["errata"]


def test_mistakes_are_said():
    with pytest.raises(UserError, match="did you mean gatortron"):
        model_list.main(["gator_tron"])
    with pytest.raises(UserError, match="not both"):
        model_list.main(["gatortron", "--group", "paper"])


def test_it_answers_at_once():
    begun = time.monotonic()
    command = [sys.executable, "-m", "clinical_t5x.model_list", "gattron"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: no model 'gattron' in the registry; did you mean gatortron?\n"
    assert time.monotonic() - begun < 5  # 0.2 s on a quiet machine
