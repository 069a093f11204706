"""What a grid is asked for: presets, files and flags, and what is refused."""

import json

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.grid.__main__ import _chosen, _flags, _parser
from clinical_t5x.grid.cells import cells_of
from clinical_t5x.grid.description import make_grid, percentage
from clinical_t5x.grid.gin_files import Budget, evaluation_file, training_file
from clinical_t5x.grid.recipes import PRESETS
from clinical_t5x.launch.program import check_program

MODELS = {"scratch": "none", "pretrained": "runs/pretrain"}


def asked(*arguments, out="somewhere"):
    """The grid of a command line."""
    options = _parser().parse_args(["--out", out, *arguments])
    return make_grid(out, _flags(options), file=options.grid, preset=options.preset)


def grid(**settings):
    return make_grid("somewhere", {"models": MODELS, **settings})


def test_the_paper_preset_is_the_papers_appendix():
    found = {r.task: r for r in make_grid("x", {"models": MODELS}, preset="paper").recipes}
    assert {task: r.epochs for task, r in found.items()} == {"mednli": 40, "radqa": 50, "clip": 40}
    assert {task: r.beams for task, r in found.items()} == {"mednli": 3, "radqa": 1, "clip": 5}
    assert {task: r.inputs for task, r in found.items()} == {
        "mednli": 256, "radqa": 1024, "clip": 256,
    }  # fmt: skip
    assert {r.metric for r in found.values()} == {"accuracy", "f1", "macro_f1"}
    for recipe in found.values():
        assert (recipe.batch_size, recipe.learning_rates, recipe.schedule) == (
            64,
            (1e-4,),
            "constant",
        )
        assert recipe.targets is None and recipe.test_units is None and not recipe.pack
    assert PRESETS["paper"].fractions == (0.01, 0.05, 0.1, 0.25, 1.0)


def test_runs_are_the_product_and_named_after_their_place_in_it():
    runs = list(cells_of(grid(tasks=["mednli", "clip"], fractions=[1, 0.01, 0.005], seeds=[1, 2])))
    assert len(runs) == 2 + 2 * 2 * 3 * 2
    names = [run.name for run in runs]
    assert len(set(names)) == len(names)
    assert names[:3] == ["majority-mednli", "majority-clip", "scratch-mednli-0.5pct-seed1"]
    assert "pretrained-clip-100pct-seed2" in names
    by_name = {run.name: run for run in runs}
    part = by_name["scratch-mednli-1pct-seed2"]
    assert (part.training_name, part.subset_seed) == ("mednli_v1_train_1pct_seed2", 2)
    assert part.training_name == by_name["pretrained-mednli-1pct-seed2"].training_name
    whole = by_name["scratch-mednli-100pct-seed2"]
    assert (whole.training_name, whole.subset_seed) == ("mednli_v1", None)


def test_one_subset_for_all_seeds():
    runs = [run for run in cells_of(grid(fractions=[0.1], subset_seed=7)) if run.model]
    assert {run.subset_seed for run in runs} == {7}


def test_flags_go_over_the_file_and_the_file_over_the_preset(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(
        'preset = "paper"\ntasks = ["mednli", "clip"]\nseeds = [4]\nbeams = 2\n'
        '[models]\nscratch = "none"\n[clip]\nsteps = 70\nlearning_rates = [0.001, 0.0003]\n'
    )
    found = asked("--grid", str(path), "--seeds", "5,6", "--set", "clip.test_units=9")
    mednli, clip = found.recipes
    assert found.seeds == (5, 6) and found.models[0].checkpoint is None
    assert (mednli.epochs, mednli.steps, mednli.beams) == (40, None, 2)
    assert (clip.epochs, clip.steps, clip.beams, clip.test_units) == (None, 70, 2, 9)
    assert clip.learning_rates == (0.001, 0.0003)
    as_json = tmp_path / "grid.json"
    as_json.write_text(json.dumps({"models": {"scratch": None}, "fractions": [0.5]}))
    assert asked("--grid", str(as_json), "--epochs", "2").recipes[0].epochs == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"models": {}}, "no model"),
        ({"models": {"majority": "none"}}, "name of the baseline"),
        ({"models": {"a/b": "none"}}, "directory's name"),
        ({"fractions": [0]}, "above 0 to 1"),
        ({"fractions": [0.1, 10]}, "above 0 to 1"),
        ({"fractions": [0.1, 0.1]}, "0.1 twice"),
        ({"fractions": [float("nan")]}, "finite"),
        ({"fractions": [10**400]}, "finite"),
        ({"fractions": [0.5, 0.5000000001]}, "both be called '50pct'"),
        ({"learning_rates": [0.02, 0.02000000001]}, "both be called '0.02'"),
        ({"learning_rates": "high"}, "list of numbers"),
        ({"seeds": [1.5]}, "whole numbers"),
        ({"seeds": [2**31]}, "whole numbers from 0 to 2147483647"),
        ({"subset_seed": -1}, "subset_seed must be a whole number from 0"),
        ({"subset_seed": 2**31}, "subset_seed must be a whole number from 0"),
        ({"tasks": "mednli"}, "list of names"),
        ({"tasks": ["smoking"]}, "does not know the task 'smoking'"),
        ({"fraction": [0.1]}, "did you mean 'fractions'"),
        ({"clip": {"step": 3}, "tasks": ["clip"]}, "did you mean 'steps'"),
        ({"clip": {"steps": 3}, "tasks": ["mednli"]}, "its tasks are mednli"),
        ({"steps": 0}, "steps must be a whole number from 1"),
        ({"steps": True}, "steps must be a whole number from 1"),
        ({"steps": 3, "epochs": 2}, "steps or epochs, not both"),
        ({"epochs": -1}, "epochs must be a number above 0"),
        ({"learning_rates": [0.1, -1]}, "learning_rates must be above 0"),
        ({"schedule": "linear"}, "schedule 'linear'"),
        ({"options": {"fraction": 0.1}}, "options are arguments"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(settings, words):
    with pytest.raises(UserError, match=words):
        grid(**settings)


@pytest.mark.parametrize(
    "arguments",
    [["--model", "scratch"], ["--fractions", "1%"], ["--set", "clip."], ["--grid", "nowhere.toml"]],
)
def test_flags_that_cannot_be_read_are_refused(arguments):
    with pytest.raises(UserError):
        asked("--model", "scratch=none", *arguments)


def test_numbers_of_flags_are_read_as_they_are_written():
    with pytest.raises(UserError, match=r"not \[99999999999999999999\]"):
        asked("--model", "scratch=none", "--seeds", "99999999999999999999")
    for given in ("inf", "nan"):
        with pytest.raises(UserError, match="finite"):
            asked("--model", "scratch=none", "--fractions", given)
    found = asked("--model", "scratch=none", "--seeds", "2147483647", "--fractions", "1.0,0.5")
    assert found.seeds == (2147483647,) and found.fractions == (0.5, 1)


def test_a_preset_that_is_no_name_is_refused(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text('preset = ["paper"]\nmodels = {scratch = "none"}\n')
    with pytest.raises(UserError, match="there is no preset"):
        asked("--grid", str(path))


def test_names_of_small_fractions_have_no_exponent():
    (run,) = (
        c
        for c in cells_of(grid(fractions=[1e-7], tasks=["mednli"], seeds=[1]))
        if c.model and c.model.name == "scratch"
    )
    assert run.training_name == "mednli_v1_train_0.00001pct_seed1"
    assert run.name == "scratch-mednli-0.00001pct-seed1"
    named = [percentage(value) for value in (0.07, 1 / 3, 0.005, 1, 1.0)]
    assert named == ["7pct", "33.3333pct", "0.5pct", "100pct", "100pct"]


def test_shards_share_the_runs_out_and_patterns_choose():
    runs = list(cells_of(grid(tasks=["mednli"], seeds=[1, 2, 3])))
    parts = [_chosen(runs, None, f"{k}/4") for k in (1, 2, 3, 4)]
    assert sorted(run.name for part in parts for run in part) == sorted(run.name for run in runs)
    assert {run.model.name for run in _chosen(runs, "scratch-*", None)} == {"scratch"}
    for wrong in ({"shard": "0/2"}, {"shard": "3/2"}, {"shard": "half"}, {"only": "nobody-*"}):
        with pytest.raises(UserError):
            _chosen(runs, wrong.get("only"), wrong.get("shard"))


@pytest.mark.parametrize(
    "settings",
    [
        {"fractions": [1]},
        {"metric": "loss"},
        {"patience": 2, "learning_rates": [0.1, 0.01]},
        {"options": {"deid": "keep"}, "schedule": "rise_and_fall", "test_units": 3},
    ],
)
def test_the_gin_files_of_every_kind_of_run_pass_the_check(settings, tmp_path):
    """Names, parameters and references are right, before anything is run."""
    settings = dict(settings)
    fractions = settings.pop("fractions", [0.1])
    models = {"pretrained": "runs/pretrain"}
    described = grid(
        tasks=["mednli"], models=models, fractions=fractions, seeds=[1], mednli=settings
    )
    budget = Budget(10, 5, inputs=64, targets=8, validation_batches=2, first_step=7)
    for cell in cells_of(described):
        if cell.model is None:
            continue
        rate = cell.recipe.learning_rates[0]
        texts = {"train": training_file(cell, budget, rate), "eval": evaluation_file(cell, rate)}
        for verb, text in texts.items():
            path = tmp_path / f"{cell.name}-{verb}.gin"
            path.write_text(text)
            check_program(verb, gin_files=[str(path)], needs_inputs=False)
            assert "test" not in text or verb == "eval"


def test_metric_of_a_task_can_be_replaced_only_for_that_task():
    with pytest.raises(UserError, match="metric"):
        grid(metric="loss")
