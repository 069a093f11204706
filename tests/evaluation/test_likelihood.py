"""Scores by likelihood from a real (tiny) model: right numbers, once for each example, resumed."""

import dataclasses
import json
import string

import jax
import numpy as np
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.evaluator import Evaluator, TaskSpec
from clinical_t5x.evaluation.likelihood import generate_and_score
from clinical_t5x.evaluation.metrics import (
    CLIP_LABELS,
    MEDNLI_LABELS,
    MEDNLI_SCORING,
    RADQA_SCORING,
    clip_metrics,
    mednli_metrics,
    radqa_metrics,
)
from clinical_t5x.evaluation.predictor import Candidate, Generation, ModelPredictor, Request
from clinical_t5x.evaluation.results import Provenance, load_evaluation
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.decoding import beam_search, temperature_sample
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer
from clinical_t5x.storage import read_json

LIMIT = {"max_target_tokens": 8}
STEP = Provenance("t5-tiny", "scratch", seed=1, checkpoint_step=20, commit="abc")


class PieceVocabulary:
    """Label names, ", " and letters are pieces from id 3 on; other ids are no text."""

    pieces = (*CLIP_LABELS, *MEDNLI_LABELS, ", ", *string.ascii_letters[:50])
    pad_id, eos_id, unk_id, extra_ids, vocab_size = 0, 1, 2, 0, 3 + len(pieces)

    def encode(self, text):
        ids = []
        while text:
            piece = next(piece for piece in self.pieces if text.startswith(piece))
            ids.append(3 + self.pieces.index(piece))
            text = text.removeprefix(piece)
        return ids

    def decode(self, ids):
        return "".join(self.pieces[k - 3] for k in ids if 3 <= k < self.vocab_size)


def _encode(text):
    return [*PieceVocabulary().encode(text), 1]


def make_model():
    """A network of one layer each, greedy."""
    config = T5Config(
        vocab_size=64,
        logits_via_embedding=True,
        emb_dim=16,
        num_heads=2,
        num_encoder_layers=1,
        num_decoder_layers=1,
        head_dim=8,
        mlp_dim=32,
    )
    vocabulary = PieceVocabulary()
    return EncoderDecoderModel(
        Transformer(config), vocabulary, vocabulary, None, decode_fn=temperature_sample
    )


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def params(model):
    return model.init_params(jax.random.key(3))


@pytest.fixture(scope="module")
def silent(model, params):
    return silent_params(model, params)


def silent_params(model, params):
    """Parameters of a model that gives half of the requests the empty answer.

    The end takes the place of the likeliest first token of those that no input holds, scaled to win
    on half of the inputs.
    """
    requests = _requests(6)
    inputs = np.zeros((6, 32), np.int32)
    for row, request in zip(inputs, requests, strict=True):
        row[: len(request.tokens)] = request.tokens
    start = np.zeros((6, 1), np.int32)
    batch = {"encoder_input_tokens": inputs, "decoder_input_tokens": start}
    logits = np.array(jax.jit(model.logits)(params, batch))[:, 0]
    first = 29 + int(logits[:, 29:].mean(axis=0).argmax())
    others = np.delete(logits, [0, first], axis=1).max(axis=1)
    table = np.array(params["token_embedder"]["embedding"])
    table[[1, first]] = table[[first, 1]]
    table[1] *= np.median(others / logits[:, first])
    return {**params, "token_embedder": {"embedding": table}}


def _requests(count, longest=30):
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, longest, size=count)
    tokens = [rng.integers(3, 29, size=length).astype(np.int32) for length in lengths]
    return [Request(f"q{k}", "", row) for k, row in enumerate(tokens)]


def _candidates(*texts):
    return [Candidate(text, np.array(_encode(text), np.int32)) for text in texts]


def test_candidates_side_by_side_score_as_each_alone(model, params):
    """One row with all of a request's targets, each of another length, against a row for each."""
    requests = _requests(5)
    given = [_candidates("", "neutral"), _candidates(*MEDNLI_LABELS), _candidates("a")]
    given += [_candidates("no", "yes", "", "no" * 4), _candidates("entailment", "")]
    predictor = ModelPredictor(model, params, batch_size=4)
    found = predictor.score_candidates(requests, given)
    for request, candidates, values in zip(requests, given, found, strict=True):
        alone = predictor.score(
            [request] * len(candidates), [candidate.tokens for candidate in candidates]
        )
        np.testing.assert_allclose(values, alone, rtol=1e-5, atol=1e-5)


def test_scores_do_not_depend_on_batches_or_on_the_longest_input(model, params):
    requests = _requests(7)
    given = [_candidates(*MEDNLI_LABELS)] * 7
    first = ModelPredictor(model, params, batch_size=4).score_candidates(requests, given)
    other = ModelPredictor(model, params, batch_size=8).score_candidates(
        requests, given, longest=100
    )
    np.testing.assert_allclose(np.array(first), np.array(other), rtol=1e-5)


def test_an_answer_is_forced_where_greedy_decoding_says_nothing(model, silent):
    predictor = ModelPredictor(model, silent, batch_size=4)
    requests = _requests(6)
    generated = dict(predictor.generate(requests, **LIMIT))
    answers = dict(predictor.generate_answers(requests, **LIMIT))
    assert sorted(answers) == list(range(6))
    empty = [k for k, found in generated.items() if not found.text]
    assert empty
    for k in empty:
        assert answers[k].text
        # It begins with the likeliest letter, and its likelihood is below that of no answer.
        firsts = _candidates(*PieceVocabulary.pieces)
        starts = [Candidate(c.text, c.tokens[:1]) for c in firsts]
        (values,) = predictor.score_candidates([requests[k]], [starts])
        assert answers[k].text.startswith(PieceVocabulary.pieces[int(np.argmax(values))])


def test_the_best_beam_that_says_something_is_the_answer(model, silent):
    searching = EncoderDecoderModel(
        model.module, *[PieceVocabulary()] * 2, None, decode_fn=beam_search
    )
    no_penalty = {"alpha": 0.0}  # which would favour longer answers
    end = np.array(silent["token_embedder"]["embedding"])
    end[1] *= 3
    params = {**silent, "token_embedder": {"embedding": end}}
    predictor = ModelPredictor(
        searching, params, batch_size=4, num_decodes=4, decoder_params=no_penalty
    )
    found = [g for _, g in predictor.generate(_requests(6), **LIMIT)]
    empty = [generation for generation in found if not generation.text]
    assert empty
    answers = [(g.answer, g.score) for g in empty if g.answer is not None]
    assert answers
    assert all(answer.text and answer.score <= score for answer, score in answers)
    assert all(g.answer is None for g in found if g.text)


def test_every_request_is_scored_once_and_the_answer_by_its_own_tokens(model, silent):
    predictor = ModelPredictor(model, silent, batch_size=4)
    requests = _requests(11)
    found = dict(generate_and_score(predictor, requests, RADQA_SCORING, _encode, **LIMIT))
    assert sorted(found) == list(range(11))
    for position, scored in found.items():
        nothing, answer = scored.candidates
        assert nothing == ""
        assert answer is scored.answer
        assert answer.text
        end = [] if answer.at_limit else [1]
        targets = [np.array([1]), np.array([*answer.tokens, *end])]
        alone = predictor.score([requests[position]] * 2, targets)
        np.testing.assert_allclose(scored.log_likelihoods, alone, rtol=1e-5, atol=1e-5)


@dataclasses.dataclass
class ListedExamples:
    """A split in memory, with the attributes of clinical_t5x.data.loader.Examples."""

    records: list
    inputs: list
    targets: list
    feature_lengths: dict
    truncated: int = 0
    task_version: str = "task_v1@aaaa"
    synthetic: bool = False


def _examples(golds, **kwargs):
    records = [
        {"id": f"q{k}", "unit": f"u{k // 2}", "gold": gold, "targets_pretokenized": ""}
        for k, gold in enumerate(golds)
    ]
    inputs = [request.tokens for request in _requests(len(golds))]
    targets = [np.arange(3, 11, dtype=np.int32)] * len(golds)
    return ListedExamples(records, inputs, targets, {"inputs": 30, "targets": 8}, **kwargs)


def _gold(text, *, example=None, is_target=False):
    return example["gold"] if is_target else text


def _task(name, metric_fn):
    return TaskSpec(name, (metric_fn,), _gold, "group", _encode)


MEDNLI = _task("mednli_v1", mednli_metrics)
RADQA = _task("radqa_v1", radqa_metrics)
CLIP = _task("clip_v1", clip_metrics)
ANSWERS = [["ab", "a"], [], ["c"], [], [], ["no"]]


def _run(directory, task, golds, predictor, split="validation", provenance=STEP, **kwargs):
    examples = kwargs.pop("examples", None) or _examples(golds)
    evaluator = Evaluator(
        task,
        examples,
        split=split,
        output_dir=directory,
        resamples=50,
        with_scores=True,
        **kwargs,
    )
    return evaluator.run(predictor, provenance)


def _lines(directory, name):
    path = directory / "predictions" / f"{name}.jsonl"
    return {line["id"]: line for line in map(json.loads, path.read_text().splitlines()[1:])}


def test_labels_get_probabilities_that_add_up_to_one(model, params, tmp_path):
    golds = [MEDNLI_LABELS[k % 3] for k in range(7)]
    predictor = ModelPredictor(model, params, batch_size=4)
    found = _run(tmp_path, MEDNLI, golds, predictor)
    lines = _lines(tmp_path, "mednli_v1-validation-step_20")
    p = np.array([[lines[f"q{k}"]["scores"][f"p:{w}"] for w in MEDNLI_LABELS] for k in range(7)])
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    gold = np.array([MEDNLI_LABELS.index(word) for word in golds])
    assert found.result("accuracy_by_likelihood").value == np.mean(p.argmax(axis=1) == gold)
    assert found.result("brier").value == pytest.approx(
        np.mean(np.sum((p - np.eye(3)[gold]) ** 2, axis=1)), rel=1e-5
    )
    assert not found.result("ece").higher_is_better
    assert found.result("ece").low is not None
    assert found.result("ece_equal_mass").low is None
    assert load_evaluation(found.directory or tmp_path / "results/mednli_v1-validation-step_20")


def test_thresholds_are_tuned_on_validation_kept_and_used_on_test(model, silent, tmp_path):
    predictor = ModelPredictor(model, silent, batch_size=4)
    tuned = _run(tmp_path, RADQA, ANSWERS, predictor)
    directory = tmp_path / "results" / "radqa_v1-validation-step_20"
    kept = read_json(directory / "thresholds.json")
    assert set(kept["thresholds"]) == {"exact_match", "f1"}
    assert kept["tuned_on"]["n"] == 6
    assert kept["tuned_on"]["task_version"] == "task_v1@aaaa"
    assert kept["tuned_on"]["predictor"] == predictor.identity()
    names = {result.metric for result in tuned.results}
    assert "exact_match_oracle" in names
    assert not any(name.endswith("_at_threshold") for name in names)
    # On the very examples that it was tuned on, a threshold reaches the oracle's value.
    test = _run(tmp_path, RADQA, ANSWERS, predictor, split="test")
    for name in ("exact_match", "f1"):
        at_threshold = test.result(f"{name}_at_threshold")
        assert at_threshold.value == pytest.approx(tuned.result(f"{name}_oracle").value)
        assert at_threshold.low is not None
    assert not (tmp_path / "results" / "radqa_v1-test-step_20" / "thresholds.json").exists()


def test_thresholds_of_another_checkpoint_or_task_version_are_refused(
    model, silent, params, tmp_path
):
    predictor = ModelPredictor(model, silent, batch_size=4)
    _run(tmp_path, RADQA, ANSWERS, predictor)
    other = ModelPredictor(model, params, batch_size=4)
    with pytest.raises(UserError, match="another checkpoint or other decoding"):
        _run(tmp_path, RADQA, ANSWERS, other, split="test")
    changed = _examples(ANSWERS, task_version="task_v1@bbbb")
    with pytest.raises(UserError, match="task_v1@aaaa, not on task_v1@bbbb"):
        _run(tmp_path, RADQA, ANSWERS, predictor, split="test", examples=changed)
    path = tmp_path / "results" / "radqa_v1-validation-step_20" / "thresholds.json"
    path.write_text(json.dumps({"thresholds": 3}))
    with pytest.raises(UserError, match="damaged"):
        _run(tmp_path, RADQA, ANSWERS, predictor, split="test")


def test_without_thresholds_their_metrics_are_left_out_with_a_word(model, silent, tmp_path, capsys):
    predictor = ModelPredictor(model, silent, batch_size=4)
    found = _run(tmp_path / "run", RADQA, ANSWERS, predictor, split="test")
    assert not any(result.metric.endswith("_at_threshold") for result in found.results)
    assert "evaluate its validation split with with_scores" in " ".join(
        capsys.readouterr().out.split()
    )
    with pytest.raises(UserError, match="has no thresholds of radqa_v1 at step 20"):
        _run(tmp_path / "run", RADQA, ANSWERS, predictor, split="test", thresholds=tmp_path)
    # Thresholds that come later are used without any new prediction.
    _run(tmp_path / "run", RADQA, ANSWERS, predictor)
    path = tmp_path / "run" / "predictions" / "radqa_v1-test-step_20.jsonl"
    before = path.read_text()
    later = _run(tmp_path / "run", RADQA, ANSWERS, predictor, split="test")
    assert later.result("f1_at_threshold")
    assert path.read_text() == before


def test_clip_labels_get_probabilities_and_thresholds(model, params, tmp_path):
    golds = [[CLIP_LABELS[0]], [], [CLIP_LABELS[3], CLIP_LABELS[0]], [], [CLIP_LABELS[0]], []]
    predictor = ModelPredictor(model, params, batch_size=4)
    tuned = _run(tmp_path, CLIP, golds, predictor)
    lines = _lines(tmp_path, "clip_v1-validation-step_20")
    assert all(0 <= line["scores"][f"p:{x}"] <= 1 for line in lines.values() for x in CLIP_LABELS)
    test = _run(tmp_path, CLIP, golds, predictor, split="test")
    for name in ("micro_f1", "macro_f1"):
        assert test.result(f"{name}_at_threshold").value == tuned.result(f"{name}_oracle").value
    assert test.result("note_micro_f1").n_units == 3


def test_a_resumed_evaluation_keeps_scores_and_predicts_only_what_is_left(model, silent, tmp_path):
    predictor = ModelPredictor(model, silent, batch_size=4)
    whole = _run(tmp_path / "whole", RADQA, ANSWERS, predictor)
    path = tmp_path / "cut" / "predictions" / "radqa_v1-validation-step_20.jsonl"
    path.parent.mkdir(parents=True)
    text = (tmp_path / "whole" / "predictions" / path.name).read_text()
    path.write_text("".join(text.splitlines(keepends=True)[:4])[:-9])  # a line cut in half
    asked = []

    class Counted(ModelPredictor):
        def generate(self, requests, **kwargs):
            asked.extend(request.id for request in requests)
            return super().generate(requests, **kwargs)

    counted = Counted(model, silent, batch_size=4)
    resumed = _run(tmp_path / "cut", RADQA, ANSWERS, counted)
    assert len(asked) == 4
    values = {result.metric: result.value for result in whole.results}
    for result in resumed.results:
        assert result.value == pytest.approx(values[result.metric], rel=1e-4), result.metric
    assert len(_lines(tmp_path / "cut", "radqa_v1-validation-step_20")) == 6


def test_what_gives_no_likelihoods_is_refused(tmp_path):
    class Constant:
        def identity(self):
            return "constant"

        def generate(self, requests, *, max_target_tokens):
            yield from enumerate([Generation("")] * len(requests))

    with pytest.raises(UserError, match="without with_scores"):
        _run(tmp_path, RADQA, ANSWERS, Constant())
    unscored = TaskSpec("own_v1", (lambda targets, predictions: {},), _gold)
    with pytest.raises(UserError, match="scored_by"):
        Evaluator(unscored, _examples(ANSWERS), split="test", with_scores=True)


def test_scores_of_mednli_are_named_by_its_words():
    assert MEDNLI_SCORING.names[:3] == tuple(f"log_likelihood:{word}" for word in MEDNLI_LABELS)
