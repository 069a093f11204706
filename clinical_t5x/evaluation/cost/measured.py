"""What a training run took, from the metrics that it wrote (docs/training.md)."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from typing import Any

from etils import epath

from clinical_t5x.console import UserError

_METRICS_FILE = "metrics.jsonl"
_SECONDS_AN_HOUR = 3600.0


@dataclasses.dataclass(frozen=True)
class MeasuredRun:
    """Sums over a run's windows; windows that a resumed run made again count once.

    Attributes:
      steps: The last one.
      hours: In all, on however many devices the run had: evaluations, saving, compiling included.
      step_hours: Of steps and of waiting for their input.
      tokens: Inputs and targets, without padding.
      flops: Of the mathematics; None where the run did not count them.
    """

    steps: int
    hours: float
    step_hours: float
    tokens: float
    flops: float | None


def measured_run(directory: str | os.PathLike) -> MeasuredRun:
    """Read a MODEL_DIR.

    Raises:
      UserError: it has no metrics of training.
    """
    file = epath.Path(directory) / _METRICS_FILE
    if not file.exists():
        raise UserError(f"{file} does not exist; name a MODEL_DIR of a training run")
    lines = [line for line in _lines(file) if line.get("split") == "train"]
    windows = {line["step"]: line for line in lines if "seconds" in line}
    if not windows:
        raise UserError(f"{file} has no line with the time of training yet")
    step_seconds = total_seconds = tokens = flops = 0.0
    for line in windows.values():
        seconds = line["seconds"]
        on_steps = line.get("time_step", 1.0) + line.get("time_input", 0.0)
        step_seconds += seconds
        total_seconds += seconds / on_steps if on_steps else seconds
        tokens += line["tokens_per_second"] * seconds
        flops += line.get("model_tflops_per_second", 0.0) * 1e12 * seconds
    return MeasuredRun(
        steps=max(windows),
        hours=total_seconds / _SECONDS_AN_HOUR,
        step_hours=step_seconds / _SECONDS_AN_HOUR,
        tokens=tokens,
        flops=flops or None,
    )


def _lines(file: epath.Path) -> Iterator[dict[str, Any]]:
    """The file's lines; the last may be half a line while the run is going on."""
    for text in file.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line
