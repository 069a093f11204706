"""Actions that may end a run, consulted after every evaluation with its metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping

from clinical_t5x.console import UserError


class TerminateOnNanAction:
    """Stops training when a metric is not finite (T5X's name).

    The loop itself guards the training loss at every step; this guards an evaluation metric.

    Args:
      task: The task whose metrics are watched.
      metric: Its name.
    """

    def __init__(self, task: str, metric: str = "loss"):
        self._task, self._metric = task, metric

    def run(self, step: int, metrics_by_task: Mapping[str, Mapping[str, float]]) -> str | None:
        """Why training should stop, or None."""
        value = metrics_by_task.get(self._task, {}).get(self._metric)
        if value is not None and not math.isfinite(value):
            return f"{self._task}/{self._metric} is {value} at step {step}"
        return None


class EarlyStoppingAction:
    """Stops training when a metric has not improved for a while (T5X's name).

    Args:
      metric: (task, metric name).
      mode: 'min' or 'max': which is better.
      patience: Evaluations without improvement that are allowed.
      atol: What counts as improvement, absolute.
      rtol: What counts as improvement, relative to the best.
    """

    def __init__(
        self,
        metric: tuple[str, str],
        mode: str,
        patience: int = 3,
        atol: float = 0.0,
        rtol: float = 0.0,
    ):
        if mode not in ("min", "max"):
            raise UserError(f"EarlyStoppingAction.mode = {mode!r}: choose 'min' or 'max'")
        if atol < 0 or rtol < 0:
            raise UserError("EarlyStoppingAction.atol and rtol must not be negative")
        self._task, self._metric = metric
        self._sign = 1.0 if mode == "max" else -1.0
        self._patience, self._atol, self._rtol = patience, atol, rtol
        self._best: float | None = None
        self._waited = 0

    def run(self, step: int, metrics_by_task: Mapping[str, Mapping[str, float]]) -> str | None:
        """Why training should stop, or None."""
        value = metrics_by_task.get(self._task, {}).get(self._metric)
        if value is None:
            return None
        score = self._sign * value
        margin = self._atol + self._rtol * abs(self._best or 0.0)
        if self._best is None or score > self._best + margin:
            self._best, self._waited = score, 0
            return None
        self._waited += 1
        if self._waited < self._patience:
            return None
        best = self._sign * self._best
        return (
            f"{self._task}/{self._metric} did not improve on {best:.6g} in {self._waited} "
            f"evaluations (step {step})"
        )
