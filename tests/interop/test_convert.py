"""`python -m clinical_t5x.convert`, as a person runs it."""

import importlib
import json
import shlex

import numpy as np
import pytest

from clinical_t5x import storage
from clinical_t5x.console import EXIT_DONE, EXIT_USAGE, UserError, run_command
from clinical_t5x.data.vocabulary_training import VocabularyOptions, train_model
from clinical_t5x.interop.recognise import open_checkpoint
from tests.interop import hf_models, test_tokenizer

command = importlib.import_module("clinical_t5x.convert.__main__")


@pytest.fixture(scope="module")
def models():
    return {version: hf_models.make_model(version) for version in ("1.0", "1.1")}


@pytest.fixture
def source(models, tmp_path):
    hf_models.write(tmp_path / "source", models["1.1"], "safetensors")
    return tmp_path / "source"


@pytest.fixture(scope="module")
def vocabulary_proto():
    options = VocabularyOptions(size=420)
    return train_model(test_tokenizer.counts(), options)


def convert(*arguments):
    return command.main([str(argument) for argument in arguments])


def run(capsys, *arguments):
    """Exit code, standard output and error of the command, as a shell has them."""
    with pytest.raises(SystemExit) as stop:
        run_command(command.main, [str(argument) for argument in arguments])
    return stop.value.code, *capsys.readouterr()


def logits(model):
    import torch

    ids = torch.arange(2, 22).reshape(2, 10)
    with torch.no_grad():
        return model(input_ids=ids, decoder_input_ids=ids).logits


def assert_same(directory, other):
    """The same tensors, bit for bit."""
    one, two = open_checkpoint(directory), open_checkpoint(other)
    assert one.infos == two.infos
    for name in one.infos:
        np.testing.assert_array_equal(one.read(name), two.read(name))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shards", [(), ("--max_shard_size", "4KB")], ids=["one", "parts"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_transformers_loads_what_is_written(models, tmp_path, version, shards, dtype):
    import torch
    import transformers

    arrays = hf_models.write(tmp_path / "source", models[version], "bin", dtype)
    assert convert(tmp_path / "source", tmp_path / "out", "--to", "hf", *shards) == EXIT_DONE
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert ("model.safetensors.index.json" in files) == bool(shards)
    loaded = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "out").eval()
    found = hf_models.state_dict(loaded, dtype)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(hf_models.as_numpy(found[name]), array)
    assert loaded.dtype == getattr(torch, dtype)
    assert loaded.config.scale_decoder_outputs == (version == "1.0")
    assert loaded.generation_config.decoder_start_token_id == 0
    if dtype == "float32":
        assert torch.equal(logits(loaded), logits(models[version]))


@pytest.mark.parametrize("layout", hf_models.LAYOUTS)
def test_any_layout_becomes_the_same_directory(models, tmp_path, layout):
    hf_models.write(tmp_path / "source", models["1.0"], layout)
    convert(tmp_path / "source", tmp_path / "out", "--to", "hf")
    assert_same(tmp_path / "source", tmp_path / "out")


@pytest.mark.parametrize("scan", [(), ("--scan_layers",)], ids=["unrolled", "scanned"])
@pytest.mark.parametrize("layout", ["orbax", "legacy"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_way_through_all_layouts_is_bit_exact(models, tmp_path, version, layout, scan):
    start = tmp_path / "0"
    hf_models.write(start, models[version], "safetensors")
    convert(start, tmp_path / "1", "--to", "native", *scan)
    convert(tmp_path / "1", tmp_path / "2", "--to", "t5x", "--t5x_layout", layout)
    convert(tmp_path / "2", tmp_path / "3", "--to", "native", *scan)
    convert(tmp_path / "3", tmp_path / "4", "--to", "hf")
    for stage in "1234":
        assert_same(start, tmp_path / stage)


def test_other_dtypes_are_rounded_once(models, source, tmp_path):
    import ml_dtypes

    convert(source, tmp_path / "half", "--to", "hf", "--dtype", "bfloat16")
    whole, half = open_checkpoint(source), open_checkpoint(tmp_path / "half")
    for name, info in half.infos.items():
        assert info.dtype == "bfloat16"
        rounded = whole.read(name).astype(ml_dtypes.bfloat16)
        np.testing.assert_array_equal(half.read(name), rounded)
    convert(tmp_path / "half", tmp_path / "float", "--to", "hf", "--dtype", "float32")
    again = open_checkpoint(tmp_path / "float").read("token_embedder/embedding")
    np.testing.assert_array_equal(again, half.read("token_embedder/embedding").astype(np.float32))
    settings = json.loads((tmp_path / "half" / "config.json").read_text())
    assert settings["torch_dtype"] == "bfloat16"


def test_it_says_what_it_found_and_what_comes_next(capsys, source, tmp_path):
    code, out, err = run(capsys, source, tmp_path / "out", "--to", "hf", "--json")
    assert code == EXIT_DONE and not err
    assert "Hugging Face, safetensors" in out
    assert "encoder/layers_0-1/mlp/wi_0/kernel" in out
    assert "from_pretrained" in out
    assert "no tokenizer is written" in out
    *_, last = out.splitlines()
    summary = json.loads(last)
    assert summary["parameters"] == open_parameters(source)
    assert summary["made"] == str(tmp_path / "out")
    assert summary["config"]["mlp_activations"] == ["gelu", "linear"]
    lines = out.splitlines()
    head = next(line for line in lines if line.split()[0] == "tensor")
    assert head.split() == ["tensor", "shape", "dtype", "tensors", "parameters"]


def open_parameters(path):
    return sum(info.size for info in open_checkpoint(path).infos.values())


def test_a_dry_run_writes_nothing(capsys, source, tmp_path):
    code, out, _ = run(capsys, source, tmp_path / "out", "--to", "hf", "--dry_run", "--all")
    assert code == EXIT_DONE
    assert "Nothing was written" in out
    assert "encoder/layers_1/mlp/wi_0/kernel" in out
    assert not (tmp_path / "out").exists()


def test_an_existing_directory_is_not_replaced_unasked(capsys, source, tmp_path):
    out = tmp_path / "out"
    convert(source, out, "--to", "hf")
    before = (out / "model.safetensors").stat().st_mtime_ns
    code, _, err = run(capsys, source, out, "--to", "hf")
    assert code == EXIT_USAGE
    assert "exists; choose another DST, or --overwrite" in err
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    (out / "left.txt").write_text("x")
    convert(source, out, "--to", "hf", "--overwrite")
    assert not (out / "left.txt").exists()
    assert_same(source, out)


def test_only_checkpoints_are_ever_replaced(capsys, source, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("x")
    code, _, err = run(capsys, source, notes, "--to", "hf", "--overwrite")
    assert code == EXIT_USAGE and "is no checkpoint; it is not replaced" in err
    runs = tmp_path / "runs"
    convert(source, runs, "--to", "native")
    code, _, err = run(capsys, source, runs, "--to", "hf", "--overwrite")
    assert code == EXIT_USAGE and "is no checkpoint; it is not replaced" in err
    assert (notes / "a.txt").exists() and (runs / "checkpoint_0").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    convert(source, empty, "--to", "hf")
    assert_same(source, empty)


@pytest.mark.parametrize("where", ["source", "."])
def test_the_source_is_never_replaced(capsys, source, tmp_path, where):
    code, _, err = run(capsys, source, tmp_path / where, "--to", "hf", "--overwrite")
    assert code == EXIT_USAGE and "is, or holds, the source" in err
    assert (source / "model.safetensors").exists()


@pytest.mark.parametrize("through", ["source", "target", "parent"])
def test_links_do_not_hide_the_source(capsys, source, tmp_path, through):
    link = tmp_path / "link"
    link.symlink_to(tmp_path if through == "parent" else source)
    place = link / "source" if through == "parent" else link
    places = (place, source) if through == "source" else (source, place)
    code, _, err = run(capsys, *places, "--to", "hf", "--overwrite")
    assert code == EXIT_USAGE and "is, or holds, the source" in err
    assert link.is_symlink() and (source / "model.safetensors").exists()


def test_a_link_is_not_replaced(capsys, source, tmp_path):
    convert(source, tmp_path / "other", "--to", "hf")
    for to in ("other", "nowhere"):
        (tmp_path / f"to_{to}").symlink_to(tmp_path / to)
        code, _, err = run(capsys, source, tmp_path / f"to_{to}", "--to", "hf", "--overwrite")
        assert code == EXIT_USAGE and f"to_{to} is a symbolic link; name the directory" in err
        assert (tmp_path / f"to_{to}").is_symlink()
    assert_same(source, tmp_path / "other")


def test_what_comes_next_can_be_pasted(capsys, source, tmp_path):
    _, out, _ = run(capsys, source, tmp_path / "my model", "--to", "native")
    *_, last = shlex.split(out.splitlines()[-1])
    assert last == f"--gin.INITIAL_CHECKPOINT_PATH={tmp_path / 'my model' / 'checkpoint_0'}"


def test_small_sizes_are_told_as_well(capsys, monkeypatch, source, tmp_path):
    monkeypatch.setattr(storage, "free_bytes", lambda path: 1_000)
    code, _, err = run(capsys, source, tmp_path / "out", "--to", "hf")
    assert code == EXIT_USAGE and "needs 0.0 MB; 0.0 MB are free there" in err
    assert command._size(99_000_000) == "99.0 MB" and command._size(2e9) == "2.0 GB"


def test_a_source_that_breaks_halfway_leaves_the_old_directory(capsys, models, tmp_path):
    out = tmp_path / "out"
    source = tmp_path / "source"
    hf_models.write(source, models["1.0"], "bin")
    convert(source, out, "--to", "hf")
    content = {path.name: path.read_bytes() for path in out.iterdir()}
    file = source / "pytorch_model.bin"
    data = bytearray(file.read_bytes())
    place = data.index(b"PK\x07\x08", len(data) // 2)
    data[place - 100] ^= 0xFF  # within the numbers of a tensor in the middle
    file.write_bytes(data)
    code, _, err = run(capsys, source, out, "--to", "hf", "--overwrite")
    assert code == EXIT_USAGE and "wrong checksum" in err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == content
    assert {path.name for path in tmp_path.iterdir()} == {"out", "source"}


def test_numbers_that_are_none_are_reported(capsys, models, tmp_path):
    import torch

    hf_models.write(tmp_path / "source", models["1.0"], "bin")
    tensors = hf_models.state_dict(models["1.0"])
    tensors["encoder.final_layer_norm.weight"][3] = float("nan")
    torch.save(tensors, tmp_path / "source" / "pytorch_model.bin")
    tensors["encoder.final_layer_norm.weight"][3] = 1.0
    _, out, _ = run(capsys, tmp_path / "source", tmp_path / "out", "--to", "hf", "--json")
    assert "warning: 1 tensors hold NaN or infinity, encoder/encoder_norm/scale first" in out
    assert json.loads(out.splitlines()[-1])["not_finite"] == ["encoder/encoder_norm/scale"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "native", "--vocabulary", "x"], "--vocabulary is for --to hf"),
        (["--to", "hf", "--scan_layers"], "--scan_layers is for --to native"),
        (["--to", "hf", "--t5x_layout", "legacy"], "--t5x_layout is for --to t5x"),
        (["--to", "hf", "--vocabulary", "/nowhere/x.model"], "there is no vocabulary at"),
    ],
)
def test_what_means_nothing_is_refused(capsys, source, tmp_path, arguments, message):
    code, _, err = run(capsys, source, tmp_path / "out", *arguments)
    assert code == EXIT_USAGE and message in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", ["0", "-1GB", "5 apples", "GB", ""])
def test_sizes_that_are_none_are_refused(capsys, source, tmp_path, size):
    code, _, err = run(capsys, source, tmp_path / "o", "--to", "hf", f"--max_shard_size={size}")
    assert code == EXIT_USAGE and "is no size" in err


@pytest.mark.parametrize(("text", "number"), [("5GB", 5e9), ("1.5 MiB", 1572864), ("300", 300)])
def test_sizes_are_read_as_people_write_them(text, number):
    assert command._bytes(text) == number


def test_the_tokenizer_comes_along(source, tmp_path, vocabulary_proto):
    import transformers

    rows = 640
    model = hf_models.make_model("1.1", vocab_size=rows)
    hf_models.write(tmp_path / "large", model, "safetensors")
    file = tmp_path / "some.model"
    file.write_bytes(vocabulary_proto)
    convert(tmp_path / "large", tmp_path / "out", "--to", "hf", "--vocabulary", file)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = tokenizer("the patient\n[Name]").input_ids
    assert tokenizer.decode(ids[:-1]) == "the patient\n[Name]"
    card = (tmp_path / "out" / "README.md").read_text()
    assert "shared only through PhysioNet" in " ".join(card.split())
    # From one Hugging Face directory to the next the tokenizer's files go as they are.
    convert(tmp_path / "out", tmp_path / "again", "--to", "hf")
    for name in ("tokenizer.json", "tokenizer_config.json", "spiece.model"):
        old, new = tmp_path / "out" / name, tmp_path / "again" / name
        assert old.read_bytes() == new.read_bytes()
    with pytest.raises(UserError, match=r"\d+ ids, but the model's embedding only 144 rows"):
        convert(source, tmp_path / "no", "--to", "hf", "--vocabulary", file)


def test_what_a_run_wrote_down_goes_into_the_card(tmp_path, vocabulary_proto, monkeypatch):
    """The vocabulary by the run's config.gin, the facts by the manifests of the data home."""
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tmp_path / "home"))
    vocabulary = tmp_path / "home" / "vocabularies" / "ward"
    corpus = tmp_path / "home" / "corpus" / "ward"
    vocabulary.mkdir(parents=True)
    corpus.mkdir(parents=True)
    (vocabulary / "sentencepiece.model").write_bytes(vocabulary_proto)
    origin = {"name": "ward", "content_sha256": "ab" * 32}
    manifest = {"name": "ward", "pieces": 420, "extra_ids": 100, "corpus": origin}
    (vocabulary / "manifest.json").write_text(json.dumps(manifest | {"synthetic": True}))
    splits = {"train": {"documents": 1234, "words": 56789}}
    facts = {"name": "ward", "splits": splits, "content_sha256": "ab" * 32, "synthetic": True}
    (corpus / "manifest.json").write_text(json.dumps(facts))
    model = hf_models.make_model("1.0", vocab_size=640)
    hf_models.write(tmp_path / "source", model, "safetensors")
    convert(tmp_path / "source", tmp_path / "run", "--to", "native")
    (tmp_path / "run" / "config.gin").write_text(
        "MIXTURE_OR_TASK_NAME = 'ward_v1'\n"
        "VOCABULARY/vocabulary.ClinicalVocabulary.name = 'ward'\n"
        "VOCABULARY/vocabulary.ClinicalVocabulary.sentencepiece_model_file = None\n"
    )
    convert(tmp_path / "run", tmp_path / "out", "--to", "hf")
    card = (tmp_path / "out" / "README.md").read_text()
    for fact in ("ward_v1", "420, 100", "1,234, 56,789", "synthetic-data", "**synthetic**"):
        assert fact in card
    assert (tmp_path / "out" / "tokenizer.json").exists()
    (vocabulary / "manifest.json").write_text(json.dumps(manifest))
    convert(tmp_path / "run", tmp_path / "out", "--to", "hf", "--overwrite")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "physionet-credentialed-data" in card and "Do not publish these weights" in card
    (vocabulary / "sentencepiece.model").unlink()
    convert(tmp_path / "run", tmp_path / "out", "--to", "hf", "--overwrite")
    assert not (tmp_path / "out" / "tokenizer.json").exists()
