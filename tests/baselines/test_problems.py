"""Texts in, answers out: formats as the tasks have them, thresholds on probabilities."""

import numpy as np
import pytest

from clinical_t5x.baselines.finetuning.problems import NO_ANSWER, Entailment, FollowUps, Scores
from clinical_t5x.baselines.finetuning.settings import Settings
from clinical_t5x.evaluation.metrics import CLIP_LABELS
from tests.baselines import examples


@pytest.fixture(scope="module")
def pretrained(tiny_models):
    from clinical_t5x.baselines.finetuning.loading import find_pretrained

    return lambda name: find_pretrained(tiny_models(name))


def _decoded(encoder, row):
    return " ".join(encoder.tokenizer.decode(row.ids, skip_special_tokens=True).split())


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_one_text_is_the_task_s_own(pretrained, place, family):
    """MedNLI as one text reads as the registered task's input does."""
    benchmark = place.benchmarks["mednli"]
    encoder = pretrained(family).encoder(128)
    split = benchmark.scored["test"]
    rows, cut = Entailment(encoder, Settings(pair=False)).rows(split.records)
    assert cut == 0
    for row, record in zip(rows, split.examples.records, strict=True):
        ids = encoder.tokenizer(record["inputs_pretokenized"])["input_ids"]
        assert row.ids == ids


def test_a_pair_has_two_segments(pretrained):
    split = examples.split_of("mednli")
    rows, _ = Entailment(pretrained("bert").encoder(64), Settings(pair=True)).rows(split.records)
    assert set(rows[0].types) == {0, 1}
    single, _ = Entailment(pretrained("gpt2").encoder(64), Settings(pair=True)).rows(split.records)
    assert "premise:" in _decoded(pretrained("gpt2").encoder(64), single[0])


@pytest.mark.parametrize("family", ["roberta", "gpt2", "llama"])  # they spell every text
def test_a_clip_window_never_cuts_its_sentence(pretrained, family):
    """The paper's code cut the queried sentence, which stands last (B16)."""
    encoder = pretrained(family).encoder(40)
    records = [
        {**record, "context_before": "You were seen for chest pain . " * 30,
         "context_after": "Take it daily . " * 30}
        for record in examples.split_of("clip").records
    ]  # fmt: skip
    rows, cut = FollowUps(encoder, Settings()).rows(records)
    assert cut == 0
    for row, record in zip(rows, records, strict=True):
        assert 30 <= len(row.ids) <= 40
        text = encoder.tokenizer.decode(row.ids, skip_special_tokens=True)
        assert text.replace(" ", "").endswith(f";{record['sentence']}".replace(" ", ""))


def test_clip_thresholds_are_of_probabilities(pretrained):
    """The paper's code compared raw logits with 0.5 (B4)."""
    problem = FollowUps(pretrained("bert").encoder(40), Settings())
    records = examples.split_of("clip").records
    logits = [np.where(row.label, 0.4, -0.4) for row in problem.rows(records)[0]]
    scores = problem.scores(records, [], [(row,) for row in logits])
    assert scores.values.max() == pytest.approx(1 / (1 + np.exp(-0.4)))
    texts = problem.texts(scores, problem.tune(records, scores))
    assert texts == [", ".join(sorted(record["labels"])) for record in records]


def test_no_answer_threshold_is_the_best_on_the_sample(pretrained):
    from clinical_t5x.baselines.finetuning.problems import AnswerSpans

    problem = AnswerSpans(pretrained("bert").encoder(64), Settings())
    records = examples.split_of("radqa").records
    answers = tuple(answer or "The nodule" for _, answer in examples.QUESTIONS)
    none = np.array([5.0 if answer is None else 2.0 for _, answer in examples.QUESTIONS])
    scores = Scores(none[:, None], answers)
    thresholds = problem.tune(records, scores)
    assert 2.0 <= thresholds[NO_ANSWER] < 5.0
    golds = [answer or "" for _, answer in examples.QUESTIONS]
    assert problem.texts(scores, thresholds) == golds


def test_the_task_is_the_registered_one(place):
    """Names, metrics and gold of `Benchmark.task` are those of the tasks' own registration."""
    from clinical_t5x.evaluation.metrics import clip_metrics, mednli_metrics, radqa_metrics

    wanted = {"mednli": mednli_metrics, "radqa": radqa_metrics, "clip": clip_metrics}
    for name, benchmark in place.benchmarks.items():
        task, split = benchmark.task, benchmark.scored["test"]
        assert task.metric_fns == (wanted[name],)
        assert split.examples.task_version.startswith(f"{name}_v1@")
        assert [r["id"] for r in split.records] == [r["id"] for r in split.examples.records]
        gold = [
            task.postprocess(record["targets_pretokenized"], example=record, is_target=True)
            for record in split.examples.records
        ]
        assert wanted[name](gold, gold if name != "radqa" else [g[0] if g else "" for g in gold])
    assert "[Name]" in str(place.benchmarks["radqa"].train.records)
    assert CLIP_LABELS[0] in place.benchmarks["clip"].train.records[0]["labels"]


def test_decoders_are_told_from_encoders(pretrained):
    decoders = {"gpt2", "llama", "qwen3"}
    for name in (*decoders, "bert", "roberta", "gatortron", "longformer", "modernbert", "t5gemma"):
        assert pretrained(name).is_decoder == (name in decoders), name
