"""A grid of a tiny model from its command line: trained, chosen, scored, killed and drawn."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clinical_t5x import storage
from clinical_t5x.evaluation.report.collect import collect
from clinical_t5x.evaluation.results import find_evaluations
from clinical_t5x.grid.__main__ import main
from clinical_t5x.grid.cells import cells_of
from clinical_t5x.grid.description import make_grid
from clinical_t5x.grid.estimate import operations, rough_seconds, split_sizes

pytestmark = pytest.mark.long_file

ROOT = Path(__file__).parent.parent.parent


def said(capsys):
    """The summary in JSON that a command ended with."""
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def marks(out):
    """When every finished run was finished."""
    found = out.glob("runs/*/_COMPLETE.json")
    return {Path(path).parent.name: os.stat(path).st_mtime_ns for path in found}


@pytest.mark.parametrize("seeds", [[1], pytest.param([1, 2], marks=pytest.mark.slow)])
def test_killed_in_the_middle_and_resumed_it_ends_with_every_run_once(place, seeds, capsys):
    """Scratch at two fractions in a process that is killed; then the rest, and a model from it."""
    first = place.arguments("--model", "scratch=none", "--fractions", "0.5,1")
    first += ["--seeds", ",".join(map(str, seeds))]
    process = subprocess.Popen(
        [sys.executable, "-m", "clinical_t5x.grid", *first],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and "scratch-mednli-50pct-seed1" not in marks(place.out):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = marks(place.out)
    assert "scratch-mednli-50pct-seed1" in before and len(before) < 1 + 2 * len(seeds)
    assert main([*first, "--status", "--json"]) == 0
    assert {line["state"] for line in said(capsys)["runs"]} >= {"done"}

    assert main([*first, "--json"]) == 0
    summary = said(capsys)
    assert [line["state"] for line in summary["runs"]] == ["done"] * (1 + 2 * len(seeds))
    after = marks(place.out)
    assert {name: after[name] for name in before} == before

    checkpoint = place.out / "runs" / "scratch-mednli-100pct-seed1" / "rate_0.02"
    both = [*first, "--model", f"pretrained={checkpoint}", "--fractions", "0.5", "--seeds", "1"]
    assert main([*both, "--json"]) == 0
    assert len(said(capsys)["runs"]) == 3
    check_results(place.out, seeds)


def check_results(out, seeds):
    """What the runs above left behind."""
    evaluations = find_evaluations([out])
    tested = [e.results[0] for e in evaluations if e.results[0].split == "test"]
    systems = {(r.initialisation, r.fraction, r.subset_seed, r.seed) for r in tested}
    assert systems == {
        ("majority", 1.0, None, None),
        ("pretrained", 0.5, 1, 1),
        *(("scratch", 0.5, seed, seed) for seed in seeds),
        *(("scratch", 1.0, None, seed) for seed in seeds),
    }
    assert len(tested) == len(systems) and {r.task for r in tested} == {"mednli_v1"}
    validated = [e.results[0] for e in evaluations if e.results[0].split == "validation"]
    # what the checkpoint itself says of its training data, without a word from the grid
    assert {(r.fraction, r.subset_seed, r.seed) for r in validated} == {
        (fraction, subset_seed, seed) for _, fraction, subset_seed, seed in systems if seed
    }
    data = collect([out])
    assert {(row.initialisation, row.fraction) for row in data.rows} == {s[:2] for s in systems}
    assert [(line.fraction, line.seeds) for line in data.differences] == [(0.5, (1, len(seeds)))]
    for ending in ("html", "svg", "png", "csv"):
        assert (out / f"curve.{ending}").stat().length > 500
    part = storage.completion(out / "runs" / "scratch-mednli-50pct-seed1")["outcome"]
    assert part["training_data"]["examples"] == 9  # half of 18, in whole premises
    for run in out.glob("runs/scratch-*"):
        assert len(list(run.glob("rate_*/checkpoint_*"))) == 1  # the one that was scored


def test_a_run_that_fails_is_told_by_the_exit_code(place, capsys):
    broken = place.arguments("--model", "scratch=none", "--set", "targets=1", "--fractions", "1")
    assert main([*broken, "--seeds", "1", "--json"]) == 1
    states = {line["run"]: line for line in said(capsys)["runs"]}
    assert states["majority-mednli"]["state"] == "done"
    failed = states["scratch-mednli-100pct-seed1"]
    assert failed["state"] == "failed" and "targets are never cut" in failed["reason"]


@pytest.mark.parametrize("command", ["--dry_run", "--status"])
def test_looking_makes_nothing(place, command, capsys):
    assert main(place.arguments("--model", "scratch=none", command, "--fractions", "1")) == 0
    assert "4 runs: 4 waiting" in capsys.readouterr().out
    assert not place.out.exists()


def test_a_rough_estimate_grows_with_what_there_is_to_do(place):
    def grid(**settings):
        given = {"models": {"scratch": None}, "tasks": ["mednli"], "fractions": [0.5, 1.0]}
        given |= {"model_gin": place.model_gin, "seeds": [1], **settings}
        return list(cells_of(make_grid(place.out, given, data_dir=place.home)))

    assert split_sizes("mednli", place.home) == {"train": 18, "validation": 6, "test": 6}
    short, long = (sum_of_operations(grid(steps=steps)) for steps in (10, 1000))
    assert long > 10 * short
    half, whole = (c for c in grid(epochs=3) if c.model)
    assert sum_of_operations([half]) < sum_of_operations([whole])
    assert rough_seconds(grid(steps=10)) > 0
    elsewhere = make_grid(place.out, {"models": {"a": None}}, data_dir=place.out)
    assert rough_seconds(list(cells_of(elsewhere))) is None


def sum_of_operations(cells):
    return sum(operations(cell, 3.0, 1.0) for cell in cells if cell.model)
