"""What a stretch of training was like: its metrics, and how its time was spent."""

from __future__ import annotations

import collections
import time
from collections.abc import Mapping

import jax

from clinical_t5x.training.metric_log import per_token
from clinical_t5x.training.trainer import refuse_non_finite

# Steps that may be under way before the loop waits for the oldest: enough to hide the host's work.
_IN_FLIGHT = 2


class Window:
    """Metric sums since the last report; reads them late, so that the device is never idle."""

    def __init__(self) -> None:
        self._pending: collections.deque[tuple[int, Mapping[str, jax.Array]]] = collections.deque()
        self._sums: collections.Counter[str] = collections.Counter()
        self._steps = 0
        self._begun = time.monotonic()
        self.note = ""

    def add(self, step: int, sums: Mapping[str, jax.Array]) -> None:
        """Count a step; waits for the step before the last."""
        self._pending.append((step + 1, sums))
        self._steps += 1
        while len(self._pending) > _IN_FLIGHT:
            self._read_one()

    def settle(self) -> None:
        """Wait for every step and check its loss."""
        while self._pending:
            self._read_one()

    def _read_one(self) -> None:
        step, sums = self._pending.popleft()
        values = {name: float(value) for name, value in jax.device_get(sums).items()}
        refuse_non_finite(step, values["loss"])
        self._sums.update(values)
        self.note = f"loss {per_token(values)['loss']:.4f}"

    def leave_out(self, seconds: float) -> None:
        """Do not count time spent on something else than training."""
        self._begun += seconds

    def close(self) -> dict[str, float]:
        """The window's metrics; begins a new window."""
        self.settle()
        seconds = max(time.monotonic() - self._begun, 1e-9)
        targets = self._sums.get("num_targets", 0.0)
        tokens = targets + self._sums.get("num_inputs", 0.0)
        metrics = per_token(self._sums)
        metrics["steps_per_second"] = self._steps / seconds
        metrics["target_tokens_per_second"] = targets / seconds
        metrics["tokens_per_second"] = tokens / seconds
        metrics["seconds"] = seconds
        self._sums.clear()
        self._steps = 0
        self._begun = time.monotonic()
        return metrics


def train_line(step: int, metrics: Mapping[str, float]) -> str:
    """A window's metrics for the terminal."""
    content = f"  content loss {metrics['content_loss']:.4f}" if "content_loss" in metrics else ""
    return (
        f"  step {step:,}: loss {metrics['loss']:.4f}{content}  accuracy "
        f"{metrics.get('accuracy', 0.0):.3f}  learning rate {metrics['learning_rate']:.2e}  "
        f"{metrics['tokens_per_second']:,.0f} tokens/s"
    )
