"""`run_program` in one process: real training of a tiny model, repeatedly, without leftovers."""

import os
import sys

import pytest

import gin
from clinical_t5x.console import UserError
from clinical_t5x.launch.program import run_program
from clinical_t5x.training.metric_log import read_metrics

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
    return [point["loss"] for point in read_metrics(model_dir)]


@pytest.fixture(scope="module")
def first_run(recipe, tmp_path_factory):
    """One finished run: its MODEL_DIR, what was announced, and the state that came back."""
    model_dir, notices = tmp_path_factory.mktemp("runs") / "first", []
    state = train(recipe, model_dir, "EVAL_PERIOD = 2", announce=notices.append)
    return model_dir, notices, state


def test_run_returns_the_state_and_writes_checkpoint_and_configuration(first_run):
    model_dir, notices, state = first_run
    assert int(state.step) == 2
    assert (model_dir / "checkpoint_2").is_dir()
    assert "float32 on this CPU" in " ".join(notices)
    written = (model_dir / "config.gin").read_text()
    assert "TRAIN_STEPS = 2" in written
    assert "T5Config.dtype = 'float32'" in written


def test_written_configuration_is_a_recipe_with_the_same_result(first_run, tmp_path):
    """A second run in the same process, from config.gin: same seed, same bits."""
    model_dir, _, _ = first_run
    again = train(str(model_dir / "config.gin"), tmp_path / "again")
    assert int(again.step) == 2
    assert losses(tmp_path / "again") == losses(model_dir)


def test_run_leaves_nothing_behind_and_heeds_the_command_line(
    recipe, first_run, tmp_path, monkeypatch
):
    main, prefixes = sys.modules["__main__"], list(gin.config._LOCATION_PREFIXES)
    monkeypatch.setattr(main, "train", "the user's own", raising=False)
    monkeypatch.delenv("CLINICAL_T5X_DATA", raising=False)
    names = set(vars(main))
    wishes = ["network.T5Config.dtype = bfloat16", "RANDOM_SEED = 4", "EVAL_PERIOD = 2"]
    train(recipe, tmp_path / "b", *wishes, data_dir=tmp_path / "home")
    assert "T5Config.dtype = 'bfloat16'" in (tmp_path / "b" / "config.gin").read_text()
    assert losses(tmp_path / "b") != losses(first_run[0])
    assert sys.modules["__main__"] is main and set(vars(main)) == names
    assert main.train == "the user's own"
    assert prefixes == gin.config._LOCATION_PREFIXES
    assert not gin.config_str().strip()
    assert "CLINICAL_T5X_DATA" not in os.environ


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        ("network.T5Config.vocab_size = 100", "vocab_size"),
        ("network.T5Config.dropout_rate = 2.0", "dropout_rate"),
        ("BATCH_SIZE = 0", "BATCH_SIZE"),
        ("partitioning.PjitPartitioner.ici_mesh_shape = (1, 5, 1)", "ici_mesh_shape"),
    ],
)
def test_impossible_value_is_a_users_error_without_gins_additions(
    recipe, tmp_path, binding, expected
):
    with pytest.raises(UserError, match=expected) as caught:
        train(recipe, tmp_path / "a", binding)
    assert "In call to configurable" not in str(caught.value)
    assert not gin.config_str().strip()
    assert "\n" not in str(caught.value)


def test_no_gin_file_is_a_users_error():
    with pytest.raises(UserError, match="no gin file; name one"):
        run_program("train", gin_files=[])


def test_unknown_program_is_a_users_error():
    with pytest.raises(UserError, match="no program 'trian'"):
        run_program("trian", gin_files=["x.gin"])
