"""Where a run's numbers go: metrics.jsonl and TensorBoard files, and their names.

TensorBoard's own writer would import TensorFlow (3 s); its file format needs only its protocol
buffers and checksummed records, which do not.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from etils import epath

from clinical_t5x.storage import write_text_atomically
from clinical_t5x.training.trackers import Trackers

METRICS_FILE = "metrics.jsonl"

# The split of lines in metrics.jsonl that hold no metrics but say what happened to the run.
_RUN = "run"


def per_token(sums: Mapping[str, float]) -> dict[str, float]:
    """From sums over a stretch of training to what is reported.

    Args:
      sums: Sums of `loss`, `z_loss`, `accuracy` over targets, `num_targets`, and, where the model
        knows its sentinels, `content_loss` and `content_num_targets`.

    Returns:
      `loss` (nats per non-padding target token), `z_loss`, `accuracy`, and `content_loss` (nats
      per target token that is neither sentinel nor end-of-sequence).
    """
    count = max(sums.get("num_targets", 0.0), 1.0)
    names = ("loss", "cross_ent_loss", "z_loss", "accuracy")
    result = {name: sums[name] / count for name in names if name in sums}
    if "content_loss" in sums:
        content = max(sums.get("content_num_targets", 0.0), 1.0)
        result["content_loss"] = sums["content_loss"] / content
    return result


class MetricLog:
    """Appends a run's metrics to MODEL_DIR, whole lines only.

    A resumed run repeats the steps after its checkpoint; lines that a killed run wrote about them
    are removed first, so that each step is there once.

    Args:
      model_dir: MODEL_DIR.
      resumed_at: The step that the run begins at.
      writes: False on all hosts but one.
      trackers: Get all metrics too.
    """

    def __init__(
        self,
        model_dir: Any,
        resumed_at: int = 0,
        *,
        writes: bool = True,
        trackers: Trackers | None = None,
    ):
        self.directory = epath.Path(model_dir)
        self._path = self.directory / METRICS_FILE
        self._events: dict[str, EventFile] = {}
        self._writes = writes
        self._trackers = trackers or Trackers(())
        self.rewind(resumed_at)

    def rewind(self, step: int) -> None:
        """Drop what was logged about steps after `step`: they are made again."""
        self._begun_at = step
        if self._writes:
            _drop_lines_after(self._path, step)

    def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Log one point.

        Args:
          step: Updates made.
          split: 'train', or 'eval/<task>'.
          metrics: Numbers by name.
        """
        self.write_together(step, {split: metrics})

    def write_together(self, step: int, by_split: Mapping[str, Mapping[str, float]]) -> None:
        """Log the points of one step, all or none of them."""
        if not self._writes:
            return
        self._append(
            *(
                {"step": step, "split": split, **{k: round(v, 9) for k, v in metrics.items()}}
                for split, metrics in by_split.items()
            )
        )
        for split, metrics in by_split.items():
            self._event_file(split).write(step, metrics)
            self._trackers.write(step, split, metrics)

    def close(self, *, finished: bool) -> None:
        """Tell the trackers that the run ended, for good or until it is resumed."""
        self._trackers.close(finished=finished)

    def write_run_line(self, step: int, **facts: Any) -> None:
        """Note in metrics.jsonl alone what happened to the run at a step."""
        if self._writes:
            self._append({"step": step, "split": _RUN, **facts})

    def run_lines(self) -> list[dict[str, Any]]:
        """What `write_run_line` noted, oldest first."""
        return [line for line in _read_lines(self._path) if line["split"] == _RUN]

    def _append(self, *lines: Mapping[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))

    def by_step(self) -> list[tuple[int, dict[str, dict[str, float]]]]:
        """What was logged before this process began: (step, metrics by split), oldest first.

        Lines about later steps, which another process may not have removed yet, are left out.
        """
        found: dict[int, dict[str, dict[str, float]]] = {}
        for point in read_metrics(self.directory):
            if point["step"] <= self._begun_at:
                metrics = {k: v for k, v in point.items() if k not in ("step", "split")}
                found.setdefault(point["step"], {})[point["split"]] = metrics
        return sorted(found.items())

    def evaluations(self) -> list[tuple[int, dict[str, dict[str, float]]]]:
        """What was evaluated before this process began: (step, metrics by task), oldest first."""
        evaluated = (
            (step, {split: found for split, found in by_split.items() if "/" in split})
            for step, by_split in self.by_step()
        )
        return [(step, merge_by_task(by_split)) for step, by_split in evaluated if by_split]

    def _event_file(self, split: str) -> EventFile:
        if split not in self._events:
            kind, _, task = split.partition("/")
            place = self.directory / {"eval": "training_eval"}.get(kind, kind)
            self._events[split] = EventFile(place / task if task else place)
        return self._events[split]


def merge_by_task(by_split: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """From metrics by 'eval/<task>' and 'inference_eval/<task>' to metrics by task."""
    by_task: dict[str, dict[str, float]] = {}
    for split, metrics in by_split.items():
        by_task.setdefault(split.partition("/")[2], {}).update(metrics)
    return by_task


class EventFile:
    """A TensorBoard file of scalars."""

    def __init__(self, directory: Any):
        from tensorboard.compat.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        directory = epath.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.v2"
        self._path = directory / name
        self._append(self._event(wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append one value a metric."""
        values = [
            self._summary.Value(tag=name, simple_value=value) for name, value in metrics.items()
        ]
        summary = self._summary(value=values)
        self._append(self._event(wall_time=time.time(), step=step, summary=summary))

    def _append(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        with self._path.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())


def read_metrics(model_dir: Any) -> list[dict[str, Any]]:
    """All points of a run's metrics.jsonl; lines of split 'run' hold no metrics and are left out.

    A half-written last line is left out too.
    """
    lines = _read_lines(epath.Path(model_dir) / METRICS_FILE)
    return [line for line in lines if line["split"] != _RUN]


def _read_lines(path: epath.Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [parsed for line in path.read_text().splitlines() if (parsed := _parsed(line))]


def _drop_lines_after(path: epath.Path, step: int) -> None:
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    kept = [line for line in lines if (point := _parsed(line)) and point["step"] <= step]
    if kept != lines:
        write_text_atomically(path, "".join(line + "\n" for line in kept))


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None
