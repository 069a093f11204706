"""`clinical_t5x.interactive`: a model in a notebook."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
import sentencepiece

from clinical_t5x.console import UserError
from clinical_t5x.data.home import vocabulary_directory
from clinical_t5x.data.vocabulary import MODEL_FILE, ClinicalVocabulary
from clinical_t5x.evaluation.predictor import ModelPredictor, Request
from clinical_t5x.interactive import load_model, new_model
from clinical_t5x.interop.huggingface_writer import write_huggingface
from clinical_t5x.interop.native import open_native
from clinical_t5x.interop.t5x_checkpoint import write_t5x
from clinical_t5x.models import lora

SIZES = {
    "emb_dim": 32, "num_heads": 2, "head_dim": 16, "mlp_dim": 64, "num_encoder_layers": 2,
    "num_decoder_layers": 2, "dropout_rate": 0.0, "logits_via_embedding": True,
}  # fmt: skip
WORDS = ("chest", "pain", "no", "fever", "stable", "nodule", "patient", "home")
PAIRS = [(f"say {a} and {b}", a) for a, b in itertools.permutations(WORDS[:5], 2)]
ASKED, WANTED = [text for text, _ in PAIRS[:4]], [text for _, text in PAIRS[:4]]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    """A small one, in the data home of its own under the name "clinical"."""
    place = vocabulary_directory("clinical", tmp_path_factory.mktemp("home"))
    place.mkdir(parents=True)
    lines = [f"say {a} and {b} {c}" for a, b, c in itertools.permutations(WORDS, 3)]
    with (place / MODEL_FILE).open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=file, vocab_size=60,
            hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
        )  # fmt: skip
    return ClinicalVocabulary(place / MODEL_FILE)


@pytest.fixture(scope="module")
def saved(vocabulary, tmp_path_factory):
    """A model that was trained a little, and the directory it was saved into."""
    model = new_model(vocabulary, learning_rate=0.02, **SIZES)
    metrics = model.train_loop(PAIRS, num_steps=60, batch_size=8)
    place = tmp_path_factory.mktemp("run")
    assert model.save(place) == place / "checkpoint_60"
    return model, place, metrics


def test_training_learns_and_counts(saved):
    model, _, metrics = saved
    assert [one["step"] for one in metrics] == [*range(1, 61)]
    assert np.mean([one["loss"] for one in metrics[-5:]]) < metrics[0]["loss"] - 1.0
    assert metrics[0]["learning_rate"] == pytest.approx(0.02)
    assert model.step == 60


def test_saved_models_come_back_with_everything(saved):
    model, place, _ = saved
    again = load_model(place)
    assert (again.step, again.config) == (60, model.config)
    assert again.vocabulary == model.vocabulary
    jax.tree.map(np.testing.assert_array_equal, again.params, model.params)
    assert again.loaded_from == str(place / "checkpoint_60")
    with pytest.raises(UserError, match="exists; save into another"):
        again.save(place)


@pytest.mark.parametrize("layout", ["huggingface", "orbax", "legacy", "checkpoint"])
def test_every_layout_gives_the_same_model(saved, vocabulary, tmp_path, layout):
    model, place, _ = saved
    source = open_native(place / "checkpoint_60")
    if layout == "huggingface":
        write_huggingface(source, tmp_path / "copy")
    elif layout != "checkpoint":
        write_t5x(source, tmp_path / "copy", layout=layout)
    copy = place / "checkpoint_60" if layout == "checkpoint" else tmp_path / "copy"
    file = vocabulary.sentencepiece_model_file
    loaded = load_model(copy, vocabulary=file, scan_layers=True)
    assert loaded.step == (0 if layout == "huggingface" else 60)
    np.testing.assert_allclose(
        loaded.score(ASKED, WANTED), model.score(ASKED, WANTED), rtol=1e-5, atol=1e-4
    )


def test_predictions_are_the_predictors(saved):
    model, _, _ = saved
    predictor = ModelPredictor(model.model, model.params, batch_size=4)
    requests = [
        Request("", text, np.array([*model.vocabulary.encode(text), 1], np.int32)) for text in ASKED
    ]
    expected = dict(predictor.generate(requests, max_target_tokens=8))
    texts, aux = model.predict_with_aux(ASKED, max_target_tokens=8)
    assert texts == model.predict(ASKED, max_target_tokens=8)
    assert texts == [expected[i].text for i in range(4)]
    np.testing.assert_allclose(aux["scores"], [expected[i].score for i in range(4)], rtol=1e-4)
    assert aux["at_limit"] == [expected[i].at_limit for i in range(4)]
    assert model.predict(ASKED[:1], max_target_tokens=8) == texts[:1]
    one, three = (
        model.predict_with_aux(ASKED, max_target_tokens=8, num_decodes=count, alpha=0.0)[1]
        for count in (1, 3)
    )
    assert sum(three["scores"]) >= sum(one["scores"]) - 1e-3


def test_scores_are_the_loss_of_training(saved):
    model, _, _ = saved
    found = model.evaluate(PAIRS[:4])
    tokens = sum(len(model.vocabulary.encode(text)) + 1 for text in WANTED)
    total = -model.score(ASKED, WANTED).sum()
    assert found["cross_ent_loss"] == pytest.approx(total / tokens, rel=1e-4)


def test_evaluation_knows_exact_matches_and_other_metrics(saved):
    model, _, _ = saved
    answers = model.predict(ASKED, max_target_tokens=8)
    found = model.evaluate(
        [*zip(ASKED, answers, strict=True)],
        [lambda targets, predictions: {"same": float(targets == predictions)}],
        max_target_tokens=8,
    )
    assert (found["exact_match"], found["same"]) == (1.0, 1.0)


def test_lengths_are_asked_for_or_found(saved, tmp_path):
    model, place, _ = saved
    with pytest.raises(UserError, match="max_target_tokens"):
        model.predict(ASKED)
    (place / "config.gin").write_text("TASK_FEATURE_LENGTHS = {'inputs': 16, 'targets': 5}\n")
    try:
        found, given = load_model(place), load_model(place, max_target_tokens=3)
        assert found.predict(ASKED) == model.predict(ASKED, max_target_tokens=5)
        assert given.predict(ASKED) == model.predict(ASKED, max_target_tokens=3)
    finally:
        (place / "config.gin").unlink()


def test_long_texts_are_not_cut(saved):
    model, _, _ = saved
    long = "say " + " ".join(WORDS * 12)
    other = long + " home"
    assert model.score([long], ["home"])[0] != model.score([other], ["home"])[0]
    assert np.isfinite(model.train_step([(long, long)])["loss"])


def test_vocabularies_are_found_or_asked_for(saved, vocabulary, tmp_path, monkeypatch):
    _, place, _ = saved
    bare = tmp_path / "bare"
    write_huggingface(open_native(place / "checkpoint_60"), bare)
    with pytest.raises(UserError, match="which vocabulary"):
        load_model(bare, data_dir=tmp_path)
    data_home = str(vocabulary.sentencepiece_model_file).rsplit("/vocabularies/", 1)[0]
    assert load_model(bare, data_dir=data_home).vocabulary == vocabulary  # "clinical", it fits
    assert load_model(bare, vocabulary="clinical", data_dir=data_home).vocabulary == vocabulary
    assert load_model(bare, vocabulary=vocabulary).vocabulary is vocabulary
    wide = ClinicalVocabulary(vocabulary.sentencepiece_model_file, extra_ids=500)
    with pytest.raises(UserError, match=r"set network\.T5Config\.vocab_size"):
        load_model(bare, vocabulary=wide)
    monkeypatch.setenv("CLINICAL_T5X_DATA", data_home)
    assert load_model(bare).vocabulary == vocabulary


def test_what_is_no_checkpoint_is_refused(tmp_path):
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UserError, match=str(place)):
            load_model(place)


def test_adapters_by_one_argument(saved, tmp_path):
    _, place, _ = saved
    adapted = load_model(place, lora_rank=4, learning_rate=0.01)
    before = jax.tree.map(np.asarray, lora.without(adapted.params))
    scores = adapted.score(ASKED, WANTED)
    np.testing.assert_allclose(scores, load_model(place).score(ASKED, WANTED), rtol=1e-5)
    adapted.train_loop(PAIRS[:4], num_steps=5)
    jax.tree.map(np.testing.assert_array_equal, lora.without(adapted.params), before)
    assert adapted.score(ASKED, WANTED).sum() > scores.sum()
    adapted.save(tmp_path / "adapted")
    merged = load_model(tmp_path / "adapted")
    assert merged.config.lora_rank == 0
    np.testing.assert_allclose(
        merged.score(ASKED, WANTED), adapted.score(ASKED, WANTED), rtol=1e-4, atol=1e-4
    )


def test_examples_may_be_dicts_and_nothing_else(saved):
    _, place, _ = saved
    one, other = load_model(place), load_model(place)
    pairs = one.train_step(PAIRS[:2])
    dicts = other.train_step([{"input": a, "target": b} for a, b in PAIRS[:2]])
    assert pairs == dicts
    for wrong in (["text"], [{"input": "a"}], [("a", "b", "c")], []):
        with pytest.raises(ValueError, match="example"):
            one.train_step(wrong)
    with pytest.raises(TypeError, match="list of texts"):
        one.predict("one text", max_target_tokens=4)


def test_wrong_fields_are_named(saved):
    _, place, _ = saved
    with pytest.raises(UserError, match="no_such_field"):
        load_model(place, no_such_field=1)
    with pytest.raises(UserError, match=r"in the checkpoint, .* in the model"):
        load_model(place, emb_dim=64)
    assert load_model(place, dtype="bfloat16").config == dataclasses.replace(
        load_model(place).config, dtype="bfloat16"
    )
