"""Tiny models are whole: real files, real classes, random weights of a seed."""

import numpy as np
import pytest

from clinical_t5x.baselines.tiny import make_tiny, notes_of
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.registry import MODELS
from clinical_t5x.storage import sha256_file

# The class that the real model's tokenizer has, and the files that it is read from.
TOKENIZERS = {
    "bert": ("BertTokenizer", {"vocab.txt"}),
    "megatron-bert": ("BertTokenizer", {"vocab.txt"}),
    "roberta": ("RobertaTokenizer", {"vocab.json", "merges.txt"}),
    "longformer": ("RobertaTokenizer", {"vocab.json", "merges.txt"}),
    "gpt2": ("GPT2Tokenizer", {"vocab.json", "merges.txt"}),
    "modernbert": (None, {"tokenizer.json"}),
    "qwen3": ("Qwen2Tokenizer", {"tokenizer.json"}),
    "t5gemma": (None, {"tokenizer.json"}),
    "t5": (None, {"spiece.model", "tokenizer.json"}),
}


@pytest.mark.parametrize("key", MODELS)
def test_every_row_has_a_tiny_form(tiny_models, key):
    import transformers

    family = MODELS[key].family if MODELS[key].family != "endpoint" else "gpt2"
    directory = tiny_models(key)
    names = {path.name for path in directory.iterdir()}
    kind, files = TOKENIZERS[family]
    assert files <= names and "config.json" in names
    assert len(names & {"model.safetensors", "pytorch_model.bin"}) == 1
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    assert kind is None or type(tokenizer).__name__ == kind
    config = transformers.AutoConfig.from_pretrained(directory)
    assert config.model_type == family
    text = "He has chest pain."
    decoded = tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)
    assert family in ("bert", "megatron-bert") or decoded.strip() == text
    if family in ("t5", "t5gemma"):
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(directory)
    else:
        model = transformers.AutoModel.from_pretrained(directory)
    assert 50_000 < sum(p.numel() for p in model.parameters()) < 3_000_000


def test_a_seed_gives_the_same_model(place, tmp_path):
    texts = notes_of(place.home)
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_tiny("roberta", tmp_path / out, seed=seed, texts=texts)
    a, b, c = (sha256_file(tmp_path / out / "model.safetensors") for out in "abc")
    assert a == b != c
    assert sha256_file(tmp_path / "a" / "vocab.json") == sha256_file(tmp_path / "c" / "vocab.json")


def test_our_reader_takes_a_tiny_t5(tiny_models):
    """T5 rows go through this project's own trainer: its reader of Hugging Face files."""
    from etils import epath

    from clinical_t5x.interop.huggingface_source import HuggingFaceSource

    for key, gated in (("t5_base", False), ("clinical_t5_large", False), ("flan_t5_xxl", True)):
        source = HuggingFaceSource(epath.Path(tiny_models(key)))
        assert (len(source.config.mlp_activations) == 2) == gated
        assert all(np.isfinite(source.read(name)).all() for name in source.infos)


def test_wrong_use(place, tmp_path):
    with pytest.raises(UserError, match="did you mean roberta_large"):
        make_tiny("roberta_larg", tmp_path / "x", seed=0, texts=["a"])
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="exists"):
        make_tiny("bert", tmp_path / "there", seed=0, texts=["He has chest pain."])
    with pytest.raises(UserError, match="prepare"):
        notes_of(tmp_path)


def test_notes_of_real_patients_are_refused(place, tmp_path):
    """A vocabulary shows words of the notes that it was learnt from."""
    from etils import epath

    from clinical_t5x.storage import read_json, stage_directory, write_json_atomically

    there = epath.Path(place.home) / "corpus" / "clinical"
    manifest = {**read_json(there / "manifest.json"), "synthetic": False}
    with stage_directory(tmp_path / "corpus" / "clinical") as partial:
        (partial / "documents").mkdir()
        for path in (there / "documents").glob("train-*"):
            (partial / "documents" / path.name).write_bytes(path.read_bytes())
        write_json_atomically(partial / "manifest.json", manifest)
    with pytest.raises(UserError, match="not synthetic"):
        notes_of(tmp_path)
