"""Results that were cut or altered after they were saved: named, and made again."""

import dataclasses
import json
import math

import numpy as np
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.results import (
    Evaluation,
    Result,
    find_evaluations,
    hash_units,
    load_evaluation,
    save_evaluation,
)

RESULT = Result(
    model="t5-tiny", initialisation="scratch", task="t", task_version="v1", split="test",
    metric="accuracy", value=0.5, low=0.25, high=0.75, level=0.95, method="bca", resamples=10,
    n=4, n_units=3, unit="note", seed=None, checkpoint="c", checkpoint_step=2, config_hash="",
    commit="x", higher_is_better=True, synthetic=True, created="now",
)  # fmt: skip


@pytest.fixture
def directory(tmp_path):
    units = hash_units("t", ["a", "b", "c"])
    sums = {"mednli": np.arange(6.0).reshape(3, 2)}
    return save_evaluation(tmp_path, Evaluation((RESULT,), {"examples": 4}, units, sums))


def _edit(directory, edit):
    document = json.loads((directory / "results.json").read_text())
    edit(document)
    (directory / "results.json").write_text(json.dumps(document))


def _assert_damaged(directory):
    with pytest.raises(UserError, match=r"t-test-step_2 is damaged \(\w+\); run the evaluation"):
        load_evaluation(directory)


def test_whole_results_are_read(directory):
    loaded = load_evaluation(directory)
    assert loaded.results == (RESULT,) and loaded.counts == {"examples": 4}
    _edit(directory, lambda document: document["results"][0].update(value=1, low=None))
    (loaded,) = find_evaluations([directory.parent.parent])
    assert loaded.results == (dataclasses.replace(RESULT, value=1.0, low=None),)
    _edit(directory, lambda document: document["results"][0].update(value=math.nan))
    assert math.isnan(load_evaluation(directory).results[0].value)


@pytest.mark.parametrize(
    "edit",
    [
        lambda document: document.pop("counts"),
        lambda document: document.update(counts=None),
        lambda document: document.update(counts={"examples": None}),
        lambda document: document.update(results=[]),
        lambda document: document.update(results=None),
        lambda document: document["results"][0].pop("task"),
        lambda document: document["results"][0].update(value=None),
        lambda document: document["results"][0].update(value="0.5"),
        lambda document: document["results"][0].update(low="0.5"),
        lambda document: document["results"][0].update(n=4.5),
        lambda document: document["results"][0].update(n_units=2),
    ],
)
def test_altered_results_are_damaged(directory, edit):
    _edit(directory, edit)
    _assert_damaged(directory)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\0"])
def test_cut_results_are_damaged(directory, content):
    (directory / "results.json").write_text(content)
    _assert_damaged(directory)


def test_cut_and_altered_units_are_damaged(directory):
    whole = (directory / "units.npz").read_bytes()
    for end in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        (directory / "units.npz").write_bytes(whole[:end])
        _assert_damaged(directory)
    for place in range(60, 120):  # the compressed numbers of the first array
        altered = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        (directory / "units.npz").write_bytes(altered)
        _assert_damaged(directory)
    (directory / "units.npz").unlink()
    _assert_damaged(directory)


@pytest.mark.parametrize(("n_units", "shape"), [(3, (2, 2)), (2, (3, 2)), (3, (3,)), (2, (2, 2))])
def test_units_and_sums_that_do_not_fit_are_damaged(directory, n_units, shape):
    units = hash_units("t", map(str, range(n_units)))
    with (directory / "units.npz").open("wb") as file:
        np.savez_compressed(file, units=units, **{"sums/mednli": np.ones(shape)})
    _assert_damaged(directory)
