"""Several processes at one grid: every run once, whatever dies or fails."""

import collections
import json
import multiprocessing
import os
import signal
import time

import pytest

from clinical_t5x import storage
from clinical_t5x.console import Stopped, UserError
from clinical_t5x.data import lease
from clinical_t5x.grid import running, sharing
from clinical_t5x.grid.cells import cells_of
from clinical_t5x.grid.description import make_grid
from clinical_t5x.grid.sharing import State


def finish(cell, is_lost=None):
    """What `run_cell` leaves behind, without the work."""
    running.begin(cell)
    outcome = {"test": {"accuracy": 0.5}, "seconds": {"all": 1.0}}
    mark = {**storage.completion_mark(cell.made_from), "outcome": outcome}
    storage.write_json_atomically(cell.directory / storage.COMPLETE_MARK, mark)
    return outcome


def grid_of(out, seeds):
    settings = {"models": {"a": None, "b": None}, "tasks": ["mednli"], "fractions": [0.5, 1]}
    return list(cells_of(make_grid(out, {**settings, "seeds": list(range(seeds))})))


def worker(out, seeds, log):
    """Another process at the same grid; every run that it makes is a line of the log."""

    def make(cell, is_lost):
        with open(log, "a") as file:
            file.write(f"{cell.name}\n")
        time.sleep(0.02)
        return finish(cell)

    sharing.work(grid_of(out, seeds), make)


def sleeper(out):
    """A process that begins the first run and never ends it."""

    def make(cell, is_lost):
        running.begin(cell)
        (cell.directory / "begun").write_text("")
        time.sleep(600)

    sharing.work(grid_of(out, 1), make)


def test_two_processes_share_a_grid_and_make_every_run_once(tmp_path):
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=worker, args=(tmp_path / "grid", 3, log)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    made = collections.Counter(log.read_text().split())
    cells = grid_of(tmp_path / "grid", 3)
    assert made == {cell.name: 1 for cell in cells}
    assert all(sharing.is_done(cell) for cell in cells)
    assert not list((tmp_path / "grid" / "runs").glob(".*lease*"))


def test_a_killed_process_leaves_its_run_to_the_next(tmp_path):
    out = tmp_path / "grid"
    process = multiprocessing.get_context("spawn").Process(target=sleeper, args=(out,))
    process.start()
    cells = grid_of(out, 1)
    while not (cells[0].directory / "begun").exists():
        assert process.is_alive()
        time.sleep(0.02)
    state, holder = sharing.state_of(cells[0])
    assert (
        state is State.RUNNING and holder.process == f"{os.uname().nodename}-{process.pid}"
    ) or holder
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert sharing.state_of(cells[0])[0] is State.STOPPED
    made = []
    sharing.work(cells, lambda cell, is_lost: made.append(cell.name) or finish(cell))
    assert made == [cell.name for cell in cells]


def test_a_failed_run_is_recorded_and_stops_nothing(described, capsys):
    cells = list(cells_of(described))

    def make(cell, is_lost):
        if cell.seed == 1:
            raise ValueError("first line\nsecond line")
        return finish(cell)

    sharing.work(cells, make)
    states = {cell.name: sharing.state_of(cell)[0] for cell in cells}
    assert states["scratch-mednli-50pct-seed1"] is State.FAILED
    assert collections.Counter(states.values()) == {State.DONE: 3, State.FAILED: 2}
    reason = sharing.failure_of(cells[1])
    assert reason["reason"] == "ValueError: first line"
    assert "FAILED: ValueError: first line" in capsys.readouterr().out
    made = []
    sharing.work(cells, lambda cell, is_lost: made.append(cell) or finish(cell))
    assert not made  # nothing is tried twice unless asked
    assert sharing.forget_failures(cells) == 2
    sharing.work(cells, lambda cell, is_lost: made.append(cell) or finish(cell))
    assert [cell.seed for cell in made] == [1, 1]


def test_a_request_to_stop_gives_the_lease_back(described):
    cells = list(cells_of(described))

    def stop(cell, is_lost):
        raise Stopped("Ctrl-C at step 3, saved")

    with pytest.raises(Stopped):
        sharing.work(cells, stop)
    assert sharing.state_of(cells[0])[0] is State.WAITING
    assert sharing.failure_of(cells[0]) is None


def test_whoever_was_taken_over_records_nothing(described):
    cell = next(cells_of(described))
    told = []

    def make(cell, is_lost):
        told.append(is_lost())
        other = lease.take(cell.directory, after=1)  # as a process would that takes us for dead
        told.append(is_lost())
        finish(cell)
        other.__exit__()
        raise OSError("its files are gone")

    sharing.work([cell], make)
    assert told == [False, True] and sharing.failure_of(cell) is None and sharing.is_done(cell)


def test_runs_of_another_recipe_are_refused(described, tmp_path):
    cells = list(cells_of(described))
    finish(cells[1])
    sharing.refuse_other_runs(cells)
    settings = {"models": {"scratch": None}, "tasks": ["mednli"], "fractions": [0.5], "seeds": [1]}
    other = list(cells_of(make_grid(described.out, {**settings, "beams": 4})))
    with pytest.raises(UserError, match=r"recipe.beams \(1, now 4\)"):
        sharing.refuse_other_runs(other)
    more = list(cells_of(make_grid(described.out, {**settings, "seeds": [1, 7]})))
    sharing.refuse_other_runs(more)  # a grid may grow


def best_of(cell, rate, values):
    checkpoints = [{"step": step, "value": value} for step, value in values]
    content = {"metric": cell.recipe.watched, "mode": "max", "checkpoints": checkpoints}
    storage.write_json_atomically(cell.model_dir(rate) / "best_checkpoints.json", content)


def test_the_learning_rate_is_chosen_on_validation_and_written_down(tmp_path):
    settings = {
        "models": {"scratch": None},
        "tasks": ["mednli"],
        "learning_rates": [0.1, 0.01, 1.0],
    }
    cell = next(c for c in cells_of(make_grid(tmp_path, settings)) if c.model)
    with pytest.raises(UserError, match="no checkpoint with a finite"):
        running.choose(cell)
    best_of(cell, 0.1, [(4, 0.5), (2, 0.4)])
    best_of(cell, 0.01, [(2, 0.7), (4, 0.6)])
    best_of(cell, 1.0, [])  # every value was NaN
    found = running.choose(cell)
    assert (found["learning_rate"], found["step"]) == (0.01, 2)
    assert found["tried"] == {
        "0.1": {"step": 4, "value": 0.5}, "0.01": {"step": 2, "value": 0.7}, "1": None,
    }  # fmt: skip
    by_loss = make_grid(tmp_path / "loss", {**settings, "mednli": {"metric": "loss"}})
    cell = next(c for c in cells_of(by_loss) if c.model)
    best_of(cell, 0.1, [(4, 0.5)])
    best_of(cell, 0.01, [(2, 0.7)])
    assert running.choose(cell)["learning_rate"] == 0.1
    assert json.dumps(found)
