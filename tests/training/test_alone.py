"""What else may be in a MODEL_DIR: another run, nothing that can be read, another run's result."""

import contextlib
import dataclasses
import resource

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.training import alone, checkpoints
from tests.training import standin
from tests.training.test_interruption import finish, start, wait_for


def test_a_second_run_is_refused_and_the_first_is_unharmed(tmp_path):
    """On one machine; says nothing of file systems without locks."""
    model_dir = tmp_path / "run"
    first = start(model_dir, delay=0.2)
    wait_for(lambda: (model_dir / alone.LOCK).exists(), first)
    said = finish(start(model_dir, delay=0.2), code=2)
    assert said.count("\n") <= 2
    assert f"error: another process is training in {model_dir}" in said
    finish(first)
    assert checkpoints.checkpoint_steps(model_dir)[-1] == 8
    assert "complete at step 8" in finish(start(model_dir))


def test_a_save_that_does_not_fit(tmp_path):
    """The disk is full, for this process: no file may be larger than 16,000 bytes."""
    model_dir = tmp_path / "run"
    with full_disk():
        process = start(model_dir)
    said = finish(process, code=2)
    [told] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert f"the checkpoint of step 1 could not be written to {model_dir}: " in told
    assert "File too large" in told
    assert "Traceback" not in said
    assert not checkpoints.checkpoint_steps(model_dir)
    finish(start(model_dir))
    assert checkpoints.checkpoint_steps(model_dir)[-1] == 8


@contextlib.contextmanager
def full_disk():
    """Limits what processes write that are started meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_model_dir_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"MODEL_DIR .*file cannot be written to"):
        standin.run(tmp_path / "file")


@pytest.mark.parametrize("what", ["metadata", "everything"])
def test_checkpoints_without_a_position_are_set_aside(tmp_path, what):
    standin.run(tmp_path)
    whole = checkpoints.read_position(tmp_path / "checkpoint_6")["checksums"]
    (tmp_path / "_COMPLETE.json").unlink()
    steps = checkpoints.checkpoint_steps(tmp_path)
    for step in steps:
        for path in (tmp_path / f"checkpoint_{step}" / "position").rglob("*"):
            if path.is_file() and (what == "everything" or path.name == "metadata"):
                path.unlink() if what == "everything" else path.write_bytes(b"")
    standin.run(tmp_path)
    assert checkpoints.read_position(tmp_path / "checkpoint_6")["checksums"] == whole
    assert {f"damaged_checkpoint_{step}" for step in steps} <= {p.name for p in tmp_path.iterdir()}


def test_an_empty_checkpoint_does_not_stop_a_run(tmp_path):
    (tmp_path / "checkpoint_4").mkdir()
    (tmp_path / "checkpoint_007").mkdir()
    standin.run(tmp_path, keep=1)
    assert checkpoints.checkpoint_steps(tmp_path) == [6]
    assert (tmp_path / "damaged_checkpoint_4").exists()


def test_a_finished_run_is_not_taken_for_another_one(tmp_path, capsys):
    standin.run(tmp_path)
    with pytest.raises(UserError, match="global_batch_size"):
        standin.run(tmp_path, train_dataset_cfg=standin.dataset(batch_size=4))
    model = standin.tiny_model()
    wider = model.with_config(dataclasses.replace(model.config, mlp_dim=48))
    with pytest.raises(UserError, match="of another model"):
        standin.run(tmp_path, model=wider)
    deeper = dataclasses.replace(model.config, remat_policy="full")
    standin.run(tmp_path, model=model.with_config(deeper))
    assert "complete at step 6" in capsys.readouterr().out
