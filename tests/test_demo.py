"""The demo: what it shows is what it runs, a second call does nothing, a killed one goes on."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clinical_t5x import demo
from clinical_t5x.evaluation.results import find_evaluations
from clinical_t5x.launch.flags import parse_flags
from clinical_t5x.storage import read_json

pytestmark = pytest.mark.long_file

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "clinical_t5x.demo", "--preset", "smoke", "--json"]
SYSTEMS = {"majority", "scratch", "pretrained"}


def program_stages(preset):
    places = demo.Places(Path("somewhere"))
    stages = demo.stages_before(demo.PRESETS[preset], places, seed=1)
    for initialisation in demo.INITIALISATIONS:
        stages += demo.stages_from(initialisation, demo.PRESETS[preset], places)
    return [stage for stage in stages if stage.arguments[0].startswith("t5x.")]


@pytest.mark.parametrize("preset", demo.PRESETS)
def test_the_shown_command_runs_what_the_stage_runs(preset, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "clinical_t5x.launch.program.run_program",
        lambda verb, **options: asked.append((verb, options)),
    )
    for stage in program_stages(preset):
        stage.run()
        verb, options = asked.pop()
        module, *arguments = stage.arguments
        flags = parse_flags(verb, arguments)
        assert module == f"t5x.{verb}"
        assert list(flags.gin_files) == list(options["gin_files"])
        assert Path(flags.data_dir) == options["data_dir"]
        shown = [binding.replace(" ", "").replace("'", "") for binding in flags.gin_bindings]
        bound = [binding.replace(" ", "").replace("'", "") for binding in options["bindings"]]
        assert shown == bound


def test_an_accelerator_stays_with_the_process_that_pretrained(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr("jax.default_backend", lambda: "tpu")
    monkeypatch.setattr(demo, "run_side_by_side", lambda stages: ran.append("side by side"))
    monkeypatch.setattr(
        "clinical_t5x.launch.program.run_program", lambda verb, **options: ran.append(verb)
    )
    options = demo._parser().parse_args(["--preset", "smoke", "--out", str(tmp_path)])
    demo._twins_stage(options, demo.PRESETS["smoke"], demo.Places(tmp_path)).run()
    assert ran == ["train", "eval"] * 6


def run_demo(out, **options):
    command = [*COMMAND, "--out", str(out)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def check_results(out):
    """Every system was scored on every task, on equal examples, and the report is there."""
    evaluations = find_evaluations([out / "runs"])
    scored = [(e.results[0].initialisation, e.results[0].task) for e in evaluations]
    assert sorted(scored) == sorted((s, f"{t}_v1") for s in SYSTEMS for t in demo.TASKS)
    assert all(evaluation.results[0].synthetic for evaluation in evaluations)
    for suffix in (".html", ".md", ".csv"):
        assert (out / "report").with_suffix(suffix).stat().st_size > 500
    return {
        (e.results[0].initialisation, r.task, r.metric): r.value
        for e in evaluations
        for r in e.results
    }


def files_of_results(out):
    return {
        path: path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.is_file() and not path.name.startswith("report")
    }


def test_the_whole_way_and_again(tmp_path):
    first = run_demo(tmp_path)
    assert first.returncode == 0, first.stderr[-2000:]
    check_results(tmp_path)
    summary = json.loads(first.stdout.strip().splitlines()[-2])
    assert summary["report"] == str(tmp_path / "report.html")
    assert "From scratch" in first.stdout
    assert "InitializeLog" not in first.stderr  # TensorFlow's start-up lines
    written = files_of_results(tmp_path)
    second = run_demo(tmp_path)
    assert second.returncode == 0, second.stderr[-2000:]
    assert files_of_results(tmp_path) == written


@pytest.mark.slow
def test_killed_at_many_moments_it_ends_as_if_nothing_had_happened(tmp_path):
    """The long check: `pytest tests/test_demo.py -m slow`; a few minutes."""
    whole = tmp_path / "whole"
    begun = time.monotonic()
    assert run_demo(whole).returncode == 0
    seconds = time.monotonic() - begun
    wanted = check_results(whole)
    chance = random.Random(time.time_ns())
    out = tmp_path / "killed"
    for kill in range(12):
        process = subprocess.Popen(
            [*COMMAND, "--out", str(out)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(0.02, 0.6) * seconds)
        os.killpg(process.pid, signal.SIGINT if kill % 4 == 3 else signal.SIGKILL)
        process.wait(timeout=60)
    last = run_demo(out)
    assert last.returncode == 0, last.stderr[-2000:]
    assert check_results(out) == wanted
    assert not list(out.rglob("*.partial-*"))
    mark = read_json(out / "runs" / "pretrain" / "_COMPLETE.json")
    assert mark["step"] == demo.PRESETS["smoke"].pretrain_steps
