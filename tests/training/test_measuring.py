"""What a run tells about itself: time, hardware use, padding, goodput over interruptions."""

import dataclasses
import json
import queue
import threading
import time

import jax
import numpy as np
import pytest

from clinical_t5x.models.flops import step_flops
from clinical_t5x.training import metric_log
from clinical_t5x.training.goodput import Goodput
from clinical_t5x.training.measuring import (
    OTHER_THAN_STEPS,
    StepCost,
    TimeAccount,
    train_line,
)
from clinical_t5x.training.metric_log import MetricLog, read_metrics
from clinical_t5x.training.prefetch import Prefetcher
from tests.training import standin


class Clock:
    """Time that passes when it is told to, for whole modules."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.now + 1.7e9)

    def passes(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@dataclasses.dataclass
class Device:
    device_kind: str


def batch(rows=4, inputs=10, targets=6):
    return {
        "encoder_input_tokens": jax.ShapeDtypeStruct((rows, inputs), np.int32),
        "decoder_target_tokens": jax.ShapeDtypeStruct((rows, targets), np.int32),
    }


def test_every_second_is_accounted_for(clock):
    account = TimeAccount()
    clock.passes(3)
    account.spend_rest("start")
    with account.spending("compile"):
        clock.passes(5)
    clock.passes(10)
    account.spend("input", 2)
    first = account.lap()
    clock.passes(4)
    with account.spending("save"):
        clock.passes(1)
    assert account.step_seconds() == 8 + 4
    second = account.lap()
    nothing = dict.fromkeys(OTHER_THAN_STEPS, 0)
    assert first == nothing | {"step": 8, "start": 3, "compile": 5, "input": 2}
    assert second == nothing | {"step": 4, "save": 1}
    with pytest.raises(ValueError, match="none of"):
        account.spend("sleep", 1)


def test_use_of_the_hardware_is_exact():
    model = standin.tiny_model(dtype="bfloat16", remat_policy="full")
    cost = StepCost.of(model, [Device("TPU v4")] * 4, batch())
    flops = step_flops(model.config, batch_size=4, inputs_length=10, targets_length=6)
    assert (cost.inputs, cost.targets) == (40, 24)
    rates = cost.rates(steps=7, seconds=2.0)
    assert rates["model_tflops_per_second"] == flops.model * 7 / 2 / 1e12
    assert rates["mfu"] == flops.model * 7 / 2 / (4 * 275e12)
    assert rates["hfu"] == flops.hardware * 7 / 2 / (4 * 275e12)


def test_use_of_unknown_hardware_or_model_is_not_guessed():
    on_cpu = StepCost.of(standin.tiny_model(), jax.devices("cpu"), batch())
    assert on_cpu.rates(1, 1.0).keys() == {"model_tflops_per_second"}
    mixed = StepCost.of(standin.tiny_model(), [Device("TPU v4"), Device("cpu")], batch())
    assert mixed.peak is None
    without_remat = StepCost.of(standin.tiny_model(), [Device("TPU v4")], batch())
    assert without_remat.rates(1, 1.0).keys() == {"model_tflops_per_second", "mfu"}
    foreign = StepCost.of(object(), [Device("TPU v4")], batch())
    assert foreign.rates(1, 1.0) == {}


def test_a_wait_for_a_batch_counts_only_while_the_device_is_idle():
    made, starved = queue.Queue(), []
    busy = threading.Event()
    busy.set()
    looked = threading.Event()

    def is_busy():
        looked.set()
        return busy.is_set()

    batches = Prefetcher(lambda step: made.get(), 0, 2, is_busy=is_busy, starved=starved.append)
    with batches:
        arrivals = iter(batches)
        threading.Thread(target=lambda: (looked.wait(), made.put("first"))).start()
        assert next(arrivals) == (0, "first")
        assert starved == []  # the device worked all the while
        busy.clear()
        threading.Timer(0.05, made.put, ["second"]).start()
        assert next(arrivals) == (1, "second")
        assert len(starved) == 1
        assert starved[0] > 0


def process(directory, clock, step, *, starting):
    """A process of a run that begins at a step: its log, its time, its goodput."""
    log = MetricLog(directory, step)
    account = TimeAccount()
    clock.passes(starting)
    account.spend_rest("start")
    return account, Goodput(log, account, step)


def test_goodput_counts_steps_that_the_run_stands_on(clock, tmp_path):
    account, goodput = process(tmp_path, clock, 0, starting=10)
    clock.passes(20)  # steps 1 to 2
    goodput.saved(2)
    with account.spending("save"):
        clock.passes(5)
    clock.passes(25)  # steps 3 to 5
    assert goodput.share() == 45 / 60
    clock.passes(20)  # more steps; killed, nothing saved since step 2; nothing runs for a while
    clock.passes(20)

    account, goodput = process(tmp_path, clock, 2, starting=10)
    assert goodput.share() == pytest.approx(20 / 110)
    clock.passes(50)
    goodput.saved(4)
    assert goodput.share() == pytest.approx(70 / 160)
    clock.passes(40)
    goodput.rolled_back(4)
    assert goodput.share() == pytest.approx(70 / 200)

    _, goodput = process(tmp_path, clock, 4, starting=0)
    clock.passes(50)
    assert goodput.share() == pytest.approx(120 / 250)


def test_a_run_killed_before_its_first_save_has_lost_its_time(clock, tmp_path):
    process(tmp_path, clock, 0, starting=10)
    clock.passes(90)
    _, goodput = process(tmp_path, clock, 0, starting=0)
    clock.passes(100)
    assert goodput.share() == pytest.approx(100 / 200)


def test_what_is_written_about_the_run_is_no_metric(clock, tmp_path):
    _, goodput = process(tmp_path, clock, 0, starting=1)
    MetricLog(tmp_path).write(2, "train", {"loss": 1.0})
    goodput.saved(2)
    assert read_metrics(tmp_path) == [{"step": 2, "split": "train", "loss": 1.0}]
    assert MetricLog(tmp_path, 2).evaluations() == []
    lines = [json.loads(x) for x in (tmp_path / metric_log.METRICS_FILE).read_text().splitlines()]
    assert [line.get("event") for line in lines] == ["started", None, "saved"]


class HalfEmptyBatches(standin.CountingBatches):
    """A quarter of the inputs and half of the targets are padding."""

    def batch(self, step, rows=None):
        features = super().batch(step, rows)
        features["encoder_input_tokens"] = np.ones((8, 12), np.int32)
        features["encoder_input_tokens"][:, 9:] = 0
        features["decoder_target_tokens"] = np.ones((8, 6), np.int32)
        features["decoder_loss_weights"] = np.ones((8, 6), np.int32)
        features["decoder_loss_weights"][:4] = 0
        return features


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """Metrics of a run that was stopped at a step without statistics and went on."""
    directory = tmp_path_factory.mktemp("measured")
    options = {"get_dataset_fn": lambda name, seed, batch_size, **_: HalfEmptyBatches(seed)}
    standin.run(directory, total_steps=3, stats_period=2, **options)
    standin.run(directory, total_steps=6, stats_period=2, **options)
    return read_metrics(directory)


def test_padding_is_reported(points):
    for point in points:
        assert point["inputs_padding"] == 0.25
        assert point["targets_padding"] == 0.5


def test_the_shares_of_a_windows_time_add_up(points):
    for point in points:
        shares = [point[f"time_{kind}"] for kind in ("step", *OTHER_THAN_STEPS)]
        assert sum(shares) == pytest.approx(1.0)
        assert min(shares) >= 0
    by_step = {point["step"]: point for point in points}
    assert by_step[2]["time_start"] > 0
    assert by_step[2]["time_compile"] > 0
    assert by_step[6]["time_start"] == 0  # the second window of its process
    assert by_step[6]["time_save"] > 0


def test_goodput_is_in_the_log(points):
    assert all(0 < point["goodput"] < 1 for point in points)


def test_the_line_of_a_window_names_what_took_time():
    metrics = {
        "loss": 2.5,
        "accuracy": 0.25,
        "learning_rate": 0.01,
        "tokens_per_second": 12345.0,
        "mfu": 0.431,
        "time_step": 0.8,
        "time_input": 0.01,
        "time_save": 0.19,
    }
    assert train_line(1200, metrics) == (
        "  step 1,200: loss 2.5000  accuracy 0.250  learning rate 1.00e-02  12,345 tokens/s  "
        "MFU 43%  (19% save)"
    )
