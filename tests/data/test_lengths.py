"""Lengths of examples, and what feature lengths cut: counted, never silent."""

import json

import numpy as np
import pytest

from clinical_t5x import tokenize
from clinical_t5x.console import UserError
from clinical_t5x.data.lengths import length_report, parse_feature_lengths, report_lines
from clinical_t5x.data.token_store import TokenStore, TokenStoreWriter
from clinical_t5x.training.config import DatasetConfig
from clinical_t5x.training.sources import open_batches, open_configured


@pytest.fixture
def store(tmp_path):
    """100 examples of 1 to 100 input tokens, the longest cut by its task, and short targets."""
    (tmp_path / "store").mkdir()
    with TokenStoreWriter(tmp_path / "store", ("inputs", "targets"), 100) as writer:
        for n in range(1, 101):
            tokens = {"inputs": np.ones(n, int), "targets": np.ones(1 + n % 3, int)}
            writer.add(tokens, {"id": str(n), "sentence_cut": n == 100})
    writer.finish({"task": "t", "split": "test", "kind": "examples"})
    (tmp_path / "store" / "_COMPLETE.json").write_text("{}")
    return TokenStore(tmp_path / "store")


def test_quantiles_and_counts(store):
    report = length_report(store, {"inputs": 95, "targets": 2})
    assert report["examples"] == 100
    assert report["inputs"]["quantiles"] == {
        "0.5": 50, "0.9": 90, "0.95": 95, "0.99": 99, "0.999": 100,
    }  # fmt: skip
    assert report["inputs"]["max"] == 100
    assert (report["inputs"]["cut"], report["inputs"]["tokens_lost"]) == (5, 15)
    assert report["targets"]["cut"] == 33
    assert report["cut_by_task"] == 1
    assert report["cut"] == len({96, 97, 98, 99, 100} | set(range(2, 101, 3)))
    text = "\n".join(report_lines("t test", report))
    assert "95 would cut 5 (5.00%) and lose 15 tokens" in text
    assert "1 are cut by the task itself" in text
    assert "limit" not in length_report(store)["inputs"]


def test_feature_lengths_as_typed(store):
    assert parse_feature_lengths(["inputs=512,targets=64"]) == {"inputs": 512, "targets": 64}
    assert parse_feature_lengths([]) == {}
    for wrong in ("512", "inputs=", "inputs=x", "inputs=0", "inputs=-1"):
        with pytest.raises(UserError, match="write inputs=512,targets=64"):
            parse_feature_lengths([wrong])
    with pytest.raises(UserError, match="no feature 'input'; there are inputs, targets"):
        length_report(store, {"input": 4})


def test_the_command_counts_what_would_be_cut(tiny_home, capsys):
    arguments = ["--task", "clip_v1", "--module", "tasks.clip", "--split", "train"]
    arguments += ["--feature_lengths", "inputs=30", "--data_dir", str(tiny_home), "--json"]
    assert tokenize.main(arguments) == 0
    printed = capsys.readouterr().out
    report = json.loads(printed.splitlines()[-1])["lengths"]["clip_v1 train"]
    assert report["inputs"]["cut"] == 3
    assert "30 would cut 3 (100.00%)" in printed


def test_training_says_once_what_it_cuts(tiny_home, monkeypatch, capsys):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tiny_home))
    for length in (24, 512):
        config = DatasetConfig(
            mixture_or_task_name="mednli_v1",
            task_feature_lengths={"inputs": length, "targets": 32},
            split="train",
            batch_size=2,
            shuffle=False,
            seed=0,
            module="tasks.mednli",
        )
        open_configured(open_batches, config, 0)
        said = [line for line in capsys.readouterr().out.splitlines() if "cut" in line]
        if length == 512:
            assert not said
        else:
            (line,) = said
            assert line.startswith("mednli_v1 train: ")
            assert "of 18 inputs" in line
            assert "are cut to 24 tokens; the longest has" in line
