import dataclasses
import functools
import json
import pathlib
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clinical_t5x.interop import native, t5x_names
from clinical_t5x.interop.checksum import checksum, layer_checksum
from clinical_t5x.interop.native import open_native, write_native
from clinical_t5x.interop.recognise import open_checkpoint
from clinical_t5x.interop.source import CheckpointError
from clinical_t5x.interop.t5x_checkpoint import LAYOUTS, open_t5x, write_t5x
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import checkpoints
from clinical_t5x.training import state as states
from clinical_t5x.training.optimizer import Adafactor, bind_optimizer
from tests.interop.checkpoint_sources import (
    CONFIGS,
    T5_1_0,
    MemorySource,
    assert_same,
    assert_same_tensors,
)

pytestmark = pytest.mark.long_file


@functools.cache
def trained_state(config, optimizer=None, updates=2):
    """A state after a few updates with random gradients, and its abstract form."""
    model = EncoderDecoderModel(Transformer(config), None, None)
    optimizer = bind_optimizer(
        optimizer or Adafactor(beta1=0.9),
        lambda step: 0.1,
        states.abstract_params(model),
        model.logical_axes(),
    )
    abstract = states.abstract_state(model, optimizer, PjitPartitioner())
    state = states.init_state(model, optimizer, abstract, jax.random.key(0))

    @jax.jit
    def updated(state):
        grads = jax.tree.map(lambda p: jnp.sin(p * 100), state.params)
        changes, opt_state = optimizer.transformation.update(grads, state.opt_state, state.params)
        params = jax.tree.map(jnp.add, state.params, changes)
        return states.TrainState(state.step + 1, params, opt_state)

    for _ in range(updates):
        state = updated(state)
    return state, abstract


def saved(directory, state, config, **options):
    store = checkpoints.CheckpointStore(directory, **options)
    store.save(state, {"seed": 1, "config": dataclasses.asdict(config)})
    store.close()
    return store.path(int(state.step))


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("scan_layers", [False, True])
@pytest.mark.parametrize("version", CONFIGS)
def test_what_training_saved_is_read_layer_by_layer(version, scan_layers, tmp_path):
    config = dataclasses.replace(CONFIGS[version], scan_layers=scan_layers)
    state, _ = trained_state(config)
    source = open_native(saved(tmp_path, state, config))
    assert source.step == 2 and source.stacked == scan_layers
    assert source.config == CONFIGS[version] and source.position["seed"] == 1
    for name, array in t5x_names.to_named(state.params, config).items():
        np.testing.assert_array_equal(source.read(name), array)
    memory = source.optimizer
    assert memory.updates == 2
    for field in ("m", "v", "v_row", "v_col"):
        arrays = t5x_names.to_named(getattr(state.opt_state, field), config)
        for name, array in arrays.items():
            np.testing.assert_array_equal(memory.read(f"{name}/{field}"), array)


@pytest.mark.parametrize("scan_layers", [False, True])
def test_training_restores_what_is_written_with_its_own_checksums(scan_layers, tmp_path):
    """Also through T5X's layouts: parameters, optimizer memory and step, to the bit."""
    config = dataclasses.replace(CONFIGS["1.1"], scan_layers=scan_layers)
    state, abstract = trained_state(config)
    path = saved(tmp_path / "run", state, config)
    original = open_native(path)
    made = [write_native(original, tmp_path / "again", scan_layers=scan_layers)]
    for layout in LAYOUTS:
        between = write_t5x(original, tmp_path / layout, layout=layout)
        target = tmp_path / f"from_{layout}"
        made.append(write_native(open_t5x(between), target, scan_layers=scan_layers))
    wanted = native.read_position(path)["checksums"]
    for copy in made:
        assert native.read_position(copy)["checksums"] == wanted
        store = checkpoints.CheckpointStore(copy.parent)
        restored, _ = store.restore_latest(abstract, {})
        assert_equal(restored, state)
        store.close()


def test_a_stack_is_stored_a_layer_at_a_time_and_read_in_any_order(tmp_path):
    source = MemorySource(T5_1_0)
    path = write_native(source, tmp_path, scan_layers=True)
    found = open_native(path)
    assert_same(found, source)
    assert_same_tensors(open_native(path), MemorySource(T5_1_0))
    for name in reversed(list(found.infos)):
        np.testing.assert_array_equal(found.read(name), source.read(name))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_checksums_are_those_of_training(dtype):
    rng = np.random.default_rng(0)
    for shape in ((), (1,), (7,), (3, 5), (2, 3, 4), (1500, 900), (3, 700, 800), (0, 4)):
        array = rng.standard_normal(shape).astype(jnp.dtype(dtype))
        assert checksum(array) == checkpoints.checksums({"a": array})["a"]
        if len(shape) > 1:
            parts = [layer_checksum(layer, i, len(array)) for i, layer in enumerate(array)]
            assert sum(parts) % 2**32 == checksum(array)


@pytest.mark.parametrize("scan_layers", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_kept_and_restores_into_training(scan_layers, dtype, tmp_path):
    config = dataclasses.replace(T5_1_0, scan_layers=scan_layers)
    source = MemorySource(T5_1_0, dtype)
    path = write_native(source, tmp_path, scan_layers=scan_layers)
    assert_same(open_native(path), source)
    model = EncoderDecoderModel(Transformer(config), None, None)
    params, step = checkpoints.restore_params(path, model, PjitPartitioner())
    assert step == 7
    for name, array in t5x_names.to_named(params, config).items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, source.read(name).astype(np.float32))


def test_bfloat16_that_training_saved_is_read(tmp_path):
    state, _ = trained_state(T5_1_0)
    source = open_native(saved(tmp_path, state, T5_1_0, dtype="bfloat16"))
    name = "encoder/layers_0/mlp/wi/kernel"
    assert source.infos[name].dtype == "bfloat16"
    expected = state.params["encoder"]["layers_0"]["mlp"]["wi"]["kernel"].astype(jnp.bfloat16)
    np.testing.assert_array_equal(source.read(name), expected)


def test_another_optimizers_memory_is_left_alone(tmp_path):
    from clinical_t5x.training.optimizer import AdamW

    state, _ = trained_state(T5_1_0, AdamW())
    source = open_native(saved(tmp_path / "run", state, T5_1_0))
    assert source.optimizer is None
    found = open_t5x(write_t5x(source, tmp_path / "t5x"))
    assert_same_tensors(found, source)
    assert not any(found.optimizer.read(name).any() for name in found.optimizer.infos)


def test_checkpoints_of_before_configurations_were_saved_are_inferred(tmp_path):
    path = write_native(MemorySource(CONFIGS["1.1"]), tmp_path, scan_layers=True)
    file = path / "position" / "metadata"
    position = json.loads(file.read_text())
    del position["config"]
    file.write_text(json.dumps(position))
    source = open_native(path)
    assert source.config == CONFIGS["1.1"]
    assert source.assumed == ("mlp_activations",)
    assert open_native(path, mlp_activations=("silu", "linear")).config.mlp_activations[0] == "silu"


def flip_a_bit(path):
    files = [file for file in pathlib.Path(path).rglob("d/*") if file.is_file()]
    largest = max(files, key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


@pytest.mark.parametrize("scan_layers", [False, True])
def test_one_flipped_bit_is_seen(scan_layers, tmp_path):
    path = write_native(MemorySource(T5_1_0), tmp_path, scan_layers=scan_layers)
    flip_a_bit(path / "params")
    source = open_native(path)
    with pytest.raises(CheckpointError, match="is damaged"):
        for name in source.infos:
            source.read(name)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda p: (p / "position" / "metadata").write_text("{"), "cannot be read"),
        (lambda p: (p / "position" / "metadata").write_text("[]"), "a JSON object was expected"),
        (lambda p: (p / "position" / "metadata").write_text("{}"), "step or checksums"),
        (lambda p: (p / "position" / "metadata").write_bytes(b"\xff\xfe"), "cannot be read"),
        (lambda p: (p / "position" / "metadata").unlink(), "incomplete: it has no metadata"),
        (lambda p: (p / "params" / "_METADATA").unlink(), "incomplete: it has no _METADATA"),
        (lambda p: (p / "params" / "_METADATA").write_text('{"tree_metadata": 3}'), "is damaged"),
        (lambda p: (p / "params" / "manifest.ocdbt").write_bytes(b""), "damaged or incomplete"),
    ],
)
def test_damage_is_named(harm, message, tmp_path):
    path = write_native(MemorySource(T5_1_0), tmp_path)
    harm(path)
    with pytest.raises(CheckpointError, match=message) as refusal:
        open_native(path)
    assert str(tmp_path) in str(refusal.value)


def test_parameters_alone_are_a_checkpoint(tmp_path):
    source = MemorySource(T5_1_0, remembers=False)
    path = write_native(source, tmp_path)
    assert not (path / "optimizer").exists()
    found = open_checkpoint(tmp_path)
    assert_same_tensors(found, source)
    assert found.optimizer is None
    kept = write_native(MemorySource(T5_1_0), tmp_path / "b", with_optimizer=False)
    assert open_native(kept).optimizer is None


@pytest.mark.parametrize("version", CONFIGS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("scan_layers", [False, True])
def test_the_way_round_all_layouts_changes_no_bit(version, dtype, scan_layers, tmp_path):
    """Hugging Face -> ours -> T5X (Orbax) -> ours -> T5X (legacy) -> Hugging Face."""
    from clinical_t5x.interop.huggingface_writer import write_huggingface

    original = MemorySource(CONFIGS[version], dtype, remembers=False, step=None)

    def go(number, write, **options):
        directory = tmp_path / str(number)
        write(here[-1], directory, **options)
        here.append(open_checkpoint(directory))

    here = [original]
    go(1, write_huggingface)
    go(2, write_native, scan_layers=scan_layers)
    go(3, write_t5x)
    go(4, write_native, scan_layers=not scan_layers)
    go(5, write_t5x, layout="legacy")
    go(6, write_huggingface)
    for stop in here[1:]:
        assert_same_tensors(stop, original)
        assert stop.config.logits_via_embedding == original.config.logits_via_embedding
    first, last = (
        {file.name: file.read_bytes() for file in (tmp_path / number).glob("*.safetensors")}
        for number in "16"
    )
    assert first == last


KILLED = """
    import os, signal, sys
    from clinical_t5x.interop.native import write_native
    from clinical_t5x.interop.t5x_checkpoint import write_t5x
    from tests.interop.checkpoint_sources import T5_1_0, MemorySource

    target, layout = sys.argv[1:]

    def kill(name):
        if name == "encoder/layers_1/mlp/wo/kernel":
            os.kill(os.getpid(), signal.SIGKILL)

    source = MemorySource(T5_1_0, seed=1)
    if layout == "native":
        write_native(source, target, overwrite=True, on_tensor=kill)
    else:
        write_t5x(source, target, layout=layout, overwrite=True, on_tensor=kill)
"""


@pytest.mark.parametrize("layout", ["native", *LAYOUTS])
def test_a_killed_writer_leaves_what_was_there(layout, tmp_path):
    target = tmp_path / "checkpoint_7"
    source = MemorySource(T5_1_0)
    for before in (False, True):
        if before:
            write_native(source, target)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(target), layout], check=False
        )
        assert done.returncode == -9
        assert target.exists() == before
    assert_same(open_checkpoint(target), source)
    assert_same(open_checkpoint(tmp_path), source)  # what is left beside is no checkpoint
    write_native(source, target, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_7"]
