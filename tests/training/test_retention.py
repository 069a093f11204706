"""Which checkpoints stay, and that the best is found again whatever happened."""

import functools
import json
import os
import shutil

import numpy as np
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import checkpoints
from clinical_t5x.training.actions import EarlyStoppingAction
from clinical_t5x.training.config import (
    CheckpointConfig,
    RestoreCheckpointConfig,
    SaveCheckpointConfig,
)
from clinical_t5x.training.retention import Keeping, best_steps
from clinical_t5x.training.t5x_names import (
    Checkpointer,
    OrbaxCheckpointManagerInterface,
    SaveBestCheckpointer,
)
from tests.training import standin

F1 = {10: 0.5, 20: 0.9, 30: 0.7, 40: 0.9, 50: 0.6}


@pytest.mark.parametrize(
    ("keeping", "expected"),
    [
        (Keeping(), {10, 20, 30, 40, 50, 60}),
        (Keeping(latest=2), {50, 60}),
        (Keeping(latest=1, best=1, metric="eval/t/f1"), {20, 60}),
        (Keeping(latest=2, best=2, metric="eval/t/f1"), {20, 40, 50, 60}),
        (Keeping(latest=1, best=1, metric="eval/t/loss", mode="min"), {10, 60}),
        (Keeping(latest=1, period=20), {20, 40, 60}),
        (Keeping(latest=1, best=1, metric="eval/t/f1", without_metric=True), {20, 60}),
        (Keeping(latest=None, best=1, metric="eval/t/f1"), {10, 20, 30, 40, 50, 60}),
    ],
)
def test_which_stay(keeping, expected):
    assert keeping.chosen([10, 20, 30, 40, 50, 60], F1) == expected


def test_those_that_were_not_evaluated_stay_or_go():
    keeping = Keeping(latest=1, best=1, metric="eval/t/f1")
    assert keeping.chosen([1, 2, 3, 4], {1: 0.1, 3: 0.2}) == {3, 4}
    assert Keeping(1, 1, "eval/t/f1", without_metric=True).chosen([1, 2, 3, 4], {1: 0.1}) == {
        *(1, 2, 3, 4)
    }


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            SaveCheckpointConfig(keep=2, best_metric="eval/t/loss"),
            Keeping(2, 1, "eval/t/loss", "min"),
        ),
        (
            SaveCheckpointConfig(keep=2, best_metric="eval/t/f1", keep_best=3, keep_period=9),
            Keeping(2, 3, "eval/t/f1", "max", 9),
        ),
        (SaveCheckpointConfig(keep=2, checkpointer_cls=Checkpointer), Keeping(2)),
        (
            SaveCheckpointConfig(checkpointer_cls=functools.partial(Checkpointer, keep=4)),
            Keeping(4),
        ),
        (
            SaveCheckpointConfig(
                keep=2,
                checkpointer_cls=functools.partial(
                    SaveBestCheckpointer, metric_name_to_monitor="training_eval/t/loss",
                    metric_mode="min", keep_checkpoints_without_metrics=False,
                ),
            ),
            Keeping(1, 2, "training_eval/t/loss", "min"),
        ),
        (
            SaveCheckpointConfig(
                keep=3,
                checkpoint_manager_cls=functools.partial(
                    OrbaxCheckpointManagerInterface, metric_name_to_monitor="train/accuracy",
                    force_keep_period=100,
                ),
            ),
            Keeping(1, 3, "train/accuracy", "max", 100, without_metric=True),
        ),
    ],
)  # fmt: skip
def test_what_a_configuration_says(config, expected):
    assert config.keeping() == expected
    assert Keeping(metric="training_eval/t/loss").split == "eval/t"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"best_metric": "loss"}, "not the name of a metric"),
        ({"best_metric": "eval/t/loss", "best_mode": "low"}, "choose 'min' or 'max'"),
        ({"keep_best": 0}, "keep_best = 0: must be a whole number, at least 1"),
        ({"checkpointer_cls": lambda *given: object()}, "Orbax does"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        SaveCheckpointConfig(**settings).keeping()


LOSSES = {1: 3.0, 2: 1.0, 3: 2.0, 4: 2.5, 5: 2.2}


def train(model_dir, *, losses=LOSSES, total_steps=5, metric="eval/toy_v1/loss", **options):
    """A run whose held-out loss is given; `losses` may raise, as a process that dies."""

    def given_loss(batches, task, batch_size, steps):
        return lambda trainer, step: {f"eval/{task}": {"loss": losses[step]}}

    save = SaveCheckpointConfig(period=1, keep=1, best_metric=metric)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clinical_t5x.training.begin.held_out_loss", given_loss)
        settings = {"checkpoint_cfg": CheckpointConfig(save)} | options
        settings |= {"trainer_cls": standin.quick_trainer()}
        return standin.run(
            model_dir,
            total_steps=total_steps,
            eval_period=1,
            train_eval_dataset_cfg=standin.dataset("validation"),
            **settings,
        )


class Dies(dict):
    def __missing__(self, step):
        raise OSError("the process dies")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that died between the checkpoint of step 4 and its evaluation, and went on."""
    model_dir = tmp_path_factory.mktemp("killed")
    with pytest.raises(OSError, match="dies"):
        train(model_dir, losses=Dies({step: LOSSES[step] for step in (1, 2, 3)}))
    assert checkpoints.checkpoint_steps(model_dir) == [2, 4]
    train(model_dir)
    return model_dir


def test_the_best_survives_a_death_between_saving_and_evaluating(killed):
    assert checkpoints.checkpoint_steps(killed) == [2, 5]
    found = json.loads((killed / "best_checkpoints.json").read_text())
    assert found["metric"] == "eval/toy_v1/loss" and found["mode"] == "min"
    assert [entry["step"] for entry in found["checkpoints"]] == [2, 5]


def test_the_best_stays_without_its_line_in_the_log(killed, tmp_path):
    copy = shutil.copytree(killed, tmp_path / "copy")
    (copy / "metrics.jsonl").unlink()
    (copy / "_COMPLETE.json").unlink()
    train(copy, losses=LOSSES | {6: 2.3}, total_steps=6)
    assert checkpoints.checkpoint_steps(copy) == [2, 6]


def test_the_best_can_be_asked_for(killed, tmp_path):
    model, partitioner = standin.tiny_model(), PjitPartitioner()
    assert checkpoints.restore_params(killed, model, partitioner)[1] == 5
    assert checkpoints.restore_params(killed, model, partitioner, mode="best")[1] == 2
    config = RestoreCheckpointConfig(path=str(killed), mode="best")
    assert checkpoints.paths_to_restore(config) == [str(killed)]
    tuned = CheckpointConfig(SaveCheckpointConfig(), config)
    run = functools.partial(standin.run, trainer_cls=standin.quick_trainer())
    run(tmp_path, total_steps=0, relative_steps=1, checkpoint_cfg=tuned)
    assert checkpoints.read_position(tmp_path / "checkpoint_3")["first_step"] == 2


def test_a_damaged_best_gives_way_to_the_next(killed, tmp_path, caplog):
    copy = shutil.copytree(killed, tmp_path / "copy")
    for file in (copy / "checkpoint_2" / "params").rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)
    restored = checkpoints.restore_params(
        copy, standin.tiny_model(), PjitPartitioner(), mode="best"
    )
    assert restored[1] == 5
    assert "taking the next best" in caplog.text


def test_without_a_metric_there_is_no_best(tmp_path):
    standin.run(tmp_path, total_steps=1, trainer_cls=standin.quick_trainer())
    with pytest.raises(UserError, match="does not say which checkpoint is best"):
        checkpoints.checkpoint_paths([str(tmp_path)], "best")


def test_stopping_early_keeps_the_best(tmp_path):
    stop = EarlyStoppingAction(("toy_v1", "loss"), "min", patience=2)
    train(tmp_path, actions={"TRAIN_EVAL": [stop]})
    assert checkpoints.checkpoint_steps(tmp_path) == [2, 4]
    assert best_steps(tmp_path) == [2, 4]


def test_a_metric_that_is_nowhere_is_said_with_those_that_are(tmp_path):
    with pytest.raises(UserError, match=r"no metric eval/toy_v1/f1 .* there are eval/toy_v1/loss"):
        train(tmp_path, metric="eval/toy_v1/f1")
    assert checkpoints.checkpoint_steps(tmp_path) == [1]  # nothing is lost by the mistake
    with pytest.raises(UserError, match="the run makes no such evaluation"):
        train(tmp_path, metric="inference_eval/toy_v1/f1")


def test_a_loss_that_is_nan_is_never_the_best(tmp_path):
    train(tmp_path, losses={1: 3.0, 2: np.nan, 3: 4.0}, total_steps=3)
    assert best_steps(tmp_path) == [1, 3]
