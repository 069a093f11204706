"""A number that is none is named before a run begins, not when it is first used."""

import dataclasses

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.training.config import SaveCheckpointConfig
from clinical_t5x.training.schedule import create_learning_rate_scheduler
from tests.training import standin


@pytest.mark.parametrize(
    "settings",
    [
        {"keep": 2.5}, {"keep": "a"}, {"keep": 0}, {"keep": True}, {"period": "5"},
        {"period": -5}, {"checkpoint_steps": 7}, {"checkpoint_steps": [1, "2"]},
        {"keep_best": None}, {"keep_period": 1.0},
    ],
)  # fmt: skip
def test_when_to_save(settings):
    (name,) = settings
    with pytest.raises(UserError, match=rf"SaveCheckpointConfig\.{name} = |SaveCheckpoint.*steps"):
        SaveCheckpointConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"total_steps": "20"}, "TRAIN_STEPS"),
        ({"total_steps": -1}, "TRAIN_STEPS"),
        ({"total_steps": None}, "TRAIN_STEPS"),
        ({"relative_steps": 0}, "TRAIN_STEPS_RELATIVE"),
        ({"eval_steps": -1}, "EVAL_STEPS"),
        ({"eval_period": "x"}, "EVAL_PERIOD"),
        ({"eval_period": -3}, "EVAL_PERIOD"),
        ({"stats_period": -2}, "train.stats_period"),
        ({"random_seed": -1}, "RANDOM_SEED"),
        ({"random_seed": 1.5}, "RANDOM_SEED"),
    ],
)
def test_how_long_and_how_often(tmp_path, settings, name):
    with pytest.raises(UserError, match=rf"^{name} = .*: must be a whole number, at least [01]"):
        standin.run(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("size", ["eight", 8.0, 0])
def test_how_many_rows(size):
    with pytest.raises(UserError, match=r"BATCH_SIZE = .*: must be a whole number"):
        standin.dataset(batch_size=size)


def test_a_run_without_a_place():
    with pytest.raises(UserError, match="MODEL_DIR = ''"):
        standin.run("")


@pytest.mark.parametrize(
    "settings",
    [
        {"base_learning_rate": "0.1"}, {"warmup_steps": -4}, {"warmup_steps": 10.5},
        {"steps_per_cycle": 0}, {"steps_per_decay": 0}, {"min_learning_rate": None},
    ],
)  # fmt: skip
def test_learning_rates(settings):
    (name,) = settings
    with pytest.raises(UserError, match=rf"create_learning_rate_scheduler\.{name} = "):
        create_learning_rate_scheduler(**settings)


@pytest.mark.parametrize("factors", ["linear_warmup", "rsqrt_decay", "rsqrt_normalized_decay",
                                     "constant * linear_warmup * rsqrt_decay"])  # fmt: skip
def test_no_warm_up_is_like_a_warm_up_of_one_step_that_is_over(factors):
    none, one = (create_learning_rate_scheduler(factors, warmup_steps=n) for n in (0, 1))
    assert [float(none(step)) for step in (1, 2, 50)] == [float(one(s)) for s in (1, 2, 50)]
    assert float(none(0)) == float(none(1)) > 0


@pytest.mark.parametrize("size", ["2", 2.0, 0])
def test_sizes_of_a_network(size):
    config = standin.tiny_model().config
    with pytest.raises(ValueError, match=r"T5Config\.num_heads is .*; it must be a whole number"):
        dataclasses.replace(config, num_heads=size)
