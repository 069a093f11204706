"""Weights & Biases and MLflow, for who asks for them: `train.trackers = ['wandb']`.

What leaves the process are the numbers of metrics.jsonl under the names `SPLIT/METRIC`, and the
numbers that describe the run (the model's sizes, batch size, seed). Nothing else: no configuration
file, path, command line, host or user name, source code, package list or console output, and none
of the libraries' own usage reports. Where it goes is for their environment variables to say
(WANDB_MODE=offline keeps it on this machine, WANDB_PROJECT, MLFLOW_TRACKING_URI,
MLFLOW_EXPERIMENT_NAME, ...).

A resumed run goes on in the same run of the tracker: `trackers.json` in MODEL_DIR has its name.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.storage import read_json, write_json_atomically

TRACKERS_FILE = "trackers.json"

_log = logging.getLogger(__name__)

_PROJECT = "clinical_t5x"
_PACKAGES = {"wandb": "wandb", "mlflow": "mlflow-skinny"}


class Tracker(Protocol):
    """Takes a run's metrics elsewhere.

    Attributes:
      run_id: What the tracker calls the run.
    """

    run_id: str

    def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Take one point."""

    def close(self, *, finished: bool) -> None:
        """End the tracker's run: for good, or until the run is resumed."""


class WeightsAndBiases:
    """A run of Weights & Biases.

    Args:
      directory: Where it keeps its files; None for its own choice.
      run_id: Of the run to go on with; None for a new one.
      described: Numbers that describe the run.
    """

    def __init__(self, directory: str | None, run_id: str | None, described: Mapping[str, Any]):
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        settings = wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            save_code=False,
            silent=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        self.run_id = run_id or secrets.token_hex(4)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=self.run_id,
            resume="allow",
            dir=os.environ.get("WANDB_DIR", directory),
            config=dict(described),
            settings=settings,
        )
        # W&B's own step cannot go back, as a run does that repeats what a kill lost
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Take one point."""
        self._run.log({"step": step} | {f"{split}/{name}": v for name, v in metrics.items()})

    def close(self, *, finished: bool) -> None:
        """End the run."""
        self._run.finish(exit_code=0 if finished else 1)


class MLflow:
    """A run of MLflow.

    Args:
      run_id: Of the run to go on with; None for a new one.
      described: Numbers that describe the run.
    """

    def __init__(self, run_id: str | None, described: Mapping[str, Any]):
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient

        # the client alone: MLflow's fluent interface adds user, script and commit to a run
        self._client = MlflowClient(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
        self.run_id = run_id or self._new_run(described)
        self._client.update_run(self.run_id, status="RUNNING")

    def _new_run(self, described: Mapping[str, Any]) -> str:
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        found = self._client.get_experiment_by_name(name)
        place = found.experiment_id if found else self._client.create_experiment(name)
        run_id = self._client.create_run(place).info.run_id
        self._client.log_batch(run_id, params=[Param(k, str(v)) for k, v in described.items()])
        return run_id

    def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Take one point."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(f"{split}/{name}", v, now, step) for name, v in metrics.items()]
        self._client.log_batch(self.run_id, metrics=points)

    def close(self, *, finished: bool) -> None:
        """End the run."""
        self._client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED")


class Trackers:
    """Several trackers. One that fails in the course of a run is given up, with a warning.

    Args:
      trackers: What they are.
    """

    def __init__(self, trackers: Iterable[Tracker]):
        self._trackers = list(trackers)

    def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Give one point to all."""
        for tracker in tuple(self._trackers):
            try:
                tracker.write(step, split, metrics)
            except Exception as error:  # a server that is away is no reason to stop training
                _log.warning("%s gets no more metrics: %s", type(tracker).__name__, error)
                self._trackers.remove(tracker)

    def close(self, *, finished: bool) -> None:
        """End all runs, for good or until they are resumed."""
        for tracker in self._trackers:
            try:
                tracker.close(finished=finished)
            except Exception as error:  # nothing is lost: metrics.jsonl has all
                _log.warning("%s could not be closed: %s", type(tracker).__name__, error)


def tracker_names(asked: str | Sequence[str] | None) -> tuple[str, ...]:
    """The trackers that `train.trackers` asks for, each known, installed and told where to write.

    Raises:
      UserError: one is not.
    """
    names = (asked,) if isinstance(asked, str) else tuple(asked or ())
    for name in names:
        if name not in _PACKAGES:
            raise UserError(
                f"train.trackers names {name!r}; there are {', '.join(map(repr, _PACKAGES))}"
            )
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"train.trackers names {name!r}, which is not installed: "
                f"pip install {_PACKAGES[name]}"
            )
    if "mlflow" in names and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise UserError(
            "train.trackers names 'mlflow': set MLFLOW_TRACKING_URI to where it shall write, such "
            "as sqlite:////home/me/mlflow.db or the address of a server"
        )
    return names


def open_trackers(names: Sequence[str], model_dir: Any, described: Mapping[str, Any]) -> Trackers:
    """Open the trackers, going on with their runs where MODEL_DIR knows of any.

    Args:
      names: As `tracker_names` gives them.
      model_dir: MODEL_DIR.
      described: Numbers that describe the run.

    Raises:
      UserError: one cannot be opened.
    """
    if not names:
        return Trackers(())
    path = epath.Path(model_dir) / TRACKERS_FILE
    known = read_json(path) if path.exists() else {}
    directory = None if "://" in str(model_dir) else str(model_dir)
    trackers = []
    for name in names:
        trackers.append(_opened(name, directory, known.get(name), described))
        known[name] = trackers[-1].run_id
    write_json_atomically(path, known)
    return Trackers(trackers)


def _opened(
    name: str, directory: str | None, run_id: str | None, described: Mapping[str, Any]
) -> Tracker:
    try:
        if name == "wandb":
            return WeightsAndBiases(directory, run_id, described)
        return MLflow(run_id, described)
    except Exception as error:  # whatever the library or its server does not like
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"train.trackers: {name} cannot be used: {first_line} (a newer version may help, and "
            "train runs without it)"
        ) from error
