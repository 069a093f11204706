import json
import types

import ml_dtypes
import numpy as np
import pytest

from clinical_t5x.interop import flax_file, huggingface
from clinical_t5x.interop.recognise import open_checkpoint
from clinical_t5x.interop.source import CheckpointError
from tests.interop import hf_models

VERSIONS = ("1.0", "1.1")


@pytest.fixture(scope="module")
def models():
    return {version: hf_models.make_model(version) for version in VERSIONS}


def expected(arrays, config):
    """The arrays under T5X's names, kernels and bias tables transposed."""
    named = {}
    for ours, theirs in huggingface.name_table(config).items():
        array = arrays[theirs]
        keeps = ours == "token_embedder/embedding" or array.ndim == 1
        named[ours] = array if keeps else array.T
    return named


def assert_same(source, named):
    assert source.infos.keys() == named.keys()
    for name, array in named.items():
        read = source.read(name)
        assert read.dtype == array.dtype == source.infos[name].numpy_dtype
        assert read.shape == array.shape == source.infos[name].shape
        np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("layout", hf_models.LAYOUTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_layout_is_read_bit_for_bit(models, tmp_path, version, layout):
    arrays = hf_models.write(tmp_path, models[version], layout)
    source = open_checkpoint(tmp_path)
    assert source.config.logits_via_embedding == (version == "1.0")
    assert source.config.mlp_activations == (("relu",) if version == "1.0" else ("gelu", "linear"))
    assert_same(source, expected(arrays, source.config))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("layout", hf_models.LAYOUTS)
def test_half_precision_stays_as_it_is(models, tmp_path, layout, dtype):
    arrays = hf_models.write(tmp_path, models["1.1"], layout, dtype)
    source = open_checkpoint(tmp_path)
    assert {info.dtype for info in source.infos.values()} == {dtype}
    assert_same(source, expected(arrays, source.config))


@pytest.mark.parametrize("layout", ["safetensors", "bin", "old bin", "bin.gz", "msgpack"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_alone_tells_its_sizes(models, tmp_path, version, layout):
    arrays = hf_models.write(tmp_path, models[version], layout)
    told = open_checkpoint(tmp_path).config
    (tmp_path / "config.json").unlink()
    (file,) = tmp_path.iterdir()
    source = open_checkpoint(file)
    assert source.config == told
    assert any("inferred" in note for note in source.notes)
    assert_same(source, expected(arrays, source.config))


def test_a_configuration_as_release_4_wrote_it(models, tmp_path):
    hf_models.write(tmp_path, models["1.1"], "safetensors")
    settings = json.loads((tmp_path / "config.json").read_text())
    del settings["scale_decoder_outputs"]
    settings["tie_word_embeddings"] = False
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert not open_checkpoint(tmp_path).config.logits_via_embedding


def test_logits_that_share_the_embedding_unscaled(models, tmp_path):
    """What transformers 5 saves of a new T5 1.1: the matrix of the logits is left out."""
    model = hf_models.make_model("1.0", feed_forward_proj="gated-gelu")
    hf_models.write(tmp_path, model, "safetensors")
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["scale_decoder_outputs"] = False
    (tmp_path / "config.json").write_text(json.dumps(settings))
    source = open_checkpoint(tmp_path)
    embedding = source.read("token_embedder/embedding")
    np.testing.assert_array_equal(source.read("decoder/logits_dense/kernel"), embedding.T)
    assert any("lm_head" in note for note in source.notes)


def test_the_table_that_the_first_t5s_hold_is_left_out(models, tmp_path):
    import torch

    arrays = hf_models.write(tmp_path, models["1.0"], "bin")
    tensors = hf_models.state_dict(models["1.0"])
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors[unused] = torch.zeros(32, 2)
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    source = open_checkpoint(tmp_path)
    assert_same(source, expected(arrays, source.config))
    assert any(unused in note for note in source.notes)


def test_copies_in_files_of_their_own_are_compared(models, tmp_path):
    import torch

    tensors = hf_models.state_dict(models["1.0"], copies=True)
    apart = {name: tensor.clone() for name, tensor in tensors.items()}
    hf_models.write(tmp_path, models["1.0"], "bin")
    torch.save(apart, tmp_path / "pytorch_model.bin")
    open_checkpoint(tmp_path)
    apart["lm_head.weight"][3, 1] += 1
    torch.save(apart, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"lm_head\.weight differs from shared\.weight"):
        open_checkpoint(tmp_path)


def test_views_and_strides_of_a_storage(models, tmp_path):
    """Tensors that are transposed views, or parts of one large storage."""
    import torch

    tensors = hf_models.state_dict(models["1.0"])
    arrays = hf_models.write(tmp_path, models["1.0"], "bin")
    kernel = "encoder.block.0.layer.0.SelfAttention.q.weight"
    tensors[kernel] = tensors[kernel].T.contiguous().T
    flat = torch.cat([torch.zeros(5), tensors["shared.weight"].reshape(-1), torch.zeros(3)])
    tensors["shared.weight"] = flat[5:-3].view(tensors["shared.weight"].shape)
    for new in (True, False):
        torch.save(tensors, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=new)
        source = open_checkpoint(tmp_path)
        assert_same(source, expected(arrays, source.config))


def test_parameters_and_state_dicts_with_metadata(models, tmp_path):
    import torch

    arrays = hf_models.write(tmp_path, models["1.1"], "bin")
    torch.save(dict(models["1.1"].named_parameters()), tmp_path / "pytorch_model.bin")
    source = open_checkpoint(tmp_path)
    assert_same(source, expected(arrays, source.config))
    torch.save(models["1.1"].state_dict(), tmp_path / "pytorch_model.bin")
    source = open_checkpoint(tmp_path)
    assert_same(source, expected(arrays, source.config))


def test_archives_without_checksums(models, tmp_path):
    import torch

    torch.serialization.set_crc32_options(False)
    try:
        arrays = hf_models.write(tmp_path, models["1.0"], "bin")
    finally:
        torch.serialization.set_crc32_options(True)
    source = open_checkpoint(tmp_path)
    assert_same(source, expected(arrays, source.config))


def test_newer_pickle_protocols(models, tmp_path):
    import torch

    arrays = hf_models.write(tmp_path, models["1.0"], "bin")
    tensors = hf_models.state_dict(models["1.0"])
    for protocol in (3, 4, 5):
        torch.save(tensors, tmp_path / "pytorch_model.bin", pickle_protocol=protocol)
        source = open_checkpoint(tmp_path)
        assert_same(source, expected(arrays, source.config))


def test_large_flax_arrays_come_in_pieces(tmp_path, monkeypatch):
    from flax import serialization

    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 100)
    tree = {
        "a": {"b": np.arange(60, dtype=np.float32).reshape(6, 10)},
        "c": np.arange(200, dtype=np.float32).astype(ml_dtypes.bfloat16).reshape(2, 100),
    }
    file = tmp_path / "x.msgpack"
    file.write_bytes(serialization.to_bytes(tree))
    opened = flax_file.FlaxFile(open_path(file))
    assert opened.infos["a/b"].shape == (6, 10)
    np.testing.assert_array_equal(opened.read("a/b"), tree["a"]["b"])
    np.testing.assert_array_equal(opened.read("c"), tree["c"])
    assert opened.read("c").dtype == tree["c"].dtype


def open_path(path):
    from etils import epath

    return epath.Path(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_ff": 17}, r"wi\.weight is \(16, 8\), wanted \(17, 8\)"),
        ({"num_layers": 3}, r"missing: encoder\.block\.2"),
        ({"num_layers": 1}, r"unknown: encoder\.block\.1"),
        ({"vocab_size": 145}, r"shared\.weight is \(144, 8\), wanted \(145, 8\)"),
        ({"feed_forward_proj": "gated-gelu"}, r"missing: .*wi_0"),
        ({"model_type": "bart"}, "model_type is 'bart'"),
        ({"d_model": None}, "d_model must be there"),
        ({"feed_forward_proj": "tanh"}, "feed_forward_proj is 'tanh'"),
        ({"dropout_rate": 2.0}, "dropout_rate"),
    ],
)
@pytest.mark.parametrize("layout", ["safetensors", "msgpack"])
def test_what_does_not_match_is_listed(models, tmp_path, layout, change, message):
    hf_models.write(tmp_path, models["1.0"], layout)
    settings = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("dtype", ["int32", "float64"])
@pytest.mark.parametrize("layout", ["safetensors", "bin", "old bin"])
def test_weights_that_are_no_weights_are_refused(models, tmp_path, layout, dtype):
    hf_models.write(tmp_path, models["1.0"], layout, dtype)
    with pytest.raises(CheckpointError, match=f"is {dtype}; weights are float32"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "is no checkpoint; expected a Hugging Face directory"),
        ({"config.json": "{}"}, r"config\.json but no weights; expected one of model\.safetensors"),
        ({"config.json": "{}", "tf_model.h5": "x"}, "TensorFlow weights"),
        ({"a.bin": "x", "b.bin": "x", "config.json": "{}"}, "no weights"),
        ({"adapter_model.safetensors": "x", "config.json": "{}"}, "an adapter without its model"),
        ({"model.safetensors.index.json": "[]"}, "is no index of weights"),
        ({"model.safetensors.index.json": '{"weight_map": {"a": "../b.safetensors"}}'}, "outside"),
        ({"model.safetensors.index.json": '{"weight_map": {"a": "b.safetensors"}}'}, "is missing"),
    ],
)
def test_directories_without_weights_are_refused(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path)


def test_no_such_path():
    with pytest.raises(CheckpointError, match="/nowhere does not exist"):
        open_checkpoint("/nowhere")


def test_a_part_that_lacks_what_the_index_says(models, tmp_path):
    hf_models.write(tmp_path, models["1.0"], "safetensors shards")
    file = tmp_path / "model.safetensors.index.json"
    index = json.loads(file.read_text())
    names = list(index["weight_map"])
    index["weight_map"][names[0]] = index["weight_map"][names[-1]]
    file.write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=f"holds {names[0]}, but it does not"):
        open_checkpoint(tmp_path)


def test_a_bucket_is_read_like_a_folder(models, tmp_path):
    """Only `open`, `exists` and the like of epath are used: no path of the local system's own."""
    from clinical_t5x.interop import safetensors_file

    hf_models.write(tmp_path, models["1.0"], "safetensors")
    local = tmp_path / "model.safetensors"
    remote = types.SimpleNamespace(
        open=lambda mode: local.open(mode),
        stat=lambda: types.SimpleNamespace(length=local.stat().st_size),
    )
    opened = safetensors_file.SafetensorsFile(remote)
    assert opened.read("shared.weight").shape == (144, 8)
