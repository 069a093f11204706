"""Bad batches: left out alike whether they are skipped, gone back before, or met again.

Does not show: that leaving a batch out helps a real run whose loss leaps.
"""

import dataclasses
import json

import jax
import numpy as np
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.launch import facade, static_check
from clinical_t5x.launch.gin_reading import read_configuration
from clinical_t5x.launch.programs import program_named
from clinical_t5x.launch.search_path import SearchPath
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import checkpoints, runtime
from clinical_t5x.training.actions import EarlyStoppingAction
from clinical_t5x.training.guard import GuardRecord, LossGuard, LossSpikeError, NonFiniteLossError
from clinical_t5x.training.metric_log import read_metrics
from clinical_t5x.training.state import refuse_non_finite_params
from tests.training import standin

BAD = 4  # the step with the bad batch, counted as updates after it
STEPS = 6


class BadBatches(standin.CountingBatches):
    """Batches of which some have loss weights that make loss and gradient blow up.

    Args:
      bad: By step: infinity makes the loss NaN, a large number lets the gradient leap.
      broken: Steps at which the data fails, as a process that dies.
    """

    def __init__(self, seed, batch_size, bad, broken=()):
        super().__init__(seed, batch_size)
        self._bad, self._broken = bad, broken

    def batch(self, step, rows=None):
        if step + 1 in self._broken:
            raise OSError("the process dies")
        features = super().batch(step, rows)
        weights = features["decoder_loss_weights"].astype(np.float32)
        return features | {"decoder_loss_weights": weights * self._bad.get(step + 1, 1.0)}


NAN, LEAP = {BAD: np.inf}, {BAD: 1e4}
LEAPS = {"gradient_factor": 5.0, "window": 2}


def run(model_dir, bad, guard, *, broken=(), **options):
    def open_bad(task_name, *, seed, batch_size, **_):
        return BadBatches(seed, batch_size, bad, broken)

    trainer_cls = standin.quick_trainer(loss_guard=guard)
    settings = {"total_steps": STEPS, "period": 2, "stats_period": 1} | options
    return standin.run(model_dir, get_dataset_fn=open_bad, trainer_cls=trainer_cls, **settings)


def outcome(model_dir):
    """What two runs must share: checksums of the last checkpoint, losses, what is remembered."""
    position = checkpoints.read_position(model_dir / f"checkpoint_{STEPS}")
    losses = [(point["step"], point["loss"]) for point in read_metrics(model_dir)]
    return position["checksums"], losses, position["guard"]


def bad_lines(model_dir):
    lines = [json.loads(line) for line in (model_dir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line.get("event") == "bad batch"]


def made_by_hand(guard, leave_out):
    """Parameters after STEPS steps of which some are left out, without a loop or a guard's help."""
    trainer = standin.quick_trainer(loss_guard=guard)(
        model=standin.tiny_model(),
        train_state=None,
        partitioner=PjitPartitioner(),
        eval_names=(),
        summary_dir=None,
        train_state_axes=None,
        rng=runtime.random_key(3, runtime.DROPOUT_STREAM),
    )
    trainer.init_state(runtime.random_key(3, runtime.INIT_STREAM))
    batches = BadBatches(3, standin.BATCH, {})
    trainer.compile(trainer.partitioner.place_batch(batches.batch(0), standin.BATCH))
    for step in range(STEPS):
        if step + 1 in leave_out:
            trainer.skip_step()
        else:
            trainer.train_step(trainer.partitioner.place_batch(batches.batch(step), standin.BATCH))
    return checkpoints.checksums(trainer.train_state.params)


@pytest.fixture(scope="module", params=["nan", pytest.param("leap", marks=pytest.mark.slow)])
def skipped(request, tmp_path_factory):
    """A run that skips its bad batch: what is bad, the guard's settings, MODEL_DIR."""
    bad, settings = {"nan": (NAN, {"window": 2}), "leap": (LEAP, LEAPS)}[request.param]
    model_dir = tmp_path_factory.mktemp("skipped")
    state = run(model_dir, bad, LossGuard("skip", **settings))
    assert int(state.step) == STEPS
    assert int(state.opt_state.count) == STEPS - 1
    return bad, settings, model_dir


def test_a_skipped_batch_leaves_no_trace_but_its_line(skipped):
    bad, settings, model_dir = skipped
    checksums, losses, remembered = outcome(model_dir)
    assert checksums["params"] == made_by_hand(LossGuard("skip", **settings), {BAD})
    assert [step for step, _ in losses] == [1, 2, 3, 5, 6]
    assert np.isfinite([loss for _, loss in losses]).all()
    assert remembered["bad"] == remembered["skipped"] == [BAD]
    (line,) = bad_lines(model_dir)
    assert (line["step"], line["left_out"]) == (BAD, [BAD])
    assert line["loss"] == "nan" if bad is NAN else line["gradient_norm"] > 1e3


@pytest.mark.parametrize("policy", ["skip", "roll_back"])
def test_either_goes_on_bit_for_bit(skipped, tmp_path, policy):
    """Killed when the bad batch was seen and no checkpoint knows of it yet."""
    bad, settings, undisturbed = skipped
    guard = LossGuard(policy, **settings)
    with pytest.raises(OSError, match="the process dies"):
        run(tmp_path, bad, guard, period=3, broken=[6])
    assert checkpoints.checkpoint_steps(tmp_path)[-1] == 3
    run(tmp_path, bad, guard, period=3)
    assert outcome(tmp_path) == outcome(undisturbed)
    assert len(bad_lines(tmp_path)) == 1


def test_going_back_leaves_out_the_same_batch_bit_for_bit(skipped, tmp_path):
    bad, settings, undisturbed = skipped
    state = run(tmp_path, bad, LossGuard("roll_back", **settings))
    assert int(state.step) == STEPS
    assert outcome(tmp_path) == outcome(undisturbed)
    (line,) = bad_lines(tmp_path)
    assert (line["step"], line["rolled_back_to"], line["left_out"]) == (BAD, 2, [BAD])


def test_going_back_before_the_first_checkpoint_and_past_several_batches(tmp_path):
    guard = LossGuard("roll_back", window=2, batches=3)
    run(tmp_path, NAN, guard, period=STEPS)
    assert outcome(tmp_path)[0]["params"] == made_by_hand(guard, {2, 3, 4})
    (line,) = bad_lines(tmp_path)
    assert (line["rolled_back_to"], line["left_out"]) == (0, [2, 3, 4])
    assert checkpoints.checkpoint_steps(tmp_path) == [0, STEPS]


def test_what_actions_remember_goes_back_too(tmp_path):
    """The evaluation of step 3, which is made twice, counts once."""
    stop = EarlyStoppingAction(("toy_v1", "loss"), "min", patience=4, atol=100.0)
    options = {
        "train_eval_dataset_cfg": standin.dataset("validation"),
        "eval_period": 1,
        "actions": {"TRAIN_EVAL": [stop]},
    }
    state = run(tmp_path, NAN, LossGuard("roll_back", window=2), **options)
    assert int(state.step) == 5
    evaluated = [p["step"] for p in read_metrics(tmp_path) if p["split"] == "eval/toy_v1"]
    assert evaluated == [1, 2, 3, 4, 5]


def test_stopping_before_a_leap(tmp_path):
    with pytest.raises(LossSpikeError, match=r"step 4 .* gradient norm .*usually"):
        run(tmp_path, LEAP, LossGuard("stop", **LEAPS))
    assert checkpoints.checkpoint_steps(tmp_path) == [2]


def test_too_many_bad_batches_end_the_run(tmp_path):
    bad = {2: np.inf, 3: np.inf, 5: np.inf}
    with pytest.raises(LossSpikeError, match=r"number 3 within 1,000 steps .*limit = 2"):
        run(tmp_path, bad, LossGuard("skip", window=2, limit=2))
    assert max(checkpoints.checkpoint_steps(tmp_path)) == 4


def test_bad_batches_long_ago_do_not_count():
    record = GuardRecord(LossGuard("skip", limit=1, limit_steps=10), {"bad": [5], "skipped": [5]})
    values = {"guard_bad": 1.0, "guard_loss": 9.0, "guard_gradient_norm": 1.0}
    values |= {"guard_usual_loss": 1.0, "guard_usual_gradient_norm": 1.0}
    assert record.review(15, values)["loss"] == 9.0
    with pytest.raises(LossSpikeError):
        record.review(16, values)


def test_a_leap_of_the_loss_is_measured_by_the_median():
    guard = LossGuard("skip", loss_factor=3.0, window=3)
    memory, found = guard.new_memory(), []
    for loss in (2.0, 9.0, 2.0, 6.1, 5.9, 18.0, np.nan):
        verdict, memory = guard.judge(memory, np.float32(loss), np.float32(1), True)
        found.append(bool(verdict.bad))
    # none before the window is full; then the medians of (2, 9, 2), of the same, of (9, 2, 5.9)
    assert found == [False, False, False, True, False, True, True]
    assert memory.to_json() == {
        "losses": [9.0, 2.0, float(np.float32(5.9))],
        "norms": [1.0] * 3,
        "seen": 4,
    }


def test_parameters_that_overflowed_are_never_saved(tmp_path):
    """The loss before the update was finite; only the next loss would be NaN."""
    state = run(tmp_path, {}, None, total_steps=2)
    broken = jax.tree.map(lambda leaf: leaf.at[(0,) * leaf.ndim].set(np.inf), state.params)
    with pytest.raises(NonFiniteLossError, match=r"decoder_norm/scale is not finite after step 2"):
        refuse_non_finite_params(dataclasses.replace(state, params=broken))
    refuse_non_finite_params(state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "rollback"}, "choose stop, skip or roll_back"),
        ({"loss_factor": 0.5}, "must be above 1"),
        ({"window": 0}, "at least 1"),
    ],
)
def test_settings_without_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        LossGuard(**settings)


def test_going_back_needs_checkpoints(tmp_path):
    from clinical_t5x.training.config import CheckpointConfig

    with pytest.raises(UserError, match=r"needs checkpoints"):
        run(tmp_path, NAN, LossGuard("roll_back"), checkpoint_cfg=CheckpointConfig())


@pytest.mark.parametrize("name", ["skip", "roll_back"])
def test_gin_files_of_guards(name):
    facade.provide()
    files = ["gin/demo.gin", f"gin/guards/{name}.gin"]
    configuration = static_check.check(
        read_configuration(files, [], SearchPath()), program_named("train")
    )
    assert "clinical_t5x.training.guard:LossGuard" in configuration.reached
