"""Every family of architectures, end to end; heads and labels are right; kills change nothing."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clinical_t5x.baselines.finetuning.reading import KINDS, Benchmark, Split
from clinical_t5x.baselines.finetuning.settings import Settings
from clinical_t5x.console import Stopped, UserError
from clinical_t5x.data.subsets import Subset
from clinical_t5x.evaluation.results import check_comparable, find_evaluations
from clinical_t5x.storage import read_json, sha256_file
from tests.baselines import examples

TOKENS = {"mednli": 64, "radqa": 64, "clip": 64}
QUICK = Settings(
    learning_rates=(1e-3,), epochs=1, batch_size=4, rows_at_once=2, max_tokens=TOKENS, overlap=8
)
FAMILIES = {
    "clinicalbert": "bert",
    "roberta_large": "roberta",
    "gatortron": "megatron-bert",
    "clinical_longformer": "longformer",
    "bioclinical_modernbert": "modernbert",
    "pubmedgpt": "gpt2",
    "llama": "llama",
    "t5gemma": "t5gemma",
}


def _run(model, benchmark, settings, out, **further):
    from clinical_t5x.baselines.finetuning import run

    return run.make_run(model, benchmark, settings, out, device="cpu", **further)


def _fine_tune(*given, **further):
    from clinical_t5x.baselines.finetuning import run

    return run.fine_tune(_run(*given, **further))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_end_to_end(place, tiny_models, tmp_path, name):
    """Train a few steps, predict, score; all three benchmarks lie in one results store."""
    for task, benchmark in place.benchmarks.items():
        found = _fine_tune(tiny_models(name), benchmark, QUICK, tmp_path / task)
        assert found["test"].results[0].model.startswith(FAMILIES[name])
    stored = find_evaluations([tmp_path])
    assert len(stored) == 6
    for evaluation in stored:
        first = evaluation.results[0]
        assert first.initialisation == name and first.synthetic and first.seed == 1
        assert first.n == (6 if first.task == "mednli_v1" else 3 if "radqa" in first.task else 1)
        assert all(0 <= value <= 1 for value in evaluation.headline().values())


def test_results_are_comparable_with_other_systems(place, tiny_models, tmp_path):
    """The same task version, examples and units as the majority answer."""
    from clinical_t5x.evaluation.majority import evaluate_majority

    benchmark = place.benchmarks["mednli"]
    ours = _fine_tune(tiny_models("clinicalbert"), benchmark, QUICK, tmp_path / "ours")["test"]
    test = benchmark.scored["test"].examples
    floor = evaluate_majority(
        benchmark.task, test, test, split="test", output_dir=tmp_path / "floor"
    )
    check_comparable([ours, floor])


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("bioclinical_modernbert", "mednli"),
        ("bioclinical_modernbert", "radqa"),
        ("bioclinical_modernbert", "clip"),
        ("pubmedgpt", "mednli"),
        ("pubmedgpt", "radqa"),
    ],
)
def test_eight_examples_are_learnt_by_heart(tiny_models, tmp_path, name, task):
    """Head, labels and offsets are right where a model can reproduce all of its examples."""
    settings = dataclasses.replace(
        QUICK,
        learning_rates=(3e-3,),
        epochs=60,
        batch_size=8,
        rows_at_once=8,
        warmup=0.1,
        pair=True,
    )
    found = _fine_tune(tiny_models(name), examples.benchmark_of(task), settings, tmp_path)
    metric = {"mednli": "accuracy", "radqa": "exact_match", "clip": "macro_f1"}[task]
    assert found["test"].result(metric).value == 1.0


def _files(directory):
    return {
        "weights": read_json(directory / "model" / "finetuned.json"),
        "predictions": (directory / "predictions" / "radqa_v1-test-step_6.jsonl").exists(),
        "history": read_json(directory / "trials" / "rate_0.001" / "trial.json"),
        "model": sha256_file(directory / "model" / "model.safetensors"),
    }


RESUMED = dataclasses.replace(QUICK, epochs=3, checkpoint_period=1)


@pytest.fixture(scope="module")
def undisturbed(tiny_models, tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    _fine_tune(tiny_models("clinicalbert"), examples.benchmark_of("radqa"), RESUMED, directory)
    return _files(directory)


def test_a_killed_run_gives_the_same_bits(tiny_models, tmp_path, undisturbed):
    """SIGKILL in the middle of an update, twice; then the same command again."""
    script = (
        "import os, signal, sys\n"
        "import torch; torch.set_num_threads(1)\n"
        "from clinical_t5x.baselines.finetuning import run, trial\n"
        "from tests.baselines import examples, test_runs\n"
        "step = torch.optim.AdamW.step\n"
        "left = [int(sys.argv[3])]\n"
        "def killing(self, *given, **named):\n"
        "    left[0] -= 1\n"
        "    if left[0] < 0:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return step(self, *given, **named)\n"
        "torch.optim.AdamW.step = killing\n"
        "test_runs._fine_tune(\n"
        "    sys.argv[1], examples.benchmark_of('radqa'), test_runs.RESUMED, sys.argv[2]\n"
        ")\n"
    )
    model, out = str(tiny_models("clinicalbert")), tmp_path / "run"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    ended = subprocess.run(
        [sys.executable, "-c", script, model, str(out), "3"], env=environment, capture_output=True
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2000:]
    assert list((out / "trials" / "rate_0.001").glob("checkpoint_*"))
    assert not (out / "model").exists()
    _fine_tune(model, examples.benchmark_of("radqa"), RESUMED, out)
    assert _files(out) == undisturbed


@pytest.mark.parametrize("update", [1, 2, 4])
def test_a_stopped_run_goes_on(tiny_models, tmp_path, monkeypatch, undisturbed, update):
    """SIGTERM is answered after the update in work, by saving; the result is the same."""
    import torch

    settings = dataclasses.replace(RESUMED, checkpoint_period=100)
    step, count = torch.optim.AdamW.step, [0]

    def stopping(self, *given, **named):
        count[0] += 1
        if count[0] == update:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *given, **named)

    given = (tiny_models("clinicalbert"), examples.benchmark_of("radqa"), settings, tmp_path)
    monkeypatch.setattr(torch.optim.AdamW, "step", stopping)
    with pytest.raises(Stopped, match="run the same command again"):
        _fine_tune(*given)
    (checkpoint,) = (tmp_path / "trials" / "rate_0.001").glob("checkpoint_*")
    assert checkpoint.name == f"checkpoint_{update}"
    _fine_tune(*given)
    assert _files(tmp_path)["model"] == undisturbed["model"]


def _with_test_gold(benchmark, order):
    """The benchmark with the gold of its test split in another order."""
    split = benchmark.scored["test"]
    records, told = split.records, split.examples.records
    fields = [name for name in benchmark.kind.fields if name not in ("context", "question")]
    moved = [
        {**record, **{name: records[k][name] for name in fields if name in _GOLD}}
        for record, k in zip(records, order, strict=True)
    ]
    shown = [
        {**record, **{name: told[k][name] for name in (*_GOLD, "targets_pretokenized")
                      if name in record}}
        for record, k in zip(told, order, strict=True)
    ]  # fmt: skip
    test = Split(moved, dataclasses.replace(split.examples, records=shown))
    return dataclasses.replace(benchmark, scored={**benchmark.scored, "test": test})


_GOLD = ("label", "labels", "answers", "answer_starts")


@pytest.mark.parametrize("task", ["radqa", "clip"])
def test_thresholds_never_see_the_test_split(tiny_models, tmp_path, task):
    """Other gold in the test split: the same weights, thresholds and answers; other scores."""
    settings = dataclasses.replace(QUICK, learning_rates=(5e-3,), epochs=10, batch_size=8)
    benchmark = examples.benchmark_of(task)
    model = tiny_models("bioclinical_modernbert")
    here, there = tmp_path / "here", tmp_path / "there"
    first = _fine_tune(model, benchmark, settings, here)
    other = _with_test_gold(benchmark, [*range(1, 8), 0])
    second = _fine_tune(model, other, settings, there)
    about = [read_json(out / "model" / "finetuned.json") for out in (here, there)]
    assert about[0] == about[1] and about[0]["thresholds"]
    metric = {"radqa": "f1", "clip": "micro_f1"}[task]
    values = [found["test"].result(metric).value for found in (first, second)]
    assert values[0] != values[1]
    assert first["validation"].result(metric) is not None
    assert np.isclose(
        first["validation"].result(metric).value, second["validation"].result(metric).value
    )


def test_the_best_rate_and_epoch_are_kept(tiny_models, tmp_path):
    settings = dataclasses.replace(QUICK, learning_rates=(1e-9, 3e-3), epochs=15, batch_size=8)
    _fine_tune(
        tiny_models("bioclinical_modernbert"), examples.benchmark_of("mednli"), settings, tmp_path
    )
    about = read_json(tmp_path / "model" / "finetuned.json")
    history = read_json(tmp_path / "trials" / "rate_0.003" / "trial.json")["history"]
    assert about["rate"] == 3e-3
    best = max(entry["accuracy"] for entry in history)
    assert about["accuracy"] == best > about["rates"]["1e-09"]
    assert about["epoch"] == next(e["epoch"] for e in history if e["accuracy"] == best)
    assert not list(tmp_path.glob("trials/*/best_*")) + list(tmp_path.glob("trials/*/checkpoint_*"))


def test_patience_ends_a_trial(tiny_models, tmp_path):
    settings = dataclasses.replace(QUICK, learning_rates=(1e-12,), epochs=9, patience=2)
    _fine_tune(tiny_models("clinicalbert"), examples.benchmark_of("mednli"), settings, tmp_path)
    history = read_json(tmp_path / "trials" / "rate_1e-12" / "trial.json")["history"]
    assert [entry["epoch"] for entry in history] == [1, 2, 3]


@pytest.mark.parametrize("name", FAMILIES)
def test_merged_adapters_compute_the_same(tiny_models, name):
    """Adapters are there in every layer, and a model is a plain one when they are merged."""
    import torch

    from clinical_t5x.baselines.finetuning import loading, lora, problems

    found = loading.find_pretrained(tiny_models(name))
    problem = problems.problem_of(KINDS["mednli"], found.encoder(64), QUICK)
    model = loading.model_with_head(found, problem, seed=0).eval()
    names = [key for key, _ in model.named_parameters()]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trained = lora.add_adapters(model, rank=2, scale=8.0, seed=0)
    assert trained < loading.parameter_count(model) / 4
    ups = [p for key, p in model.named_parameters() if key.endswith(".up")]
    assert len(ups) >= 2
    for up in ups:
        torch.nn.init.normal_(up, std=0.1)
    inputs = {"input_ids": torch.arange(5, 25).reshape(2, 10)}
    with torch.inference_mode():
        adapted = model(**inputs).logits
        lora.merge_adapters(model)
        merged = model(**inputs).logits
    torch.testing.assert_close(adapted, merged, atol=1e-5, rtol=1e-4)
    assert [key for key, _ in model.named_parameters()] == names
    changed = [k for k, value in model.state_dict().items() if not torch.equal(value, before[k])]
    assert len(changed) == len(ups)


def test_a_run_with_adapters_trains_them_and_the_head_alone(tiny_models, tmp_path):
    from safetensors.numpy import load_file

    settings = dataclasses.replace(QUICK, lora_rank=4, recompute=True, epochs=2)
    model = tiny_models("bioclinical_modernbert")
    found = _fine_tune(model, examples.benchmark_of("mednli"), settings, tmp_path)
    about = read_json(tmp_path / "model" / "finetuned.json")
    assert found["validation"].result("accuracy").value == pytest.approx(about["accuracy"])
    before = load_file(model / "model.safetensors")
    after = load_file(tmp_path / "model" / "model.safetensors")
    shared = before.keys() & after.keys()
    changed = {name for name in shared if not np.array_equal(before[name], after[name])}
    attention = {name for name in shared if name.endswith("Wqkv.weight")}
    assert changed - attention <= {name for name in shared if name.startswith("head.")}
    assert attention <= changed


def test_accumulation_changes_no_gradient(tiny_models, tmp_path):
    """Two rows at once or eight: the same weights but for rounding, without dropout."""
    from safetensors.numpy import load_file

    weights = []
    for rows in (8, 2):
        settings = dataclasses.replace(QUICK, batch_size=8, rows_at_once=rows)
        out = tmp_path / str(rows)
        model = tiny_models("bioclinical_modernbert")  # has no dropout
        _fine_tune(model, examples.benchmark_of("clip"), settings, out)
        weights.append(load_file(out / "model" / "model.safetensors"))
    for name, one in weights[0].items():
        np.testing.assert_allclose(one, weights[1][name], atol=2e-4, err_msg=name)


def test_bfloat16_runs(tiny_models, tmp_path):
    settings = dataclasses.replace(QUICK, precision="bfloat16", schedule="constant")
    found = _fine_tune(tiny_models("llama"), examples.benchmark_of("radqa"), settings, tmp_path)
    assert 0 <= found["test"].result("f1").value <= 1


def test_another_run_in_the_same_place_is_refused(tiny_models, tmp_path):
    model, benchmark = tiny_models("clinicalbert"), examples.benchmark_of("mednli")
    _fine_tune(model, benchmark, QUICK, tmp_path)
    with pytest.raises(UserError, match=r"another run \(seed differ"):
        _run(model, benchmark, QUICK, tmp_path, seed=2)
    again = _fine_tune(model, benchmark, QUICK, tmp_path)
    assert again["test"].directory is not None  # nothing was made anew


def test_other_weights_in_the_same_place_are_another_run(tiny_models, tmp_path):
    from safetensors.numpy import load_file, save_file

    model, out = tmp_path / "model", tmp_path / "run"
    shutil.copytree(tiny_models("roberta_large"), model)
    _fine_tune(model, examples.benchmark_of("mednli"), QUICK, out)
    weights = load_file(model / "model.safetensors")
    name = max(weights, key=lambda name: weights[name].size)
    save_file({**weights, name: weights[name] + 1}, model / "model.safetensors")
    with pytest.raises(UserError, match=r"another run \(weights differ"):
        _run(model, examples.benchmark_of("mednli"), QUICK, out)


def test_another_tokenizer_in_the_same_place_is_another_run(tiny_models, tmp_path):
    model, out = tmp_path / "model", tmp_path / "run"
    shutil.copytree(tiny_models("clinicalbert"), model)
    first = _run(model, examples.benchmark_of("mednli"), QUICK, out).description()
    (model / "README.md").write_text("Nothing that a run depends on.")
    assert _run(model, examples.benchmark_of("mednli"), QUICK, out).description() == first
    with (model / "vocab.txt").open("a") as file:
        file.write("another\n")
    second = _run(model, examples.benchmark_of("mednli"), QUICK, out).description()
    assert {key for key in first if first[key] != second[key]} == {"tokenizer"}


def _with_weights_of_another(tiny_models, directory):
    shutil.copytree(tiny_models("clinicalbert"), directory)
    (directory / "pytorch_model.bin").unlink()
    shutil.copy(tiny_models("roberta_large") / "model.safetensors", directory)
    return directory


def test_a_request_of_which_nothing_came_is_in_nobody_s_way(tiny_models, tmp_path):
    wrong, right = _with_weights_of_another(tiny_models, tmp_path / "wrong"), tiny_models("llama")
    benchmark, out = examples.benchmark_of("mednli"), tmp_path / "run"
    with pytest.raises(UserError, match="seed = -1"):
        _run(right, benchmark, QUICK, out, seed=-1)
    with pytest.raises(UserError, match="lacks"):
        _fine_tune(wrong, benchmark, QUICK, out)
    _fine_tune(right, benchmark, QUICK, out)
    with pytest.raises(UserError, match="another run"):
        _run(wrong, benchmark, QUICK, out)


def test_weights_of_another_architecture_are_refused(tiny_models, tmp_path):
    """A model would silently begin from random layers."""
    wrong = _with_weights_of_another(tiny_models, tmp_path / "wrong")
    with pytest.raises(UserError, match="lacks"):
        _fine_tune(wrong, examples.benchmark_of("mednli"), QUICK, tmp_path / "run")


def test_no_text_is_written_without_being_asked_for(place, tiny_models, tmp_path):
    _fine_tune(tiny_models("clinicalbert"), place.benchmarks["radqa"], QUICK, tmp_path / "run")
    written = [p for p in (tmp_path / "run").rglob("*") if p.is_file() and "model" not in p.parts]
    assert written
    for path in written:
        assert b"nodule" not in Path(path).read_bytes(), path


def test_fractions_are_named_in_results(tiny_models, tmp_path):
    whole = examples.benchmark_of("mednli")
    train = Split(whole.train.records[:4])
    part = Benchmark(KINDS["mednli"], "mednli_v1", train, whole.scored, Subset(0.5, 3))
    found = _fine_tune(tiny_models("clinicalbert"), part, QUICK, tmp_path)
    result = found["test"].results[0]
    assert (result.fraction, result.subset_seed, result.task) == (0.5, 3, "mednli_v1")
