"""Real tasks, token stores and a real (tiny) model through the evaluator, under T5X's names."""

import json

import jax
import numpy as np
import pytest
import seqio
from etils import epath

import gin
from clinical_t5x.console import UserError
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.inference_evaluator import InferenceEvaluator, evaluator_factory
from clinical_t5x.evaluation.majority import majority_of_task
from clinical_t5x.evaluation.predictor import Generation, ModelPredictor
from clinical_t5x.evaluation.results import Provenance, load_evaluation
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer
from tests.data import tiny

TASKS = {
    "mednli_v1": ("tasks.mednli", {"accuracy": 1.0}),
    "radqa_v1": ("tasks.radqa", {"exact_match": 1.0, "f1": 1.0}),
    "clip_v1": ("tasks.clip", {"micro_f1": 1.0, "exact_match": 1.0}),
}
NOBODY = Provenance("oracle", "oracle", checkpoint_step=7, commit="abc")


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tiny.make_home(epath.Path(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(autouse=True)
def in_home(home, monkeypatch):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(home))


class Oracle:
    """Decodes the target tokens that a perfect model would generate."""

    def __init__(self, evaluator):
        (inner,) = evaluator._evaluators
        self._targets = {
            record["id"]: tokens
            for record, tokens in zip(inner.examples.records, inner.examples.targets, strict=True)
        }

    def identity(self):
        return "oracle"

    def generate(self, requests, *, max_target_tokens):
        vocabulary = ClinicalVocabulary()
        for position, request in enumerate(requests):
            tokens = self._targets[request.id]
            assert len(tokens) <= max_target_tokens
            yield position, Generation(vocabulary.decode(tokens[:-1].tolist()))


@pytest.mark.parametrize("task", TASKS)
def test_the_right_tokens_score_one(task, tmp_path):
    module, expected = TASKS[task]
    evaluator = InferenceEvaluator(
        task, eval_split="train", module=module, log_dir=tmp_path / "inference_eval"
    )
    found = evaluator.evaluate(Oracle(evaluator), NOBODY)[task]
    for metric, value in expected.items():
        assert found.result(metric).value == value, metric
    assert found.counts["inputs_or_targets_cut"] == 0
    assert load_evaluation(tmp_path / "results" / f"{task}-train-step_7").results == found.results


def test_a_model_is_evaluated_once_on_every_example(tmp_path):
    evaluator = InferenceEvaluator(
        "mednli_v1", eval_split="test", module="tasks.mednli", log_dir=tmp_path / "inference_eval"
    )
    vocabulary = ClinicalVocabulary()
    config = T5Config(
        vocab_size=-(-vocabulary.vocab_size // 128) * 128,
        emb_dim=16,
        num_heads=2,
        num_encoder_layers=1,
        num_decoder_layers=1,
        head_dim=8,
        mlp_dim=32,
    )
    model = EncoderDecoderModel(Transformer(config), vocabulary, vocabulary, None)
    predictor = ModelPredictor(model, model.init_params(jax.random.key(0)), batch_size=4)
    found = evaluator.evaluate(predictor, NOBODY)["mednli_v1"]
    assert found.result("accuracy").n == len(tiny.MEDNLI)
    path = tmp_path / "predictions" / "mednli_v1-test-step_7.jsonl"
    ids = [json.loads(line)["id"] for line in path.read_text().splitlines()[1:]]
    assert len(ids) == len(set(ids)) == len(tiny.MEDNLI)
    written = path.read_text()
    assert not any(premise in written for premise, _, _ in tiny.MEDNLI)
    metrics = (tmp_path / "inference_eval" / "mednli_v1-metrics.jsonl").read_text()
    assert json.loads(metrics)["step"] == 7


def test_seqio_evaluator_as_gin_binds_it_becomes_ours():
    """The form of T5X's run files: a reference to the class, parameters bound beside it."""
    gin.parse_config(
        """
        from __gin__ import dynamic_registration
        import seqio
        import types
        types.SimpleNamespace.inference_evaluator_cls = @seqio.Evaluator
        seqio.Evaluator.num_examples = 3
        seqio.Evaluator.logger_cls = [@seqio.PyLoggingLogger, @seqio.JSONLogger]
        """
    )
    try:
        bound = gin.get_bindings("types.SimpleNamespace")["inference_evaluator_cls"]
        evaluator = evaluator_factory(bound)(
            "mednli_v1", eval_split="train", module="tasks.mednli", log_dir=None
        )
    finally:
        gin.clear_config()
    assert isinstance(evaluator, InferenceEvaluator)
    assert evaluator.eval_tasks == ("mednli_v1",)
    assert evaluator.evaluate(Oracle(evaluator), NOBODY)["mednli_v1"].result("accuracy").n == 3
    assert evaluator_factory(None) is InferenceEvaluator
    assert evaluator_factory(InferenceEvaluator) is InferenceEvaluator


def test_loggers_get_metrics_and_never_texts(tmp_path):
    received = []

    class Recorder(seqio.Logger):
        def __call__(self, task_name, step, metrics, dataset, inferences, targets):
            received.append((task_name, step, metrics["accuracy"].value))
            assert dataset is inferences is targets is None

    evaluator = InferenceEvaluator(
        "mednli_v1",
        eval_split="train",
        module="tasks.mednli",
        log_dir=tmp_path / "inference_eval",
        logger_cls=[Recorder, seqio.JSONLogger],
    )
    evaluator.evaluate(Oracle(evaluator), NOBODY)
    assert received == [("mednli_v1", 7, 1.0)]
    assert len((tmp_path / "inference_eval" / "mednli_v1-metrics.jsonl").read_text().split()) > 1
    assert not list((tmp_path / "inference_eval").glob("mednli_v1-0*"))


def test_majority_of_a_registered_task(tmp_path):
    found = majority_of_task("radqa_v1", output_dir=tmp_path, split="train", module="tasks.radqa")
    unanswerable = np.mean([not answers for _, answers in tiny.RADQA])
    assert found.result("exact_match").value == pytest.approx(unanswerable)
    assert found.result("exact_match").model == "empty answer"


def test_mistakes_are_named():
    with pytest.raises(UserError, match="no task with metrics and a split 'dev'"):
        InferenceEvaluator("mednli_v1", eval_split="dev", module="tasks.mednli")
    with pytest.raises(UserError, match="no parameter num_beams"):
        InferenceEvaluator("mednli_v1", num_beams=3)
