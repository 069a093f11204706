"""docs/data.md's task of another hospital, and its evaluations across domains, as documented."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import seqio

from clinical_t5x.evaluation.results import find_evaluations
from clinical_t5x.launch.flags import parse_flags
from clinical_t5x.launch.program import run_program
from clinical_t5x.training import compiled_programs

ROOT = Path(__file__).parents[2]
# The smallest network that the documented commands train, in place of Clinical-T5-Base.
SMALL = {
    "network.T5Config.vocab_size": 640,
    "network.T5Config.emb_dim": 16,
    "network.T5Config.head_dim": 8,
    "network.T5Config.num_heads": 2,
    "network.T5Config.mlp_dim": 32,
    "network.T5Config.num_encoder_layers": 1,
    "network.T5Config.num_decoder_layers": 1,
    "network.T5Config.dtype": "'float32'",
}
SHORT = {
    "TRAIN_STEPS": 2,
    "EVAL_PERIOD": 2,
    "BATCH_SIZE": 4,
    "TASK_FEATURE_LENGTHS": {"inputs": 64, "targets": 16},
    "INITIAL_CHECKPOINT_PATH": [],
    "utils.SaveCheckpointConfig.period": 2,
}


def section(title):
    text = (ROOT / "docs" / "data.md").read_text()
    return re.split(r"^##+ ", text.split(f"### {title}\n", 1)[1], flags=re.MULTILINE)[0]


def blocks(title, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)


def commands(title):
    """The documented T5X commands of a section: verb and arguments."""
    (script,) = blocks(title, "bash")
    lines = script.replace("\\\n", " ").splitlines()
    found = [shlex.split(line)[2:] for line in lines if line.startswith("python -m t5x.")]
    return [(module.removeprefix("t5x."), arguments) for module, *arguments in found]


def run(verb, arguments, folder, home, **changed):
    """A documented command with the small network, and with runs/ in the test's own folder."""
    flags = parse_flags(verb, [a.replace("runs/", f"{folder}/runs/") for a in arguments])
    files = [f.replace("clinical_base", "tiny") for f in flags.gin_files]
    changes = {**SMALL, **(SHORT if verb == "train" else {}), **changed}
    bindings = [*flags.gin_bindings, *(f"{name} = {value}" for name, value in changes.items())]
    return run_program(verb, gin_files=files, bindings=bindings, data_dir=home)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """The documented files in a folder of their own, which is on Python's path."""
    compiled_programs.keep_compiled_programs()
    folder = tmp_path_factory.mktemp("hospital")
    (module,) = blocks("A task of your own", "python")
    (records,) = blocks("A task of your own", "json")
    (folder / "falls.py").write_text(module)
    for split in ("train", "validation", "test"):
        (folder / f"falls_{split}.jsonl").write_text(records.replace("train-", f"{split}-"))
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("falls", None)
    seqio.TaskRegistry.remove("falls_v1")


def test_another_hospitals_task_trains_and_is_scored_as_documented(hospital, tiny_home):
    train, evaluate = commands("A task of your own")
    assert (train[0], evaluate[0]) == ("train", "eval")
    run(*train, hospital, tiny_home)
    assert (hospital / "runs/falls/checkpoint_2").is_dir()
    run(*evaluate, hospital, tiny_home)
    (evaluation,) = find_evaluations([hospital / "runs/falls/eval"])
    result = evaluation.result("accuracy")
    assert (result.task, result.split, result.n, result.n_units) == ("falls_v1", "test", 4, 3)
    assert result.unit == "patient"
    assert 0 <= result.low <= result.value <= result.high <= 1
    during = find_evaluations([hospital / "runs/falls"])
    assert {e.results[0].split for e in during} == {"validation", "test"}


def test_a_model_of_mednli_is_scored_on_bionlp19_as_documented(tmp_path, tiny_home):
    (train,) = commands("A part of the training data")
    run(*train, tmp_path, tiny_home, FRACTION=0.5)
    (evaluate,) = commands("One domain to another")
    run(*evaluate, tmp_path, tiny_home, CHECKPOINT_PATH=f"'{tmp_path}/runs/mednli_1pct'")
    (evaluation,) = find_evaluations([tmp_path / "runs/finetune_mednli/eval_bionlp19"])
    result = evaluation.result("accuracy")
    assert (result.task, result.split, result.n) == ("mednli_bionlp19_v1", "test", 6)
    assert result.unit == "premise group"
    (during,) = find_evaluations([tmp_path / "runs/mednli_1pct"])
    assert during.results[0].task == "mednli_v1_train_50pct_seed0"


@pytest.mark.slow
def test_mixture_trains_and_scores_every_part(tmp_path, tiny_home):
    arguments = ["--gin_file=gin/models/tiny.gin", "--gin_file=gin/finetune_multitask.gin"]
    run("train", [*arguments, "--gin.MODEL_DIR=runs/both"], tmp_path, tiny_home)
    evaluations = find_evaluations([tmp_path / "runs/both"])
    assert {e.results[0].task for e in evaluations} == {"mednli_v1", "radqa_v1", "clip_v1"}
