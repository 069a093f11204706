"""Training and evaluation begin from any layout: T5X's, Hugging Face's, ours stacked or not."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.interop import t5x_names
from clinical_t5x.interop.huggingface_writer import write_huggingface
from clinical_t5x.interop.native import open_native, write_native
from clinical_t5x.interop.recognise import open_checkpoint
from clinical_t5x.interop.t5x_checkpoint import write_t5x
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import checkpoints
from clinical_t5x.training.config import (
    CheckpointConfig,
    RestoreCheckpointConfig,
    SaveCheckpointConfig,
)
from tests.interop.checkpoint_sources import MemorySource
from tests.training import standin

GATED = {"mlp_activations": ("gelu", "linear"), "num_encoder_layers": 2}
WRITERS = {
    "hugging face": write_huggingface,
    "t5x": write_t5x,
    "t5x legacy": lambda source, path: write_t5x(source, path, layout="legacy"),
    "ours": write_native,
    "ours, stacked": lambda source, path: write_native(source, path, scan_layers=True),
}


def source_for(model, **options):
    return MemorySource(dataclasses.replace(model.config, scan_layers=False), **options)


def begin_from(path, **restore):
    return CheckpointConfig(
        SaveCheckpointConfig(period=2), RestoreCheckpointConfig(path=str(path), **restore)
    )


@pytest.mark.parametrize("scan_layers", [False, True])
@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_is_read_as_the_model_keeps_it(layout, scan_layers, tmp_path):
    model = standin.tiny_model(**GATED, scan_layers=scan_layers)
    source = source_for(model)
    WRITERS[layout](source, tmp_path / "given")
    params, step = checkpoints.restore_params(tmp_path / "given", model, PjitPartitioner())
    assert step == (0 if layout == "hugging face" else 7)
    for name, array in t5x_names.to_named(params, model.config).items():
        np.testing.assert_array_equal(array, source.read(name))
    halved, _ = checkpoints.restore_params(
        tmp_path / "given", model, PjitPartitioner(), dtype="bfloat16"
    )
    assert {leaf.dtype.name for leaf in jax.tree.leaves(halved)} == {"bfloat16"}


def test_training_begins_from_a_t5x_checkpoint_at_its_step(tmp_path):
    model = standin.tiny_model(**GATED, scan_layers=True)
    source = source_for(model)
    path = write_t5x(source, tmp_path / "theirs")
    for given, name in ((path, "one"), (path.parent, "model_dir")):
        state = standin.run(
            tmp_path / name, total_steps=9, model=model, checkpoint_cfg=begin_from(given)
        )
        assert int(state.step) == 9
    position = checkpoints.read_position(tmp_path / "one" / "checkpoint_9")
    assert position["first_step"] == 7 and position["initialisation"] == "pretrained"
    assert open_native(tmp_path / "one" / "checkpoint_9").config == source.config
    one, other = (
        checkpoints.read_position(tmp_path / name / "checkpoint_9")["checksums"]
        for name in ("one", "model_dir")
    )
    assert one == other


@pytest.mark.parametrize("layout", WRITERS)
def test_another_network_is_refused_before_anything_is_read(layout, tmp_path):
    model = standin.tiny_model(**GATED)
    WRITERS[layout](source_for(model), tmp_path / "given")
    wider = standin.tiny_model(**GATED, mlp_dim=48)
    with pytest.raises(UserError, match=r"mlp/wi_0/kernel \(16, 32\) in .*\(16, 48\) in the model"):
        checkpoints.restore_params(tmp_path / "given", wider, PjitPartitioner())
    deeper = standin.tiny_model(**GATED | {"num_encoder_layers": 3})
    with pytest.raises(UserError, match=r"layers.* in the checkpoint, .* in the model"):
        checkpoints.restore_params(tmp_path / "given", deeper, PjitPartitioner())


@pytest.mark.parametrize("layout", ["hugging face", "ours", "ours, stacked"])
def test_another_gate_is_refused_where_the_checkpoint_says_which(layout, tmp_path):
    WRITERS[layout](source_for(standin.tiny_model(**GATED)), tmp_path / "given")
    other = standin.tiny_model(**GATED | {"mlp_activations": ("silu", "linear")})
    with pytest.raises(UserError, match=r"mlp_activations .*gelu.* in the checkpoint, .*silu"):
        checkpoints.restore_params(tmp_path / "given", other, PjitPartitioner())


@pytest.mark.parametrize("layout", ["t5x", "hugging face"])
def test_what_does_not_say_which_gate_it_has_is_believed(layout, tmp_path):
    WRITERS[layout](source_for(standin.tiny_model(**GATED)), tmp_path / "given")
    (tmp_path / "given" / "config.json").unlink(missing_ok=True)
    other = standin.tiny_model(**GATED | {"mlp_activations": ("silu", "linear")})
    checkpoints.restore_params(tmp_path / "given", other, PjitPartitioner())


def test_a_damaged_checkpoint_is_named(tmp_path):
    model = standin.tiny_model(**GATED)
    path = write_t5x(source_for(model), tmp_path, layout="legacy")
    shutil.rmtree(path / "target.token_embedder.embedding")
    with pytest.raises(UserError, match=r"no array target\.token_embedder\.embedding"):
        checkpoints.restore_params(tmp_path, model, PjitPartitioner())


@pytest.mark.parametrize("layout", ["t5x", "t5x legacy", "ours"])
def test_a_model_dir_with_checkpoints_to_begin_from_is_not_resumed(layout, tmp_path):
    """They would be passed over, and in time deleted."""
    model = standin.tiny_model(**GATED)
    WRITERS[layout](source_for(model, remembers=False), tmp_path)
    with pytest.raises(UserError, match=r"INITIAL_CHECKPOINT_PATH = '.*checkpoint_7'"):
        standin.run(tmp_path, total_steps=9, model=model)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["checkpoint_7"]


def test_a_converted_run_goes_on_as_it_would_have(tmp_path):
    """Ours to ours keeps the position: another arrangement of layers, the same run."""
    model = standin.tiny_model(num_encoder_layers=2)
    standin.run(tmp_path / "run", total_steps=4, model=model)
    write_native(open_native(tmp_path / "run" / "checkpoint_2"), tmp_path / "copy")
    standin.run(tmp_path / "copy", total_steps=4, model=model)
    sums = [
        checkpoints.read_position(tmp_path / name / "checkpoint_4")["checksums"]
        for name in ("run", "copy")
    ]
    assert sums[0] == sums[1]


@pytest.mark.parametrize("scan_layers", [False, True])
@pytest.mark.parametrize("layout", ["orbax", "legacy"])
def test_a_run_goes_on_with_the_memory_that_came_through_t5x(layout, scan_layers, tmp_path):
    model = standin.tiny_model(num_encoder_layers=2, scan_layers=scan_layers)
    standin.run(tmp_path / "run", total_steps=4, model=model)
    source = open_native(tmp_path / "run" / "checkpoint_2")
    theirs = write_t5x(source, tmp_path / "theirs", layout=layout)
    write_native(open_checkpoint(theirs), tmp_path / "copy", scan_layers=scan_layers)
    standin.run(tmp_path / "copy", total_steps=4, model=model)
    sums = [
        checkpoints.read_position(tmp_path / name / "checkpoint_4")["checksums"]
        for name in ("run", "copy")
    ]
    assert sums[0] == sums[1]
