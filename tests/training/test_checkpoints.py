import dataclasses
import logging
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import checkpoints
from clinical_t5x.training import state as states
from clinical_t5x.training.checkpoints import CheckpointStore, restore_params
from clinical_t5x.training.config import RestoreCheckpointConfig
from clinical_t5x.training.optimizer import Adafactor, bind_optimizer

POSITION = {"seed": 1, "data_seed": 1, "global_batch_size": 8, "manifest_hash": "abc"}


class OneLayer:
    """The part of a model that checkpoints need: parameters with names and shapes."""

    def __init__(self, width=48):
        self._width = width

    def init_params(self, rng, shardings=None):
        return jax.jit(self._numbers, out_shardings=shardings)(rng)

    def _numbers(self, rng):
        return {
            "layer": {"kernel": jax.random.normal(rng, (32, self._width))},
            "scale": jnp.ones(self._width),
        }

    def logical_axes(self):
        return {"layer": {"kernel": ("embed", "mlp")}, "scale": ("embed",)}


@pytest.fixture
def partitioner():
    return PjitPartitioner()


def bound(model):
    optimizer = Adafactor(min_dim_size_to_factor=8)
    shapes = states.abstract_params(model)
    return bind_optimizer(optimizer, lambda step: 0.1, shapes, model.logical_axes())


def state_at(step, partitioner, model=None):
    model = model or OneLayer()
    optimizer = bound(model)
    abstract = states.abstract_state(model, optimizer, partitioner)
    state = states.init_state(model, optimizer, abstract, jax.random.key(step))
    return dataclasses.replace(state, step=jnp.int32(step)), abstract


def save_steps(directory, steps, partitioner, **options):
    store = CheckpointStore(directory, **options)
    saved = {}
    for step in steps:
        state, abstract = state_at(step, partitioner)
        store.save(state, POSITION)
        saved[step] = jax.tree.map(np.array, state)
    store.wait()
    return store, saved, abstract


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def files_below(directory):
    return [path for path in pathlib.Path(directory).rglob("*") if path.is_file()]


def damage(checkpoint, part="params"):
    """Flip one bit in the middle of the largest file."""
    files = files_below(checkpoint / part)
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def truncate(checkpoint, part="params"):
    for path in files_below(checkpoint / part):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_the_newest_state_comes_back_bit_for_bit(tmp_path, partitioner):
    store, saved, abstract = save_steps(tmp_path, [2, 4, 6], partitioner, keep=2)
    assert store.steps() == [4, 6]
    state, position = store.restore_latest(abstract, POSITION)
    assert_equal(state, saved[6])
    assert POSITION.items() <= position.items() and position["step"] == 6
    store.close()


def test_a_relative_directory_will_do(tmp_path, partitioner, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_steps("runs/demo", [3, 5], partitioner)[0].close()
    assert restore_params("runs/demo", OneLayer(), partitioner)[1] == 5
    step_3 = "runs/demo/checkpoint_3"
    assert restore_params(step_3, OneLayer(), partitioner, mode="specific")[1] == 3


def test_an_empty_directory_gives_nothing(tmp_path, partitioner):
    _, abstract = state_at(0, partitioner)
    assert CheckpointStore(tmp_path / "none").restore_latest(abstract, POSITION) is None


@pytest.mark.parametrize("harm", [damage, truncate])
@pytest.mark.parametrize("part", ["params", "optimizer"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(
    tmp_path, partitioner, caplog, harm, part
):
    store, saved, abstract = save_steps(tmp_path, [1, 2], partitioner)
    harm(store.path(2), part)
    with caplog.at_level(logging.WARNING, "clinical_t5x"):
        state, position = store.restore_latest(abstract, POSITION)
    assert position["step"] == 1
    assert_equal(state, saved[1])
    assert "checkpoint_2" in caplog.text and "taking the one before" in caplog.text
    again, _ = state_at(2, partitioner)
    store.save(again, POSITION)  # its place is free again
    store.wait()
    assert store.steps() == [1, 2]
    store.close()


def test_a_damaged_only_checkpoint_leaves_nothing_to_go_on_from(tmp_path, partitioner, caplog):
    store, _, abstract = save_steps(tmp_path, [2], partitioner)
    damage(store.path(2))
    assert store.restore_latest(abstract, POSITION) is None
    assert "set aside as damaged_checkpoint_2, there is none before it" in caplog.text
    assert (tmp_path / "damaged_checkpoint_2").exists() and not store.steps()
    store.close()


def test_what_a_killed_process_was_removing_is_no_checkpoint(tmp_path, partitioner):
    store, _, _ = save_steps(tmp_path, [1, 2], partitioner)
    store.close()
    store.path(1).rename(tmp_path / "removed_checkpoint_1")
    again, _, _ = save_steps(tmp_path, [3], partitioner)
    assert again.steps() == [2, 3]
    assert not (tmp_path / "removed_checkpoint_1").exists()
    again.close()


def test_a_missing_part_counts_as_damage(tmp_path, partitioner):
    store, _, abstract = save_steps(tmp_path, [1, 2], partitioner)
    shutil.rmtree(store.path(2) / "position")
    assert store.restore_latest(abstract, POSITION)[1]["step"] == 1


@pytest.mark.parametrize(
    ("key", "cure"),
    [
        ("seed", "RANDOM_SEED"),
        ("global_batch_size", "BATCH_SIZE"),
        ("manifest_hash", "data or its options"),
    ],
)
def test_another_position_is_refused_with_both_values(tmp_path, partitioner, key, cure):
    store, _, abstract = save_steps(tmp_path, [1], partitioner)
    other = POSITION | {key: "other"}
    with pytest.raises(UserError, match=cure) as refusal:
        store.restore_latest(abstract, other)
    message = str(refusal.value)
    assert f"{key} = {POSITION[key]}" in message and f"{key} = other" in message
    assert "\n" not in message


def test_another_model_is_refused_by_the_names_of_tensors(tmp_path, partitioner):
    store, _, _ = save_steps(tmp_path, [1], partitioner)
    _, abstract = state_at(1, partitioner, OneLayer(width=64))
    with pytest.raises(UserError, match=r"layer/kernel.*\(32, 48\).*\(32, 64\)"):
        store.restore_latest(abstract, POSITION)
    with pytest.raises(UserError, match="layer/kernel"):
        restore_params(tmp_path, OneLayer(width=64), partitioner)


def test_params_are_read_from_a_model_dir_or_a_checkpoint(tmp_path, partitioner):
    store, saved, _ = save_steps(tmp_path, [3, 5], partitioner)
    params, step = restore_params(tmp_path, OneLayer(), partitioner)
    assert step == 5
    assert_equal(params, saved[5].params)
    params, step = restore_params(store.path(3), OneLayer(), partitioner, mode="specific")
    assert step == 3
    params, _ = restore_params(tmp_path, OneLayer(), partitioner, dtype="bfloat16")
    assert params["scale"].dtype == jnp.bfloat16


def test_params_fall_back_too_but_never_to_nothing(tmp_path, partitioner):
    store, _, _ = save_steps(tmp_path, [3, 5], partitioner)
    damage(store.path(5))
    assert restore_params(tmp_path, OneLayer(), partitioner)[1] == 3
    with pytest.raises(UserError, match="checkpoint_5 is damaged"):
        restore_params(store.path(5), OneLayer(), partitioner)


def test_bfloat16_parameters_can_be_stored(tmp_path, partitioner):
    _, saved, _ = save_steps(tmp_path, [1], partitioner, dtype="bfloat16")
    params, _ = restore_params(tmp_path, OneLayer(), partitioner)
    kernel = saved[1].params["layer"]["kernel"]
    np.testing.assert_array_equal(
        params["layer"]["kernel"], kernel.astype(jnp.bfloat16).astype(np.float32)
    )


def test_paths_that_are_no_checkpoint_are_named(tmp_path, partitioner):
    with pytest.raises(UserError, match="no_such_dir does not exist"):
        restore_params(tmp_path / "no_such_dir", OneLayer(), partitioner)
    with pytest.raises(UserError, match="holds no checkpoint"):
        restore_params(tmp_path, OneLayer(), partitioner)
    save_steps(tmp_path, [4], partitioner)
    with pytest.raises(UserError, match="checkpoint_4: name that one"):
        restore_params(tmp_path, OneLayer(), partitioner, mode="specific")
    with pytest.raises(UserError, match="CHECKPOINT_PATH is empty"):
        checkpoints.paths_to_restore(RestoreCheckpointConfig(path=[]))
    every = RestoreCheckpointConfig(path=str(tmp_path), mode="all")
    assert checkpoints.paths_to_restore(every) == [str(tmp_path / "checkpoint_4")]


def test_checksums_see_one_bit_and_the_order():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    whole = checkpoints.checksums({"a": array})
    flipped = array.copy()
    flipped.view(np.uint32)[1, 2] ^= 1
    assert checkpoints.checksums({"a": flipped}) != whole
    assert checkpoints.checksums({"a": array[::-1]}) != whole
    assert checkpoints.checksums({"a": array.T}) != whole
