"""Which checkpoints of a run stay: the newest, the best by a metric, every n-th for good.

What is best is decided from metrics.jsonl, which outlives the process: a run that is killed between
a checkpoint and its evaluation makes up for the evaluation first. `best_checkpoints.json` in
MODEL_DIR tells readers (`RestoreCheckpointConfig.mode = 'best'`) the order.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import UserError

BEST_FILE = "best_checkpoints.json"

# T5X names metrics by the directory of their TensorBoard file.
_SPLIT_SYNONYMS = {"training_eval": "eval"}


@dataclasses.dataclass(frozen=True)
class Keeping:
    """Which checkpoints stay. The newest always does: a run goes on from it.

    Attributes:
      latest: How many of the newest; None keeps all.
      best: How many of the best by `metric`.
      metric: 'eval/TASK/METRIC', 'inference_eval/TASK/METRIC' or 'train/METRIC'; T5X's
        'training_eval/...' is 'eval/...'. Only evaluations at a checkpoint's own step count.
      mode: 'min' or 'max': which is better.
      period: Checkpoints of these steps' multiples stay for good.
      without_metric: Whether checkpoints that were not evaluated stay.
    """

    latest: int | None = None
    best: int = 0
    metric: str | None = None
    mode: str = "max"
    period: int | None = None
    without_metric: bool = False

    @property
    def split(self) -> str:
        """The metric's split as metrics.jsonl names it: 'train', 'eval/TASK', ..."""
        kind, slash, rest = (self.metric or "").rpartition("/")[0].partition("/")
        return _SPLIT_SYNONYMS.get(kind, kind) + slash + rest

    @property
    def metric_name(self) -> str:
        """The metric's name within its split."""
        return (self.metric or "").rpartition("/")[2]

    def ranked(self, values: Mapping[int, float]) -> list[int]:
        """Steps from best to worst; of equals the earlier comes first."""
        sign = -1.0 if self.mode == "max" else 1.0
        return sorted(values, key=lambda step: (sign * values[step], step))

    def chosen(self, steps: Iterable[int], values: Mapping[int, float]) -> set[int]:
        """The steps whose checkpoints stay.

        Args:
          steps: Of all finished checkpoints.
          values: The metric by step, where it is known.
        """
        steps = sorted(steps)
        if self.latest is None:
            return set(steps)
        kept = set(steps[-self.latest :])
        kept.update(self.ranked({s: values[s] for s in steps if s in values})[: self.best])
        if self.period:
            kept.update(step for step in steps if step % self.period == 0)
        if self.without_metric:
            kept.update(step for step in steps if step not in values)
        return kept


class Ranking:
    """The watched metric at every step that was evaluated.

    Args:
      keeping: Says which metric.
      directory: MODEL_DIR.
    """

    def __init__(self, keeping: Keeping, directory: Any):
        self._keeping, self._path = keeping, epath.Path(directory) / BEST_FILE
        self.values: dict[int, float] = self._written()

    def note(self, step: int, by_split: Mapping[str, Mapping[str, float]]) -> bool:
        """Take in metrics of a step; whether the watched one was among them.

        Raises:
          UserError: when the kind of evaluation was made and the metric is not in it.
        """
        keeping = self._keeping
        kind = keeping.split.partition("/")[0]
        made = {split for split in by_split if split.partition("/")[0] == kind}
        if keeping.metric is None or not made:
            return False
        metrics = by_split.get(keeping.split, {})
        if keeping.metric_name not in metrics:
            there = [f"{split}/{name}" for split in sorted(made) for name in by_split[split]]
            raise UserError(
                f"there is no metric {keeping.metric} to keep the best checkpoints by; there are "
                f"{', '.join(there)}"
            )
        value = float(metrics[keeping.metric_name])
        if math.isfinite(value):
            self.values[step] = value
        return True

    def _written(self) -> dict[int, float]:
        """What an earlier process wrote about the same metric; it may be all there is left."""
        if self._keeping.metric is None or not self._path.exists():
            return {}
        found = storage.read_json(self._path)
        if (found["metric"], found["mode"]) != (self._keeping.metric, self._keeping.mode):
            return {}
        return {int(entry["step"]): entry["value"] for entry in found["checkpoints"]}

    def forget_after(self, step: int) -> None:
        """Drop what was evaluated after `step`: the run goes on from there."""
        self.values = {s: value for s, value in self.values.items() if s <= step}

    def write(self, steps: Iterable[int]) -> None:
        """Write best_checkpoints.json about the checkpoints of these steps."""
        known = {step: self.values[step] for step in steps if step in self.values}
        order = [{"step": s, "value": known[s]} for s in self._keeping.ranked(known)]
        content = {"metric": self._keeping.metric, "mode": self._keeping.mode}
        storage.write_json_atomically(self._path, {**content, "checkpoints": order})


def best_steps(directory: Any) -> list[int]:
    """Steps of a MODEL_DIR's evaluated checkpoints, best first.

    Raises:
      UserError: when the run did not watch a metric, or evaluated no checkpoint.
    """
    path = epath.Path(directory) / BEST_FILE
    if not path.exists():
        raise UserError(
            f"{directory} does not say which checkpoint is best: train with "
            "SaveCheckpointConfig.best_metric = 'eval/TASK/loss', or name a checkpoint_N in it"
        )
    steps = [int(entry["step"]) for entry in storage.read_json(path)["checkpoints"]]
    if not steps:
        raise UserError(f"no checkpoint in {directory} has been evaluated; name one, checkpoint_N")
    return steps


def default_mode(metric: str) -> str:
    """'min' for losses, 'max' for everything else."""
    return "min" if metric.endswith(("loss", "perplexity")) else "max"


def checked_keeping(keeping: Keeping) -> Keeping:
    """The same, if it makes sense.

    Raises:
      UserError: naming what does not.
    """
    if keeping.mode not in ("min", "max"):
        raise UserError(
            f"{keeping.mode!r} does not say which metric is better: choose 'min' or 'max' "
            "(SaveCheckpointConfig.best_mode, T5X's metric_mode)"
        )
    kinds = ("train", "eval", "inference_eval")
    if keeping.metric is not None:
        kind, _, task = keeping.split.partition("/")
        if kind not in kinds or bool(task) == (kind == "train"):
            raise UserError(
                f"{keeping.metric} is not the name of a metric: checkpoints can be kept by "
                "'eval/TASK/loss', 'inference_eval/TASK/METRIC' or 'train/METRIC'"
            )
    return keeping
