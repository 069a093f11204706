"""`clinical-t5x cost`: what a person sees of costs."""

import csv
import json

import pytest

from clinical_t5x import cost
from clinical_t5x.console import UserError


def shown(capsys, *arguments) -> str:
    assert cost.main(arguments) == 0
    return capsys.readouterr().out


def as_json(capsys, *arguments):
    return json.loads(shown(capsys, *arguments, "--json").splitlines()[-1])


@pytest.mark.parametrize("width", [80, 90, 100, 110, 160])
def test_the_table_fits(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    out = shown(capsys, "--group", "all")
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out
    lines = [line for line in out.splitlines() if "(1.4e19)" in line]
    assert len(lines) == 1
    # what is right, and in brackets what the paper prints
    assert "8.28e19" in (lines[0] if width >= 110 else out)


def test_the_papers_break_even(capsys):
    out = " ".join(shown(capsys).split())
    assert "Clinical-T5-Large costs less than T5-XL from 33.89B tokens of inference on." in out
    assert "from 39.36B tokens" in out
    assert "2.3 years" in out
    found = as_json(capsys)["break_even"]
    assert found["kind"] == "from"
    assert found["tokens"] == pytest.approx(33.9e9, rel=0.002)


def test_models_of_ones_own(capsys):
    found = as_json(
        capsys, "--break_even", "mine=250M", "other=1.5B", "--pretraining_tokens", "20B",
        "--weights", "1,1.1", "--fine_tuning_tokens", "1e9",
    )["break_even"]  # fmt: skip
    expected = 3 * (250e6 * 21e9 - 1.1 * 1.5e9 * 1e9) / (1.1 * 1.5e9 - 250e6)
    assert found["tokens"] == pytest.approx(expected)


def test_no_break_even_is_said(capsys):
    out = shown(capsys, "--break_even", "t5_xl", "t5_base")
    assert "T5-XL never costs less than T5-Base: there is no break-even." in out
    out = shown(capsys, "--break_even", "t5_base", "t5_xl")
    assert "T5-Base costs less than T5-XL at any volume" in out


def test_pretraining_that_nobody_knows_must_be_said(capsys):
    with pytest.raises(UserError, match="seen is not known: say with --pretraining_tokens"):
        cost.main(["--break_even", "gpt3", "t5_xl"])
    out = shown(capsys, "--break_even", "gpt3", "t5_xl", "--pretraining_tokens", "0")
    assert "GPT-3 never costs less than T5-XL" in out


def test_exact_costs_move_the_break_even(capsys):
    """An encoder's token goes through all of it, an encoder-decoder's through half."""
    pair = ("--break_even", "gatortron", "t5_xl")
    by_rule = as_json(capsys, *pair)["break_even"]
    exact = as_json(capsys, *pair, "--exact")["break_even"]
    assert exact["tokens"] > 1.5 * by_rule["tokens"]


def test_chip_hours_and_prices(capsys):
    arguments = ("--models", "clinical_t5_large,gpt3", "--chip", "v3", "--mfu", "0.5")
    document = as_json(capsys, *arguments, "--price_per_chip_hour", "2")
    [time] = document["times"]["Pre-training"]  # nobody knows GPT-3's
    assert time["chip_hours"] == pytest.approx(6 * 770e6 * 38e9 / (123e12 * 0.5) / 3600)
    assert time["price"] == 2 * time["chip_hours"]
    assert "price" not in shown(capsys, *arguments)
    times = as_json(capsys, *arguments, "--read", "15B")["times"]
    large, gpt3 = times["Reading 15B tokens (2 P T)"]
    assert large["flops"] == 2 * 770e6 * 15e9
    assert gpt3["chip_hours"] == pytest.approx(large["chip_hours"] * 175e9 / 770e6)


def test_a_servers_bill(capsys):
    arguments = ("--endpoint_tokens", "2M,500k", "--price_per_million", "3,15")
    assert as_json(capsys, *arguments)["price"] == pytest.approx(2 * 3 + 0.5 * 15)
    assert "2,000,000 tokens read and 500,000 written: 13.50" in shown(capsys, *arguments)


def test_csv_has_right_and_printed_values(capsys, tmp_path):
    file = tmp_path / "cost.csv"
    shown(capsys, "--csv", str(file))
    rows = {row["model"]: row for row in csv.DictReader(file.open())}
    assert len(rows) == 12
    assert float(rows["t5_xl"]["general_flops"]) == pytest.approx(6.12e20)
    assert float(rows["t5_xl"]["general_flops_printed"]) == 1e20
    assert rows["t5_xl"]["wrong_in_paper"] == "general"
    assert rows["gpt3"]["total_flops"] == ""


def test_any_model_is_counted_from_its_configuration(capsys, tmp_path):
    config = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 100}
    (tmp_path / "config.json").write_text(json.dumps(config))
    arguments = ("--config", str(tmp_path), "--length", "10", "--targets", "3")
    counts = as_json(capsys, *arguments)
    layer = 4 * 32 * 32 + 2 * 32 * 128
    assert counts["forward"]["matrices"] == 2 * 10 * 2 * layer
    assert counts["forward"]["attention"] == 2 * (2 * 2 * 10 * 32 * 10)
    assert counts["forward"]["output"] == 2 * 10 * 32 * 100
    assert counts["training"]["total"] == 3 * counts["forward"]["total"]
    assert counts["writing"]["output"] == 2 * 3 * 32 * 100
    assert "writing" in shown(capsys, *arguments)


def test_a_run_is_measured(capsys, tmp_path):
    line = {"step": 5, "split": "train", "seconds": 3600.0, "tokens_per_second": 10.0}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    out = shown(capsys, "--run", str(tmp_path), "--price_per_hour", "3")
    assert "36,000" in out and "not counted" in out and "3.00" in out
    assert as_json(capsys, "--run", str(tmp_path))["hours"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--models", "t5_bas"), "did you mean t5_base"),
        (("--break_even", "t5_base", "nothing"), "no model 'nothing'"),
        (("--break_even", "a=x", "t5_base"), "'x' is no amount; write it like"),
        (("--break_even", "a=1B", "t5_base", "--exact"), "--exact knows nothing of a=1B"),
        (("--weights", "1"), "two numbers"),
        (("--chip", "v99"), "no chip is called 'v99'; there are v2"),
        (("--chip", "cpu"), "peak of 'cpu'"),
        (("--chip", "v4", "--mfu", "40"), "share of the peak"),
        (("--price_per_chip_hour", "2"), "needs --chip"),
        (("--config", "/nowhere"), "does not exist"),
        (("--run", "/nowhere"), "does not exist"),
        (("--run", "/nowhere", "--csv", "x"), "--run is a question of its own"),
        (("--run", "/nowhere", "--config", "x"), "one at a time"),
        (("--read", "1B"), "--read needs --chip"),
        (("--endpoint_tokens", "1,2"), "none is built in"),
        (("--endpoint_tokens", "1", "--price_per_million", "1,1"), "two numbers"),
    ],
)
def test_mistakes_are_said(arguments, message):
    with pytest.raises(UserError, match=message):
        cost.main(arguments)
