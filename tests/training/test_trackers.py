"""Metrics for Weights & Biases and MLflow: the real libraries, offline, where installed."""

import getpass
import importlib.util
import json
import os
import socket

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.training.metric_log import MetricLog, read_metrics
from clinical_t5x.training.trackers import TRACKERS_FILE, Trackers, tracker_names
from tests.training import standin


class Recorder:
    """A tracker that keeps points in memory, and breaks down when it is told to."""

    run_id = "recorder"

    def __init__(self):
        self.points, self.broken, self.ended = [], False, None

    def write(self, step, split, metrics):
        if self.broken:
            raise ConnectionError("the server is away")
        self.points.append((step, split, dict(metrics)))

    def close(self, *, finished):
        self.ended = finished


def test_trackers_get_every_point_and_no_line_about_the_run(tmp_path):
    recorder = Recorder()
    log = MetricLog(tmp_path, trackers=Trackers([recorder]))
    log.write(2, "train", {"loss": 1.0})
    log.write_run_line(2, event="saved")
    log.write_together(2, {"eval/a": {"loss": 2.0}, "eval/b": {"loss": 3.0}})
    log.close(finished=True)
    assert recorder.points == [
        (2, "train", {"loss": 1.0}),
        (2, "eval/a", {"loss": 2.0}),
        (2, "eval/b", {"loss": 3.0}),
    ]
    assert recorder.ended is True


def test_a_tracker_that_fails_is_given_up_and_training_goes_on(tmp_path, caplog):
    failing, working = Recorder(), Recorder()
    failing.broken = True
    log = MetricLog(tmp_path, trackers=Trackers([failing, working]))
    for step in (1, 2, 3):
        log.write(step, "train", {"loss": 1.0})
    assert len(working.points) == 3
    assert len(read_metrics(tmp_path)) == 3
    assert caplog.text.count("gets no more metrics: the server is away") == 1


def test_nothing_is_tracked_unless_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    standin.run(tmp_path, total_steps=2)
    assert not (tmp_path / TRACKERS_FILE).exists()
    assert not (tmp_path / "wandb").exists()
    assert tracker_names(()) == tracker_names(None) == ()


def test_unknown_and_missing_trackers_are_refused_at_once(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="'comet'; there are 'wandb', 'mlflow'"):
        standin.run(tmp_path, trackers=["comet"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install mlflow-skinny"):
        tracker_names(("mlflow",))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UserError, match="set MLFLOW_TRACKING_URI"):
        tracker_names("mlflow")
    assert not list(tmp_path.iterdir())


def tracked_run(model_dir, name):
    """A run in two processes' parts, tracked; the tracker's name of the run after each part."""
    names = []
    for total_steps in (2, 4):
        standin.run(model_dir, total_steps=total_steps, trackers=name)
        names.append(json.loads((model_dir / TRACKERS_FILE).read_text())[name])
    return names


def secrets_of_this_machine(tmp_path):
    """What must not leave it; shorter names would turn up by chance."""
    names = (str(tmp_path), os.getcwd(), "pytest", socket.gethostname(), getpass.getuser())
    return [name for name in names if len(name) > 5]


def test_weights_and_biases_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    first, second = tracked_run(tmp_path / "run", "wandb")
    assert first == second
    files = sorted((tmp_path / "run" / "wandb").glob(f"offline-run-*/run-{first}.wandb"))
    assert len(files) == 2
    sent = b"".join(path.read_bytes() for path in files)
    assert b"train/loss" in sent
    assert b"emb_dim" in sent
    for secret in secrets_of_this_machine(tmp_path):
        assert secret.encode() not in sent
    extra = [p.name for path in files for p in (path.parent / "files").rglob("*") if p.is_file()]
    assert set(extra) <= {"wandb-summary.json", "config.yaml", "output.log"}


def test_mlflow_in_a_file_store(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    first, second = tracked_run(tmp_path / "run", "mlflow")
    assert first == second
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    run = client.get_run(first)
    assert run.info.status == "FINISHED"
    assert run.data.params["emb_dim"] == "16"
    history = client.get_metric_history(first, "train/loss")
    points = {point["step"]: point["loss"] for point in read_metrics(tmp_path / "run")}
    assert {m.step: pytest.approx(m.value) for m in history} == points
    told = json.dumps([run.data.tags, run.data.params, run.info.user_id])
    for secret in secrets_of_this_machine(tmp_path):
        assert secret not in told
