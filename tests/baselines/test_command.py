"""`python -m clinical_t5x.finetune`, as it is typed."""

import json
import os
import subprocess
import sys
import time

import pytest

from clinical_t5x.baselines.finetuning.settings import PRESETS, preset_named

pytestmark = pytest.mark.long_file


def _typed(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "clinical_t5x.finetune", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_fine_tune_on_folds(place, tiny_models, tmp_path):
    ended = _typed(
        "--model", tiny_models("roberta_large"), "--task", "mednli", "--preset", "laptop",
        "--epochs", 1, "--max_tokens", 48, "--subset_seed", 1, "--folds", 2,
        "--fold", 0, "--registry_row", "bioclinroberta", "--data_dir", place.home,
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    values = json.loads(ended.stdout.splitlines()[-1])
    assert set(values) == {"validation", "test"} and 0 <= values["test"]["accuracy"] <= 1
    (path,) = (tmp_path / "run" / "results").glob("*-test-*/results.json")
    first = json.loads(path.read_text())["results"][0]
    assert first["initialisation"] == "bioclinroberta" and first["subset_seed"] == 1
    assert "_fold_0_of_2" in first["task"]
    assert "Next: python -m clinical_t5x.report" in ended.stdout
    assert "chest pain" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "x"), "name --model"),
        (("--model", "/nowhere/at/all", "--task", "clip", "--out", "x"), "no such directory"),
        (("--model", "tests", "--task", "clip", "--out", "x"), "no config.json"),
        (("--model", "a/b", "--task", "clip", "--out", "x", "--fraction", "5"), "5 % is 0.05"),
        (("--model", "a/b", "--task", "clip", "--out", "x", "--fold", "1"), "folds is not given"),
        (
            ("--model", "a/b", "--task", "clip", "--out", "x", "--registry_row", "gatortorn"),
            "did you mean gatortron",
        ),
        (("--model", "a/b", "--task", "snli", "--out", "x"), "invalid choice"),
        (("--make_tiny", "bert", "--out", "x", "--seed", "-1"), "seed = -1: must be"),
        (("--model", "a/b", "--task", "clip", "--out", "x", "--patience", "0"), "patience = 0"),
        (
            ("--model", "a/b", "--task", "clip", "--out", "x", "--data_dir", "/nowhere"),
            "python -m clinical_t5x.prepare --physionet DIR --data_dir /nowhere",
        ),
    ],
)
def test_mistakes_are_answered_at_once(arguments, message):
    begun = time.monotonic()
    ended = _typed(*arguments)
    assert ended.returncode == 2
    assert message in ended.stderr and "Traceback" not in ended.stderr
    assert time.monotonic() - begun < 20  # seconds; on an idle machine under 2


def test_presets_are_the_paper_s():
    assert preset_named("paper", "bert", is_decoder=False).learning_rates == (2e-5, 3e-5, 5e-5)
    assert preset_named("paper", "roberta", is_decoder=False).learning_rates == (1e-5,)
    assert preset_named("paper", "gpt2", is_decoder=True).learning_rates == (2e-6,)
    assert preset_named("paper", "olmo", is_decoder=True) == PRESETS["gpt"]
    for name in ("encoder_sweep", "roberta", "gpt"):
        settings = PRESETS[name]
        assert (settings.batch_size, settings.epochs, settings.warmup) == (64, 20, 0)
        assert settings.max_tokens["clip"] == settings.max_tokens["mednli"] == 256
        assert not settings.pair and settings.longest_answer > 418
    assert preset_named("standard", "roberta", is_decoder=False).pair
    assert preset_named("lora", "qwen3", is_decoder=True).lora_rank


def test_a_missing_library_is_named(monkeypatch):
    from clinical_t5x.baselines.finetuning import loading
    from clinical_t5x.console import UserError

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"pip install 'clinical_t5x\[baselines\]'"):
        loading.require_torch()
