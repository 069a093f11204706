import json
import logging
import math
import os
import signal

import jax
import numpy as np
import pytest

from clinical_t5x import console, storage
from clinical_t5x.console import UserError
from clinical_t5x.training import checkpoints
from clinical_t5x.training.actions import EarlyStoppingAction
from clinical_t5x.training.config import (
    CheckpointConfig,
    RestoreCheckpointConfig,
    SaveCheckpointConfig,
)
from clinical_t5x.training.guard import NonFiniteLossError
from clinical_t5x.training.metric_log import read_metrics
from tests.training import standin


def final_sums(model_dir, step):
    return checkpoints.read_position(model_dir / f"checkpoint_{step}")["checksums"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An undisturbed run of six steps with evaluation."""
    model_dir = tmp_path_factory.mktemp("finished")
    state = standin.run(
        model_dir,
        total_steps=6,
        eval_period=3,
        train_eval_dataset_cfg=standin.dataset("validation"),
        summarize_config_fn=lambda place, writer, step: storage.write_text_atomically(
            f"{place}/config.gin", "# test"
        ),
    )
    return model_dir, state


def test_a_run_leaves_what_t5x_users_expect(finished):
    model_dir, state = finished
    assert int(state.step) == 6
    assert checkpoints.checkpoint_steps(model_dir) == [2, 4, 6]
    assert storage.completion(model_dir)["step"] == 6
    assert list((model_dir / "train").glob("events.out.tfevents.*"))
    assert list((model_dir / "training_eval" / "toy_v1").glob("events.out.tfevents.*"))
    assert (model_dir / "config.gin").exists()
    info = (model_dir / "model-info.txt").read_text()
    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    assert f"{count:,} numbers" in info
    assert "token_embedder/embedding  size 1024  shape (vocab=64, embed=16)" in info


def test_metrics_are_per_token_and_named(finished):
    points = read_metrics(finished[0])
    assert [(p["step"], p["split"]) for p in points] == [
        (2, "train"),
        (3, "eval/toy_v1"),
        (4, "train"),
        (6, "train"),
        (6, "eval/toy_v1"),
    ]
    expected = {"loss", "accuracy", "learning_rate", "steps_per_second", "tokens_per_second"}
    assert expected | {"target_tokens_per_second", "seconds"} <= points[0].keys()
    assert abs(points[0]["loss"] - math.log(standin.VOCAB)) < 1.0


def test_tensorboard_reads_the_event_files(finished):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    (path,) = (finished[0] / "train").glob("events.out.tfevents.*")
    values = {}
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            number = value.tensor.float_val[0] if value.HasField("tensor") else value.simple_value
            values[event.step, value.tag] = number
    assert values[6, "loss"] == pytest.approx(read_metrics(finished[0])[3]["loss"], rel=1e-6)


def test_a_complete_run_is_not_run_again(finished, capsys):
    before = (finished[0] / "metrics.jsonl").read_bytes()
    assert standin.run(finished[0], total_steps=6) is None
    assert "complete at step 6" in capsys.readouterr().out
    assert (finished[0] / "metrics.jsonl").read_bytes() == before


def test_a_run_in_two_parts_is_bit_identical(finished, tmp_path):
    standin.run(tmp_path, total_steps=3)
    state = standin.run(tmp_path, total_steps=6)
    assert final_sums(tmp_path, 6) == final_sums(finished[0], 6)
    jax.tree.map(np.testing.assert_array_equal, state.params, finished[1].params)
    steps = [p["step"] for p in read_metrics(tmp_path) if p["split"] == "train"]
    assert steps == [2, 3, 4, 6]


def test_lines_written_after_the_checkpoint_are_not_repeated(tmp_path):
    standin.run(tmp_path, total_steps=2)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 3, "split": "train", "loss": 0.0}) + "\n")
        file.write('{"step": 4, "spl')  # a line that a killed process left
    standin.run(tmp_path, total_steps=4)
    assert [p["step"] for p in read_metrics(tmp_path)] == [2, 4]


def test_the_seed_decides_everything(finished, tmp_path):
    standin.run(tmp_path / "same", total_steps=6)
    standin.run(tmp_path / "other", total_steps=6, seed=4)
    assert final_sums(tmp_path / "same", 6) == final_sums(finished[0], 6)
    assert final_sums(tmp_path / "other", 6) != final_sums(finished[0], 6)


def test_another_seed_in_the_same_model_dir_is_refused(finished):
    with pytest.raises(UserError, match=r"seed = 3, this run has seed = 4.*RANDOM_SEED"):
        standin.run(finished[0], total_steps=8, seed=4)


def test_no_seed_means_zero_and_says_so(tmp_path, capsys):
    standin.run(tmp_path, total_steps=1, seed=None)
    assert "RANDOM_SEED is not set: 0" in capsys.readouterr().out
    assert checkpoints.read_position(tmp_path / "checkpoint_1")["data_seed"] == 0


def from_checkpoint(path, mode="latest", **options):
    restore = RestoreCheckpointConfig(path=str(path), mode=mode, **options)
    return CheckpointConfig(SaveCheckpointConfig(period=2), restore)


def test_fine_tuning_takes_parameters_and_counts_their_steps(finished, tmp_path):
    state = standin.run(
        tmp_path,
        total_steps=0,
        relative_steps=3,
        seed=9,
        checkpoint_cfg=from_checkpoint(finished[0]),
    )
    assert int(state.step) == 9
    assert int(state.opt_state.count) == 3  # a new optimizer memory
    position = checkpoints.read_position(tmp_path / "checkpoint_9")
    assert position["first_step"] == 6
    assert position["initialisation"] == "pretrained"
    assert position["parameters_from"] == str(finished[0])


def test_fine_tuning_in_two_parts_is_bit_identical(finished, tmp_path):
    options = {"relative_steps": 4, "checkpoint_cfg": from_checkpoint(finished[0])}
    standin.run(tmp_path / "whole", **options)
    standin.run(tmp_path / "parts", **(options | {"relative_steps": 2}))
    standin.run(tmp_path / "parts", **options)
    assert final_sums(tmp_path / "parts", 10) == final_sums(tmp_path / "whole", 10)


def test_total_steps_below_the_checkpoint_say_what_to_set(finished, tmp_path):
    with pytest.raises(UserError, match=r"TRAIN_STEPS = 5 .* step 6.*TRAIN_STEPS_RELATIVE"):
        standin.run(tmp_path, total_steps=5, checkpoint_cfg=from_checkpoint(finished[0]))


def test_a_missing_initial_checkpoint_is_named_or_replaced(tmp_path, caplog):
    with pytest.raises(UserError, match="nowhere"):
        standin.run(tmp_path, checkpoint_cfg=from_checkpoint(tmp_path / "nowhere"))
    fallback = from_checkpoint(tmp_path / "nowhere", fallback_to_scratch=True)
    with caplog.at_level(logging.WARNING, "clinical_t5x"):
        standin.run(tmp_path, total_steps=1, checkpoint_cfg=fallback)
    assert "beginning from random parameters" in caplog.text


class PoisonedBatches(standin.CountingBatches):
    """Loss weights become infinite at the fourth step."""

    def batch(self, step, rows=None):
        features = super().batch(step, rows)
        if step == 3:
            weights = features["decoder_loss_weights"]
            features["decoder_loss_weights"] = weights.astype(np.float32) * np.inf
        return features | {
            "decoder_loss_weights": features["decoder_loss_weights"].astype(np.float32)
        }


def test_a_loss_that_is_not_finite_stops_the_run_unsaved(tmp_path):
    def open_poisoned(task_name, *, seed, batch_size, **options):
        return PoisonedBatches(seed, batch_size)

    with pytest.raises(NonFiniteLossError, match="step 4"):
        standin.run(tmp_path, total_steps=6, period=1, get_dataset_fn=open_poisoned)
    assert max(checkpoints.checkpoint_steps(tmp_path)) == 3
    assert not storage.is_complete(tmp_path)


def test_early_stopping_ends_and_completes_the_run(tmp_path):
    stop = EarlyStoppingAction(("toy_v1", "loss"), "min", patience=1, atol=100.0)
    state = standin.run(
        tmp_path,
        total_steps=20,
        eval_period=1,
        train_eval_dataset_cfg=standin.dataset("validation"),
        actions={"TRAIN_EVAL": [stop]},
    )
    assert int(state.step) == 2
    assert "did not improve" in storage.completion(tmp_path)["ended_by"]
    assert checkpoints.checkpoint_steps(tmp_path) == [2]


def test_an_evaluation_that_was_cut_off_is_made_up_for(tmp_path):
    options = {"eval_period": 2, "train_eval_dataset_cfg": standin.dataset("validation")}
    standin.run(tmp_path, total_steps=2, **options)
    before = read_metrics(tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"eval/' not in line]
    (tmp_path / "metrics.jsonl").write_text("".join(kept))
    (tmp_path / storage.COMPLETE_MARK).unlink()
    standin.run(tmp_path, total_steps=2, **options)
    assert read_metrics(tmp_path) == before
    assert storage.is_complete(tmp_path)


@pytest.mark.parametrize("total_steps", [2, 3])
def test_a_signal_cuts_an_evaluation_off_and_it_is_made_later(tmp_path, total_steps):
    """In the middle of a run, and after its last step."""
    signals = [signal.SIGTERM]

    class Batches(standin.CountingBatches):
        def one_pass(self, rows=None):
            yield from super().one_pass(rows)
            while signals:
                os.kill(os.getpid(), signals.pop())

    options = {
        "total_steps": total_steps,
        "period": 10,
        "eval_period": 2,
        "train_eval_dataset_cfg": standin.dataset("validation"),
        "get_dataset_fn": lambda task, *, seed, batch_size, **_: Batches(seed, batch_size),
        "eval_steps": 10,
    }
    with pytest.raises(console.Stopped, match="SIGTERM at step 2, saved"):
        standin.run(tmp_path, **options)
    assert checkpoints.checkpoint_steps(tmp_path) == [2]
    assert not [point for point in read_metrics(tmp_path) if point["split"] == "eval/toy_v1"]
    standin.run(tmp_path, **options)
    evaluated = [p["step"] for p in read_metrics(tmp_path) if p["split"] == "eval/toy_v1"]
    assert evaluated == [2, *range(3, total_steps + 1)]
    assert storage.is_complete(tmp_path)


def test_early_stopping_remembers_what_was_before_a_resume(tmp_path):
    def part(total_steps):
        stop = EarlyStoppingAction(("toy_v1", "loss"), "min", patience=2, atol=100.0)
        return standin.run(
            tmp_path,
            total_steps=total_steps,
            eval_period=1,
            train_eval_dataset_cfg=standin.dataset("validation"),
            actions={"TRAIN_EVAL": [stop]},
        )

    part(2)
    assert int(part(20).step) == 3


def test_an_error_in_the_data_reaches_the_caller(tmp_path):
    class BrokenBatches(standin.CountingBatches):
        def batch(self, step, rows=None):
            if step == 2:
                raise OSError("store is gone")
            return super().batch(step, rows)

    def open_broken(task_name, *, seed, batch_size, **options):
        return BrokenBatches(seed, batch_size)

    with pytest.raises(OSError, match="store is gone"):
        standin.run(tmp_path, total_steps=6, get_dataset_fn=open_broken)


def test_parameters_of_t5x_without_meaning_are_accepted(tmp_path):
    """Where a gin file binds them, the reasons are told: tests/launch/test_accepted.py."""
    assert int(standin.run(tmp_path, total_steps=1, gc_period=5, use_orbax=False).step) == 1
