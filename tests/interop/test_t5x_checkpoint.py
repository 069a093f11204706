import hashlib
import json
import pathlib
import tarfile

import msgpack
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import serialization, traverse_util

from clinical_t5x.interop import t5x_checkpoint
from clinical_t5x.interop.source import CheckpointError
from clinical_t5x.interop.t5x_checkpoint import LAYOUTS, open_t5x, write_t5x
from tests.interop.checkpoint_sources import (
    CONFIGS,
    T5_1_0,
    MemorySource,
    assert_same,
    assert_same_tensors,
)

GOLDENS = pathlib.Path(__file__).parent / "goldens"
# SHA-256 over name, dtype, shape and bytes of every array as Google's T5X (cc342d4) held it after
# three steps of training: a T5 1.1, saved in both layouts, the legacy one as bfloat16.
GOLDEN_ARRAYS = {
    "orbax": "84d978aa4073c10484aeba0c0f9422849a7a4aa7943f479de74d124c4152608d",
    "legacy": "da8d54ee90994ebe0c797beb9fd3902db7f51e2720f442e5578167729e12d29f",
}


def golden(layout, directory):
    with tarfile.open(GOLDENS / f"t5x_{layout}.tar.xz") as archive:
        archive.extractall(directory, filter="data")
    return directory / "checkpoint_3"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_t5x_itself_wrote_is_read_to_the_bit(layout, tmp_path):
    source = open_t5x(golden(layout, tmp_path))
    assert source.layout == layout and source.step == 3
    assert source.config.mlp_activations == ("gelu", "linear")
    assert (source.config.num_encoder_layers, source.config.num_decoder_layers) == (1, 2)
    assert (source.config.num_heads, source.config.head_dim) == (2, 3)
    arrays = {f"target/{name}": source.read(name) for name in source.infos}
    memory = source.optimizer
    arrays |= {f"state/param_states/{name}": memory.read(name) for name in memory.infos}
    arrays["state/step"] = np.asarray(3, np.int32)
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        digest.update(arrays[name].tobytes())
    assert digest.hexdigest() == GOLDEN_ARRAYS[layout]


def test_the_legacy_layout_has_the_files_that_t5x_writes(tmp_path):
    theirs = golden("legacy", tmp_path)
    ours = write_t5x(open_t5x(theirs), tmp_path / "ours", layout="legacy")
    assert sorted(p.name for p in ours.iterdir()) == sorted(p.name for p in theirs.iterdir())
    theirs, ours = (
        traverse_util.flatten_dict(
            serialization.msgpack_restore((path / "checkpoint").read_bytes()), sep="/"
        )
        for path in (theirs, ours)
    )
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_the_orbax_layout_has_the_items_that_t5x_writes(tmp_path):
    theirs = golden("orbax", tmp_path)
    ours = write_t5x(open_t5x(theirs), tmp_path / "ours")
    assert {path.name for path in ours.iterdir()} == {path.name for path in theirs.iterdir()}
    handlers = [
        json.loads((path / "_CHECKPOINT_METADATA").read_text())["item_handlers"]
        for path in (theirs, ours)
    ]
    assert handlers[0] == handlers[1]
    keys = [json.loads((path / "state" / "_METADATA").read_text()) for path in (theirs, ours)]
    assert set(keys[0]["tree_metadata"]) == set(keys[1]["tree_metadata"])


@pytest.mark.parametrize("version", CONFIGS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_written_is_read_again(version, dtype, layout, tmp_path):
    source = MemorySource(CONFIGS[version], dtype)
    path = write_t5x(source, tmp_path, layout=layout)
    assert path.name == "checkpoint_7"
    found = open_t5x(path)
    assert_same(found, source)
    assert found.config == source.config


def test_plain_orbax_restores_what_is_written(tmp_path):
    source = MemorySource(T5_1_0)
    path = write_t5x(source, tmp_path)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
        tree = reader.restore(path / "state")
    assert int(tree["state"]["step"]) == 7
    flat = traverse_util.flatten_dict(tree["target"], sep="/")
    assert set(flat) == set(source.infos)
    for name, array in flat.items():
        np.testing.assert_array_equal(array, source.read(name))


def test_orbax_without_a_database_is_read(tmp_path):
    source = MemorySource(T5_1_0)
    tree = traverse_util.unflatten_dict({"target/" + k: v for k, v in source.tensors.items()}, "/")
    for use_zarr3 in (False, True):
        path = tmp_path / f"zarr3_{use_zarr3}" / "checkpoint_0"
        handler = ocp.PyTreeCheckpointHandler(use_ocdbt=False, use_zarr3=use_zarr3)
        with ocp.Checkpointer(handler) as writer:
            writer.save(path / "state", tree)
        found = open_t5x(path)
        assert_same_tensors(found, source)
        assert found.step is None and found.optimizer is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_a_memory_t5x_gets_an_empty_one(layout, tmp_path):
    source = MemorySource(T5_1_0, remembers=False, step=None)
    found = open_t5x(write_t5x(source, tmp_path, layout=layout))
    assert found.step == 0
    memory = found.optimizer
    shapes = {name: info.shape for name, info in memory.infos.items()}
    assert shapes["token_embedder/embedding/v_row"] == (128,)
    assert shapes["token_embedder/embedding/v_col"] == (160,)
    assert shapes["token_embedder/embedding/v"] == shapes["encoder/encoder_norm/scale/m"] == (1,)
    assert shapes["encoder/relpos_bias/rel_embedding/v"] == (2, 32)
    assert not any(memory.read(name).any() for name in memory.infos)


def test_the_directory_says_the_step_where_the_source_does_not(tmp_path):
    source = MemorySource(T5_1_0, remembers=False, step=None)
    assert open_t5x(write_t5x(source, tmp_path / "checkpoint_30")).step == 30
    with pytest.raises(CheckpointError, match="step 4, but the parameters have seen 7"):
        write_t5x(MemorySource(T5_1_0), tmp_path / "checkpoint_4")


def test_parameters_can_be_stored_in_another_dtype(tmp_path):
    source = MemorySource(T5_1_0)
    found = open_t5x(write_t5x(source, tmp_path, dtype="bfloat16"))
    halved = MemorySource(T5_1_0, "bfloat16")
    assert_same_tensors(found, halved)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_source_that_fails_leaves_what_was_there(layout, tmp_path):
    source = MemorySource(T5_1_0)
    path = write_t5x(source, tmp_path, layout=layout)

    class Fails(MemorySource):
        def read(self, name):
            if name == "encoder/encoder_norm/scale":
                raise CheckpointError("damaged")
            return super().read(name)

    with pytest.raises(FileExistsError):
        write_t5x(source, tmp_path, layout=layout)
    with pytest.raises(CheckpointError, match="damaged"):
        write_t5x(Fails(T5_1_0, seed=1), tmp_path, layout=layout, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert_same(open_t5x(path), source)


def read_everything(path):
    source = open_t5x(path)
    for name in source.infos:
        source.read(name)


def files_below(path):
    return sorted(file for file in pathlib.Path(path).rglob("*") if file.is_file())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_truncated_files_are_refused(layout, tmp_path):
    """Cut at many places: refused, or (files that are not needed) read to the same bits."""
    source = MemorySource(CONFIGS["1.1"], remembers=False)
    path = write_t5x(source, tmp_path, layout=layout)
    files = files_below(path)
    largest = sorted(files, key=lambda file: file.stat().st_size)[-6:]
    named = [f for f in files if f.name in ("_METADATA", "checkpoint", "manifest.ocdbt", ".zarray")]
    refused = 0
    for file in [*largest, *named[:6]]:
        whole = file.read_bytes()
        for part in (0.0, 0.01, 0.3, 0.5, 0.9, 0.99):
            file.write_bytes(whole[: int(len(whole) * part)])
            try:
                assert_same_tensors(open_t5x(path), source)
            except CheckpointError as error:
                assert str(tmp_path) in str(error)
                refused += 1
        file.write_bytes(whole)
    assert refused > 15
    assert_same_tensors(open_t5x(path), source)


def test_missing_files_are_refused(tmp_path):
    source = MemorySource(CONFIGS["1.1"])
    path = write_t5x(source, tmp_path / "a", layout="legacy")
    (path / "target.encoder.encoder_norm.scale" / "0").unlink()
    with pytest.raises(CheckpointError, match=r"target\.encoder\.encoder_norm\.scale is damaged"):
        read_everything(path)
    (path / "target.encoder.encoder_norm.scale" / ".zarray").unlink()
    with pytest.raises(CheckpointError, match=r"no array target\.encoder\.encoder_norm\.scale"):
        open_t5x(path)
    path = write_t5x(source, tmp_path / "b")
    (path / "state" / "manifest.ocdbt").unlink()
    with pytest.raises(CheckpointError):
        open_t5x(path)
    with pytest.raises(CheckpointError, match="is no checkpoint of T5X"):
        open_t5x(tmp_path)


def test_another_shape_or_dtype_on_disk_is_refused(tmp_path):
    path = write_t5x(MemorySource(T5_1_0), tmp_path, layout="legacy")
    zarray = path / "target.encoder.relpos_bias.rel_embedding" / ".zarray"
    text = zarray.read_text()
    changes = [
        (text.replace("[2,32]", "[32,2]"), "shape|is \\(32, 2\\) in"),
        (text.replace('"<f4"', '"<i4"'), "int32"),
        (text.replace('"<f4"', '"|O"'), "not a number"),
        (text.replace('"gzip"', '"pickle"'), "compressed by 'pickle'"),
        (text.replace("[2,32]", '["a"]'), "damaged metadata"),
    ]
    for changed, message in changes:
        assert changed != text
        zarray.write_text(changed)
        with pytest.raises(CheckpointError, match=message):
            read_everything(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_missing_unknown_and_misshapen_parameters_are_listed(layout, tmp_path):
    source = MemorySource(T5_1_0)
    lost = "decoder/layers_1/mlp/wo/kernel"
    del source.tensors[lost], source.infos[lost]
    extra = "encoder/layers_0/mlp/wx/kernel"
    source.tensors[extra] = source.tensors["encoder/encoder_norm/scale"]
    source.infos[extra] = source.infos["encoder/encoder_norm/scale"]
    path = write_t5x(source, tmp_path, layout=layout)
    with pytest.raises(CheckpointError) as refusal:
        open_t5x(path)
    assert f"missing: {lost} (132, 128)" in str(refusal.value)
    assert f"unknown: {extra} (128,)" in str(refusal.value)


def legacy_with(path, change):
    """Rewrite the msgpack file after `change` of its content."""
    file = path / "checkpoint"
    content = msgpack.unpackb(file.read_bytes())
    change(content)
    file.write_bytes(msgpack.packb(content))


def norm_of(content):
    return content["optimizer"]["target"]["encoder"]["encoder_norm"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: norm_of(c)["scale"]["kvstore"].update(path="../x/"), "not beside the file"),
        (lambda c: norm_of(c)["scale"]["kvstore"].update(path="/etc/"), "not beside the file"),
        (lambda c: norm_of(c)["scale"]["kvstore"].update(path=".."), "not beside the file"),
        (lambda c: norm_of(c)["scale"]["kvstore"].update(driver="http"), "lies in 'http'"),
        (lambda c: norm_of(c)["scale"].update(driver="json"), "stored by 'json'"),
        (lambda c: norm_of(c)["scale"].update(kvstore="file:///etc"), "not zarr"),
        (lambda c: norm_of(c)["scale"]["metadata"].update(shape=[4]), r"but \(4,\) in checkpoint"),
        (lambda c: norm_of(c).update(scale="text"), "is a str"),
        (lambda c: norm_of(c).update(scale=msgpack.ExtType(9, b"x")), "type 9"),
        (
            lambda c: norm_of(c).update(
                scale=msgpack.ExtType(1, msgpack.packb(((1,), "object", b"12345678")))
            ),
            "dtype 'object'",
        ),
        (
            lambda c: norm_of(c).update(
                scale=msgpack.ExtType(1, msgpack.packb(((10**12,), "float32", b"1234")))
            ),
            "do not fit its shape",
        ),
        (lambda c: c.update(version=1), "version 1"),
        (lambda c: c.pop("optimizer"), "no 'optimizer'"),
    ],
)
def test_a_file_that_leads_elsewhere_or_holds_more_than_numbers_is_refused(
    change, message, tmp_path
):
    path = write_t5x(MemorySource(CONFIGS["1.1"]), tmp_path, layout="legacy")
    legacy_with(path, change)
    with pytest.raises(CheckpointError, match=message):
        open_t5x(path)


def test_other_stores_of_t5x_are_read_where_the_file_lies(tmp_path):
    """Checkpoints that were written to a bucket, then copied; and the form of old TensorStores."""
    source = MemorySource(CONFIGS["1.1"])
    path = write_t5x(source, tmp_path, layout="legacy")

    def moved(content):
        scale = norm_of(content)["scale"]
        scale["path"] = scale["kvstore"].pop("path")
        scale["kvstore"] = {"driver": "gcs", "bucket": "some-bucket"}

    legacy_with(path, moved)
    assert_same(open_t5x(path), source)


def test_an_orbax_name_never_leads_out_of_the_directory(tmp_path):
    source = MemorySource(T5_1_0)
    tree = traverse_util.unflatten_dict({"target/" + k: v for k, v in source.tensors.items()}, "/")
    path = tmp_path / "checkpoint_0"
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=False)) as writer:
        writer.save(path / "state", tree)
    metadata = path / "state" / "_METADATA"
    metadata.write_text(metadata.read_text().replace('"key": "encoder_norm"', '"key": "../../x"'))
    with pytest.raises(CheckpointError, match="is no name of an array"):
        open_t5x(path)


def test_layouts_are_recognised_by_names(tmp_path):
    source = MemorySource(T5_1_0)
    for layout in LAYOUTS:
        path = write_t5x(source, tmp_path / layout, layout=layout)
        assert t5x_checkpoint.layout_of(path) == layout
        assert not t5x_checkpoint.recognises(path.parent)
