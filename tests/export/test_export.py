"""An export runs in a process that knows nothing of this project, and gives what the model does."""

import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
import seqio
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.export import bundle, functions, saving
from clinical_t5x.export.functions import Lengths
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.decoding import temperature_sample
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer
from clinical_t5x.training.config import RestoreCheckpointConfig

SIZES = {"emb_dim": 16, "num_heads": 2, "head_dim": 8, "mlp_dim": 32}
LAYERS = {"num_encoder_layers": 1, "num_decoder_layers": 1}


def _model(**options):
    config = {name: options.pop(name) for name in [*options] if hasattr(T5Config, name)}
    vocabulary = seqio.ByteVocabulary()
    network = T5Config(384, **(SIZES | LAYERS | config))
    return EncoderDecoderModel(Transformer(network), vocabulary, vocabulary, **options)


def _content(model, *, batch_size=None, dtype=None, default_mode="predict"):
    params = model.init_params(jax.random.key(1))
    # lively: untrained models say one token for ever
    params = jax.tree.map(lambda leaf: (leaf * 3).astype(dtype or leaf.dtype), params)
    return bundle.Content(
        model=model,
        params=params,
        lengths=Lengths(inputs=12, targets=6, batch_size=batch_size),
        platforms=("cpu",),
        default_mode=default_mode,
        about={"model_name": "toy", "checkpoint": "x/checkpoint_3", "checkpoint_step": 3},
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = _model(default_decoder_params={"num_decodes": 2})
    content = _content(model)
    directory = epath.Path(tmp_path_factory.mktemp("export")) / "toy"
    bundle.write(content, directory, None)
    return directory, content


def _load(directory, *arguments):
    command = [sys.executable, "-I", str(directory / bundle.LOADER), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_manifest_says_what_is_there(exported):
    directory, content = exported
    manifest = json.loads((directory / bundle.MANIFEST).read_text())
    assert manifest["self_check"]["equal_tokens"] == manifest["self_check"]["rows"] == 4
    assert manifest["self_check"]["largest_difference"] <= 1e-4
    leaves = jax.tree.leaves(content.params)
    assert manifest["parameters"]["count"] == sum(leaf.size for leaf in leaves)
    assert manifest["vocabulary"]["kind"] == "bytes"
    for entry in manifest["programs"].values():
        assert (directory / entry["file"]).exists() and (directory / entry["stablehlo"]).exists()
    # the programs hold no parameters
    assert max((directory / e["file"]).stat().length for e in manifest["programs"].values()) < 9e4


def test_check_compares_different_outputs(exported):
    """Rows whose outputs were all alike would make the check blind."""
    with (exported[0] / bundle.CHECK_FILE).open("rb") as file:
        kept = dict(np.load(file))
    assert len({tuple(row) for row in kept["predict_tokens"].tolist()}) >= 3
    assert len(set(kept["score_scores"].tolist())) == 4


IDS = [[5, 17, 9, 1], [8, 1], [30, 31, 32, 33, 1], [4, 1], [7, 7, 1]]


def test_any_number_of_rows(exported):
    directory, content = exported
    result = _load(directory, "--ids", *[" ".join(map(str, ids)) for ids in IDS])
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    rows = np.zeros((5, 12), np.int32)
    for row, ids in zip(rows, IDS, strict=True):
        row[: len(ids)] = ids
    own = functions.predict_function(content.model)(
        content.params, rows, np.zeros((5, 6), np.int32)
    )
    assert [line[1] for line in lines] == [" ".join(map(str, row)) for row in own["tokens"]]
    np.testing.assert_allclose([float(line[0]) for line in lines], own["scores"], rtol=1e-4)


def test_text_goes_in_and_out(exported):
    directory, content = exported
    result = _load(directory, "fever", "naïve ☃")
    assert result.returncode == 0, result.stderr
    predictions = [json.loads(line.split("\t")[1]) for line in result.stdout.splitlines()]
    assert len(predictions) == 2 and all(isinstance(text, str) for text in predictions)
    scored = float(_load(directory, "--score", "fever", "chill").stdout)
    vocabulary = content.model.output_vocabulary
    inputs, targets = np.zeros((1, 12), np.int32), np.zeros((1, 6), np.int32)
    inputs[0, :6] = [*vocabulary.encode("fever"), 1]
    targets[0, :6] = [*vocabulary.encode("chill"), 1]
    own = functions.score_function(content.model)(content.params, inputs, targets)["scores"]
    assert scored == pytest.approx(float(own[0]), rel=1e-4)


def test_too_long_input_is_refused_by_the_loader(exported):
    result = _load(exported[0], "a text of more than twelve bytes")
    assert result.returncode == 1
    assert "33 tokens do not fit into 12" in result.stderr


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"scan_layers": True, "num_decoder_layers": 2}, {"batch_size": 3}),
        ({"dtype": "bfloat16"}, {"dtype": jax.numpy.bfloat16}),
        (
            {"decode_fn": temperature_sample, "logits_via_embedding": True},
            {"default_mode": "score"},
        ),
    ],
    ids=["scanned, fixed rows", "bfloat16", "greedy, tied"],
)
def test_kinds_of_models(tmp_path, options, settings):
    directory = epath.Path(tmp_path) / "export"
    bundle.write(_content(_model(**options), **settings), directory, None)
    manifest = json.loads((directory / bundle.MANIFEST).read_text())
    rows = settings.get("batch_size", 4)
    assert manifest["self_check"]["equal_tokens"] == manifest["self_check"]["rows"] == rows


def test_wrong_answers_are_found(exported, tmp_path):
    """The check is no formality: other parameters do not pass it."""
    other = epath.Path(tmp_path) / "other"
    shutil.copytree(exported[0], other)
    path = other / bundle.PARAMETERS
    data = bytearray(path.read_bytes())
    data[-4000:] = bytes(4000)
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="does not give what the model gives"):
        bundle.run_check(other)


def test_loader_imports_nothing_of_this_project(exported):
    code = (
        "import runpy, sys; sys.argv = ['load_example.py', '--check']\n"
        f"runpy.run_path({str(exported[0] / bundle.LOADER)!r}, run_name='__main__')\n"
        "print([name for name in sys.modules if name.startswith(('clinical', 'flax', 'tensor'))])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_broken_program_is_found(exported, tmp_path):
    other = epath.Path(tmp_path) / "other"
    shutil.copytree(exported[0], other)
    (other / "predict.jax_export").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="does not run in a process of its own"):
        bundle.run_check(other)


def test_something_else_is_not_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is no export; choose another MODEL_OUTPUT_DIR"):
        bundle.write(_content(_model()), epath.Path(tmp_path), None)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_bucket_is_refused():
    with pytest.raises(UserError, match="a disk of this machine"):
        bundle.write(_content(_model()), epath.Path("gs://bucket/export"), None)


def _save(**options):
    settings = {
        "model": _model(),
        "inference_mode": "predict",
        "restore_checkpoint_cfg": RestoreCheckpointConfig("/nowhere", "specific"),
        "task_feature_lengths": {"inputs": 12, "targets": 6},
        "batch_size": None,
        "output_dir": "/nowhere/out",
        "model_name": "toy",
    }
    return saving.save(**(settings | options))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"inference_mode": "sing"}, "inference_mode = 'sing': choose predict or score"),
        ({"task_feature_lengths": None}, "an export needs the number of tokens"),
        ({"task_feature_lengths": {"inputs": 12}}, "an export needs the number of tokens"),
        ({"batch_size": 0}, "BATCH_SIZE = 0: at least 1, or None"),
        ({"native_lowering_platforms": ["gpu"]}, r"\['gpu'\]: choose from cpu, cuda, rocm, tpu"),
        (
            {"output_features": {"inputs": seqio.Feature(seqio.ByteVocabulary(extra_ids=5))}},
            "VOCABULARY",
        ),
    ],
    ids=["mode", "no lengths", "half the lengths", "batch size", "platform", "other vocabulary"],
)
def test_impossible_settings_are_named(options, expected):
    with pytest.raises(UserError, match=expected):
        _save(**options)
