"""From a typed command to the first completed step: seconds, and what they go to.

    python benchmarks/startup.py
    python benchmarks/startup.py --t5x CHECKOUT --python PYTHON_OF_ITS_ENVIRONMENT

Two runs are started again and again, and ended when their first step is done: gin/demo.gin, and T5
1.0 small (batch 8, 512 and 114 tokens), each with an empty compilation cache and with the cache
that the run before filled. T5X, where it is given, starts the second with the same gin file, in
turns with ours; it keeps no cache. The time is the parent's, from starting the process to reading
its line; on a machine that does something else too, the seconds of a core beside it say more. Data
are prepared before, and files lie in the system's page cache.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parents[1]
THEIR_WAY = PROJECT / "benchmarks" / "peer_t5x" / "first_step.py"
SAID = "first step after"

SIZES = ("tiny", "small")
TINY_BOUNDS = {"cold": 15.0, "warm": 10.0}
TIMES_FASTER_THAN_T5X = 2.0

SMALL = """from __gin__ import dynamic_registration

from clinical_t5x.data import vocabulary

include 't5x/examples/t5/t5_1_0/small.gin'
include 't5x/configs/runs/pretrain.gin'

VOCABULARY = @vocabulary.ClinicalVocabulary()
MIXTURE_OR_TASK_NAME = 'mimic_pretrain_v1'
MIXTURE_OR_TASK_MODULE = 'tasks.pretrain'
TASK_FEATURE_LENGTHS = {'inputs': 512, 'targets': 114}
USE_CACHED_TASKS = False
DROPOUT_RATE = 0.1
RANDOM_SEED = 0
BATCH_SIZE = 8
TRAIN_STEPS = 10
"""


@dataclasses.dataclass(frozen=True)
class Program:
    """What is started: a command without its flags, and its environment."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--t5x", type=pathlib.Path, help="a clone of Google's T5X")
    parser.add_argument("--python", help="the interpreter that imports it")
    parser.add_argument("--data_dir", type=pathlib.Path, help="a data home; default: a made one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--work", type=pathlib.Path, help="where files go and stay")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures there")
    options = parser.parse_args()
    if bool(options.t5x) != bool(options.python):
        parser.error("--t5x and --python go together")
    work = (options.work or pathlib.Path(tempfile.mkdtemp(prefix="startup_"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    home = options.data_dir or _data_home(work)

    (work / "small.gin").write_text(SMALL)
    gin_files = {"tiny": PROJECT / "gin" / "demo.gin", "small": work / "small.gin"}
    ours = _ours(work, home)
    theirs = {"tiny": None, "small": None}
    if options.t5x:
        theirs["small"] = _theirs(options.python, options.t5x, home)
    figures = {
        size: _rounds(work, gin_files[size], ours, theirs[size], options.rounds)
        for size in options.only
    }
    passed = _judge(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(0 if passed else 1)


def _ours(work: pathlib.Path, home: pathlib.Path) -> Program:
    environment = {"CLINICAL_T5X_DATA": str(home), "JAX_COMPILATION_CACHE_DIR": str(work / "xla")}
    return Program("clinical_t5x", (sys.executable, "-m", "t5x.train"), environment)


def _theirs(python: str, checkout: pathlib.Path, home: pathlib.Path) -> Program:
    environment = {"CLINICAL_T5X_DATA": str(home), "PYTHONPATH": f"{checkout.resolve()}:{PROJECT}"}
    return Program("T5X", (python, str(THEIR_WAY)), environment)


def _data_home(work: pathlib.Path) -> pathlib.Path:
    """A data home of synthetic patients, made by the commands that a user types."""
    physionet, home = str(work / "physionet"), work / "data"
    for name, arguments in {
        "synthetic": ["--out", physionet, "--patients", "60", "--seed", "1"],
        "prepare": ["--physionet", physionet, "--data_dir", str(home)],
        "vocabulary": ["--data_dir", str(home), "--size", "1000"],
    }.items():
        command = [sys.executable, "-m", f"clinical_t5x.{name}", *arguments]
        subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return home


def _rounds(
    work: pathlib.Path, gin_file: pathlib.Path, ours: Program, theirs: Program | None, rounds: int
) -> dict[str, list[dict]]:
    """Starts by what they were: 'first' (the token store is still to be written), 'cold', ..."""
    found: dict[str, list[dict]] = {"first": [], "cold": [], "warm": [], "t5x": []}
    cache = pathlib.Path(ours.environment["JAX_COMPILATION_CACHE_DIR"])
    for number in range(rounds + 1):
        shutil.rmtree(cache, ignore_errors=True)
        kind = "cold" if number else "first"
        found[kind].append(_start(work, gin_file, ours, kind))
        if number:
            found["warm"].append(_start(work, gin_file, ours, "warm"))
        if number and theirs is not None:
            found["t5x"].append(_start(work, gin_file, theirs, "no cache"))
    return found


def _start(work: pathlib.Path, gin_file: pathlib.Path, program: Program, kind: str) -> dict:
    """Start a training run; seconds to its first completed step, and the line that told of it."""
    model_dir, log = work / "run", work / f"{program.name}.log"
    shutil.rmtree(model_dir, ignore_errors=True)
    flags = [f"--gin_file={gin_file}", f"--gin.MODEL_DIR='{model_dir}'", "--gin.EVAL_PERIOD=1000"]
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    variables |= {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"} | program.environment
    begun, computed = time.monotonic(), _computed()
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*program.command, *flags],
            cwd=PROJECT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        line = next((line.strip() for line in process.stdout if SAID in line), None)
        seconds = time.monotonic() - begun
        process.kill()
    if line is None:
        raise SystemExit(f"{program.name} ended before its first step; see {log}")
    told = line if program.name == "clinical_t5x" else ""
    cpu = _computed() - computed
    print(
        f"{gin_file.stem:>6} {program.name:>13} {kind:>8}: {seconds:5.1f} s ({cpu:.1f} s of a core)"
        f"   {told}",
        flush=True,
    )
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "told": told}


def _computed() -> float:
    """Seconds that cores spent on all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _judge(figures: dict[str, dict[str, list[dict]]]) -> bool:
    """Print medians beside what they are to be; whether all are."""
    passed = True
    for size, kinds in figures.items():
        medians = {
            kind: statistics.median(start["seconds"] for start in starts)
            for kind, starts in kinds.items()
            if starts
        }
        bounds = dict(TINY_BOUNDS) if size == "tiny" else {}
        if "t5x" in medians:
            bounds["cold"] = medians["t5x"] / TIMES_FASTER_THAN_T5X
        for kind, median in medians.items():
            times = [start["seconds"] for start in kinds[kind]]
            verdict = ""
            if kind in bounds:
                kept = median <= bounds[kind]
                passed &= kept
                verdict = f"  {'pass' if kept else 'FAIL'}: at most {bounds[kind]:.1f}"
            spread = f"{min(times):.1f} to {max(times):.1f}"
            print(f"{size} {kind}: median {median:.1f} s of {len(times)} ({spread}){verdict}")
    return passed


if __name__ == "__main__":
    main()
