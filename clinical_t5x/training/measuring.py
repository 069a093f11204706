"""What a stretch of training was like: its metrics, what its time went to, and the hardware's use.

A window reaches from one report to the next. Its time is all accounted for: what was spent on
something else than steps (see `TimeAccount`) is taken off, the rest is time of steps.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from clinical_t5x.models.accelerators import peak_flops
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.flops import StepFlops, step_flops
from clinical_t5x.training.guard import refuse_non_finite
from clinical_t5x.training.metric_log import per_token

# What time may go to besides steps: getting started, compiling the update, waiting for a batch
# while the devices had nothing to do, the part of saving that training waits for, evaluations and
# the actions after them, writing a profile.
OTHER_THAN_STEPS = ("start", "compile", "input", "save", "evaluate", "profile")

# Steps that may be under way before the loop waits for the oldest: enough to hide the host's work.
_IN_FLIGHT = 2

# Shares of a window's time that deserve a place on the terminal.
_WORTH_SHOWING = 0.05


class TimeAccount:
    """A process's time since its run began, shared out among what it was spent on.

    Args:
      begun: When, by `time.monotonic()`; default now.
    """

    def __init__(self, begun: float | None = None):
        self._begun = self._lap_begun = time.monotonic() if begun is None else begun
        self._lap: collections.Counter[str] = collections.Counter()
        self._steps_before = 0.0

    def spend(self, kind: str, seconds: float) -> None:
        """Count seconds that just went by as spent on one of `OTHER_THAN_STEPS`."""
        if kind not in OTHER_THAN_STEPS:
            raise ValueError(f"{kind!r} is none of {OTHER_THAN_STEPS}")
        self._lap[kind] += seconds

    @contextlib.contextmanager
    def spending(self, kind: str) -> Iterator[None]:
        """Count the time inside the block as spent on one of `OTHER_THAN_STEPS`."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.spend(kind, time.monotonic() - begun)

    def spend_rest(self, kind: str) -> None:
        """Count the time of this lap that was spent on nothing else as spent on `kind`."""
        self.spend(kind, self._steps_since_lap(time.monotonic()))

    @property
    def started(self) -> float:
        """When the process's run began, in seconds since the epoch."""
        return time.time() - (time.monotonic() - self._begun)

    def lap(self) -> dict[str, float]:
        """Seconds since the last lap by kind; what was spent on nothing else is 'step'."""
        now = time.monotonic()
        steps = self._steps_since_lap(now)
        lap = {"step": steps} | {kind: self._lap[kind] for kind in OTHER_THAN_STEPS}
        self._steps_before += steps
        self._lap.clear()
        self._lap_begun = now
        return lap

    def step_seconds(self) -> float:
        """Seconds spent on steps since the process's run began."""
        return self._steps_before + self._steps_since_lap(time.monotonic())

    def _steps_since_lap(self, now: float) -> float:
        return max(now - self._lap_begun - self._lap.total(), 0.0)


@dataclasses.dataclass(frozen=True)
class StepCost:
    """What one update asks for, and what the hardware could give.

    Attributes:
      inputs: Positions of the encoder in a batch, padding included; 0 where there is none.
      targets: Positions of the decoder, padding included.
      flops: None for a model that is no T5.
      peak: FLOP/s of all devices together; None where that is not known.
    """

    inputs: int
    targets: int
    flops: StepFlops | None
    peak: float | None

    @classmethod
    def of(cls, model: Any, devices: Any, batch: Mapping[str, jax.Array]) -> StepCost:
        """The cost of updates on batches like this one.

        Args:
          model: Has a `config` if it is a T5.
          devices: All that share the work, as an array or a sequence.
          batch: Arrays of the whole batch, not of one host's part.
        """
        shapes = {name: feature.shape for name, feature in batch.items()}
        encoder = shapes.get("encoder_input_tokens", (0, 0))
        decoder = shapes.get("decoder_target_tokens", (0, 0))
        config = getattr(model, "config", None)
        if not isinstance(config, T5Config):
            return cls(encoder[0] * encoder[1], decoder[0] * decoder[1], None, None)
        flops = step_flops(
            config, batch_size=encoder[0], inputs_length=encoder[1], targets_length=decoder[1]
        )
        peaks = [_peak_of(device, config.dtype) for device in getattr(devices, "flat", devices)]
        peak = sum(peaks) if all(peaks) else None
        return cls(encoder[0] * encoder[1], decoder[0] * decoder[1], flops, peak)

    def rates(self, steps: int, seconds: float) -> dict[str, float]:
        """Model FLOP/s and, where the peak is known, the part of it that was used.

        Args:
          steps: Updates made.
          seconds: Time they took.
        """
        if self.flops is None:
            return {}
        rate = self.flops.model * steps / seconds
        found = {"model_tflops_per_second": rate / 1e12}
        if self.peak:
            found["mfu"] = rate / self.peak
            if self.flops.recompute:
                found["hfu"] = self.flops.hardware * steps / seconds / self.peak
        return found


def _peak_of(device: Any, dtype: str) -> float | None:
    return peak_flops(device.device_kind, dtype, cores=getattr(device, "num_cores", None))


# From a step and its metric sums to whether they count; it may end the run.
Review = Callable[[int, Mapping[str, float]], bool]


def _review_finite(step: int, values: Mapping[str, float]) -> bool:
    refuse_non_finite(step, values["loss"])
    return True


class Window:
    """Metric sums since the last report; reads them late, so that the device is never idle.

    Args:
      model: The model that is trained.
      devices: The devices that it is trained on.
      account: Where the process's time is accounted for.
      review: Looks at every step's sums, in order, as many steps late on every host; default:
        refuses a loss that is not finite.
    """

    def __init__(
        self, model: Any, devices: Any, account: TimeAccount, review: Review = _review_finite
    ):
        self._model, self._devices, self._account = model, devices, account
        self._review = review
        self._pending: collections.deque[tuple[int, Mapping[str, jax.Array]]] = collections.deque()
        self._sums: collections.Counter[str] = collections.Counter()
        self._steps = self._counted = 0
        self._cost: StepCost | None = None
        self.note = ""

    def add(self, step: int, batch: Mapping[str, jax.Array], sums: Mapping[str, jax.Array]) -> None:
        """Count a step; waits for the step before the last.

        Args:
          step: Updates made before this one.
          batch: What it was made of.
          sums: Its metric sums, which may still be on their way.
        """
        if self._cost is None:
            self._cost = StepCost.of(self._model, self._devices, batch)
        self._pending.append((step + 1, sums))
        self._steps += 1
        while len(self._pending) > _IN_FLIGHT:
            self._read_one()

    def settle(self) -> None:
        """Wait for every step and check its loss."""
        while self._pending:
            self._read_one()

    def discard(self) -> None:
        """Forget every step since the last report: they are made again."""
        self._pending.clear()
        self._sums.clear()
        self._steps = self._counted = 0

    def device_is_busy(self) -> bool:
        """Whether a step is still being computed."""
        if not self._pending:
            return False
        return not next(iter(self._pending[-1][1].values())).is_ready()

    def _read_one(self) -> None:
        step, sums = self._pending.popleft()
        values = {name: float(value) for name, value in jax.device_get(sums).items()}
        if not self._review(step, values):
            return
        self._sums.update(values)
        self._counted += 1
        self.note = f"loss {per_token(values)['loss']:.4f}"

    def close(self) -> dict[str, float]:
        """The window's metrics; begins a new window.

        Returns:
          What `per_token` makes of the sums, rates, `seconds` (of steps and of waiting for input),
          the share of padding in inputs and targets, the use of the hardware (`StepCost.rates`),
          and the share of the window's time by what it went to (`time_step`, `time_input`, ...).
        """
        self.settle()
        lap = self._account.lap()
        seconds = max(lap["step"] + lap["input"], 1e-9)
        targets, inputs = self._sums.get("num_targets", 0.0), self._sums.get("num_inputs", 0.0)
        metrics = per_token(self._sums)
        metrics["steps_per_second"] = self._steps / seconds
        metrics["target_tokens_per_second"] = targets / seconds
        metrics["tokens_per_second"] = (targets + inputs) / seconds
        metrics["seconds"] = seconds
        if self._cost is not None:
            metrics |= self._padding(inputs, targets) | self._cost.rates(self._steps, seconds)
        total = max(sum(lap.values()), 1e-9)
        metrics |= {f"time_{kind}": spent / total for kind, spent in lap.items()}
        self._sums.clear()
        self._steps = self._counted = 0
        return metrics

    def _padding(self, inputs: float, targets: float) -> dict[str, float]:
        """The shares of positions that hold no input token, and that have no target."""
        positions = {
            "inputs_padding": (inputs, self._cost.inputs * self._counted),
            "targets_padding": (targets, self._cost.targets * self._counted),
        }
        return {name: 1 - used / there for name, (used, there) in positions.items() if there}


def train_line(step: int, metrics: Mapping[str, float]) -> str:
    """A window's metrics for the terminal."""
    content = f"  content loss {metrics['content_loss']:.4f}" if "content_loss" in metrics else ""
    used = f"  MFU {metrics['mfu']:.0%}" if "mfu" in metrics else ""
    return (
        f"  step {step:,}: loss {metrics['loss']:.4f}{content}  accuracy "
        f"{metrics.get('accuracy', 0.0):.3f}  learning rate {metrics['learning_rate']:.2e}  "
        f"{metrics['tokens_per_second']:,.0f} tokens/s{used}{_time_elsewhere(metrics)}"
    )


def _time_elsewhere(metrics: Mapping[str, float]) -> str:
    """What else than steps a window's time went to, where it is worth a word."""
    shares = {kind: metrics.get(f"time_{kind}", 0.0) for kind in OTHER_THAN_STEPS}
    shown = [f"{share:.0%} {kind}" for kind, share in shares.items() if share >= _WORTH_SHOWING]
    return f"  ({', '.join(shown)})" if shown else ""
