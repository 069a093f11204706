"""Our tasks and gin files under Google's T5X: trained, evaluated, decoded as a user types it."""

from __future__ import annotations

import json
import pathlib
import sys

from peer import PROJECT, Finding, Peer

STEPS = 4
FEW_STEPS = {
    "TRAIN_STEPS": STEPS,
    "EVAL_PERIOD": STEPS,
    "EVAL_STEPS": 2,
    "utils.SaveCheckpointConfig.period": STEPS,
}
TASKS = ("mednli", "radqa", "clip")
TINY = "gin/models/tiny.gin"


def compare(peer: Peer) -> list[Finding]:
    """Pre-training, then fine-tuning, evaluation and inference on each task; 0 is success."""
    home = _data_home(peer)
    runs = peer.work / "recipes" / "runs"
    findings = [
        _finding(
            "gin/demo.gin trains",
            _steps_of(_t5x(peer, home, "train", ["gin/demo.gin"], runs / "pretrain", **FEW_STEPS)),
        )
    ]
    for task in TASKS:
        findings += _task_findings(peer, home, runs, task)
    return findings


def _task_findings(peer: Peer, home, runs: pathlib.Path, task: str) -> list[Finding]:
    tuned = _t5x(
        peer,
        home,
        "train",
        [TINY, f"gin/finetune_{task}.gin", "gin/demo_finetune.gin"],
        runs / task,
        INITIAL_CHECKPOINT_PATH=str(runs / "pretrain"),
        PRETRAIN_STEPS=STEPS,
        BATCH_SIZE=4,
        **FEW_STEPS,
    )
    evaluated = _t5x(
        peer,
        home,
        "eval",
        [TINY, f"gin/eval_{task}.gin"],
        runs / f"eval_{task}",
        CHECKPOINT_PATH=str(tuned),
    )
    # T5X's infer takes a checkpoint_N only, whatever the mode says; its eval follows the mode.
    inferred = _t5x(
        peer,
        home,
        "infer",
        [TINY, f"gin/infer_{task}.gin"],
        runs / f"infer_{task}",
        CHECKPOINT_PATH=str(tuned / f"checkpoint_{2 * STEPS}"),
    )
    metrics = evaluated / "inference_eval" / f"{task}_v1-metrics.jsonl"
    predictions = list(inferred.glob("*-predict.jsonl-00000-of-00001"))
    return [
        _finding(f"gin/finetune_{task}.gin trains", (tuned / f"checkpoint_{2 * STEPS}").is_dir()),
        _finding(f"gin/eval_{task}.gin scores", bool(json.loads(metrics.read_text()))),
        _finding(f"gin/infer_{task}.gin predicts", bool(predictions)),
    ]


def _finding(what: str, done: bool) -> Finding:
    return Finding("recipes", f"{what}: failures", 0 if done else 1, 0)


def _steps_of(model_dir: pathlib.Path) -> bool:
    return (model_dir / f"checkpoint_{STEPS}").is_dir()


def _t5x(peer: Peer, home, verb: str, files: list[str], output: pathlib.Path, **macros):
    """Google's `python -m t5x.VERB` from this clone; returns the folder that it wrote."""
    name = {"train": "MODEL_DIR", "eval": "EVAL_OUTPUT_DIR", "infer": "INFER_OUTPUT_DIR"}[verb]
    command = [peer.python, "-m", f"t5x.{verb}", *(f"--gin_file={file}" for file in files)]
    command += [f"--gin.{key}={value!r}" for key, value in ({name: str(output)} | macros).items()]
    log = peer.work / "recipes" / f"{output.name}.log"
    peer.call(command, PROJECT, log, CLINICAL_T5X_DATA=str(home))
    return output


def _data_home(peer: Peer) -> pathlib.Path:
    """A data home of synthetic patients, made by the commands that a user types."""
    folder = peer.work / "recipes"
    folder.mkdir(exist_ok=True)
    physionet, home = str(folder / "physionet"), str(folder / "data")
    for name, arguments in {
        "synthetic": ["--out", physionet, "--patients", "60", "--seed", "1"],
        "prepare": ["--physionet", physionet, "--data_dir", home],
        "vocabulary": ["--data_dir", home, "--size", "1000"],
    }.items():
        command = [sys.executable, "-m", f"clinical_t5x.{name}", *arguments]
        peer.call(command, PROJECT, folder / f"{name}.log")
    return folder / "data"
