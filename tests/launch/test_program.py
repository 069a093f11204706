"""`run_program` in one process: real training of a tiny model, repeatedly, without leftovers."""

import json
import os
import sys

import pytest

import gin
from clinical_t5x.console import UserError
from clinical_t5x.launch.program import run_program

# A data source of the test's own, under the names that a user's module would have.
DATA_MODULE = """
import types
import numpy as np

class Vocabulary:
    vocab_size, extra_ids, eos_id, pad_id = 120, 10, 1, 0

def open_batches(task, *, feature_lengths, batch_size, seed, **options):
    def batch(step, rows=None):
        generator = np.random.default_rng((seed, step))
        inputs = generator.integers(3, 100, (batch_size, feature_lengths["inputs"]), np.int32)
        targets = np.tile(inputs[:, :1], feature_lengths["targets"])
        shifted = np.pad(targets, ((0, 0), (1, 0)))[:, :-1]
        features = {
            "encoder_input_tokens": inputs,
            "decoder_target_tokens": targets,
            "decoder_input_tokens": shifted,
            "decoder_loss_weights": np.ones_like(targets),
        }
        return {k: v if rows is None else v[rows] for k, v in features.items()}
    return types.SimpleNamespace(
        batch=batch, feature_lengths=feature_lengths, rows_per_epoch=64, manifest_hash="test"
    )
"""

RECIPE = """
from __gin__ import dynamic_registration
import __main__ as train_script
import launch_test_data
from t5x import utils
from t5x.examples.t5 import network

include 't5x/examples/t5/t5_1_0/tiny.gin'
include 't5x/configs/runs/pretrain.gin'

VOCABULARY = @launch_test_data.Vocabulary()
network.T5Config.vocab_size = 128
train_script.train.get_dataset_fn = @launch_test_data.open_batches
MIXTURE_OR_TASK_NAME = 'none'
TASK_FEATURE_LENGTHS = {'inputs': 8, 'targets': 4}
DROPOUT_RATE = 0.1
BATCH_SIZE = 4
TRAIN_STEPS = 2
EVAL_PERIOD = 0
EVAL_STEPS = 0
RANDOM_SEED = 3
utils.SaveCheckpointConfig.period = 2
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """The recipe's path; one module for all tests, as gin keeps classes for good."""
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "launch_test_data.py").write_text(DATA_MODULE)
    (folder / "recipe.gin").write_text(RECIPE)
    sys.path.insert(0, str(folder))
    yield str(folder / "recipe.gin")
    sys.path.remove(str(folder))


def train(recipe, model_dir, *bindings, **options):
    bindings = [f"MODEL_DIR = {model_dir}", *bindings]
    return run_program("train", gin_files=[recipe], bindings=bindings, **options)


def losses(model_dir):
    lines = (model_dir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_runs_twice_in_one_process_and_leaves_nothing(recipe, tmp_path):
    main, prefixes = sys.modules["__main__"], list(gin.config._LOCATION_PREFIXES)
    names = set(vars(main))
    notices = []
    state = train(recipe, tmp_path / "a", announce=notices.append)
    assert int(state.step) == 2
    assert (tmp_path / "a" / "checkpoint_2").is_dir()
    state = train(recipe, tmp_path / "b", "TRAIN_STEPS = 4", "EVAL_PERIOD = 2")
    assert int(state.step) == 4
    assert sys.modules["__main__"] is main and set(vars(main)) == names
    assert prefixes == gin.config._LOCATION_PREFIXES
    assert not gin.config_str().strip()
    assert "float32 on this CPU" in " ".join(notices)


def test_config_gin_says_what_ran_and_runs_again(recipe, tmp_path):
    train(recipe, tmp_path / "a")
    written = (tmp_path / "a" / "config.gin").read_text()
    assert "TRAIN_STEPS = 2" in written
    assert "dtype = 'float32'" in written
    # The operative configuration is a recipe itself.
    again = train(str(tmp_path / "a" / "config.gin"), tmp_path / "b")
    assert int(again.step) == 2


def test_bfloat16_on_the_command_line_stays(recipe, tmp_path):
    train(recipe, tmp_path / "a", "network.T5Config.dtype = bfloat16")
    assert "T5Config.dtype = 'bfloat16'" in (tmp_path / "a" / "config.gin").read_text()


def test_same_seed_same_bits(recipe, tmp_path):
    for name in ("a", "b"):
        train(recipe, tmp_path / name, "EVAL_PERIOD = 2")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    train(recipe, tmp_path / "c", "EVAL_PERIOD = 2", "RANDOM_SEED = 4")
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def test_users_own_main_is_given_back(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "train", "mine", raising=False)
    train(recipe, tmp_path / "a")
    assert sys.modules["__main__"].train == "mine"


def test_data_home_holds_for_the_run_only(recipe, tmp_path, monkeypatch):
    monkeypatch.delenv("CLINICAL_T5X_DATA", raising=False)
    train(recipe, tmp_path / "a", data_dir=tmp_path / "home")
    assert "CLINICAL_T5X_DATA" not in os.environ


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        ("network.T5Config.vocab_size = 100", "vocab_size"),
        ("network.T5Config.dropout_rate = 2.0", "dropout_rate"),
        ("BATCH_SIZE = 0", "BATCH_SIZE"),
        ("partitioning.PjitPartitioner.num_partitions = 3", "num_partitions"),
    ],
)
def test_impossible_value_is_a_users_error_without_gins_additions(
    recipe, tmp_path, binding, expected
):
    with pytest.raises(UserError, match=expected) as caught:
        train(recipe, tmp_path / "a", binding)
    assert "In call to configurable" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_error_leaves_gin_clean_for_the_next_run(recipe, tmp_path):
    with pytest.raises(UserError):
        train(recipe, tmp_path / "a", "BATCH_SIZE = 0")
    assert int(train(recipe, tmp_path / "a").step) == 2


def test_no_gin_file_is_a_users_error():
    with pytest.raises(UserError, match="no gin file; name one"):
        run_program("train", gin_files=[])


def test_unknown_program_is_a_users_error():
    with pytest.raises(UserError, match="no program 'trian'"):
        run_program("trian", gin_files=["x.gin"])
