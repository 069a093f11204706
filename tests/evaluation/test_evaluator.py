"""From a predictor to the results store: resumed, each example once, and no text unless asked."""

import dataclasses
import json

import numpy as np
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.evaluator import Evaluator, TaskSpec
from clinical_t5x.evaluation.majority import evaluate_majority, most_frequent_label
from clinical_t5x.evaluation.metrics import clip_metrics, mednli_metrics, radqa_metrics
from clinical_t5x.evaluation.predictions import read_predictions
from clinical_t5x.evaluation.predictor import Generation
from clinical_t5x.evaluation.results import (
    Provenance,
    aligned_sums,
    check_comparable,
    find_evaluations,
    load_evaluation,
)

SECRET = "zebra fracture of the left quokka"
SCRATCH = Provenance("t5-tiny", "scratch", seed=1, checkpoint_step=20, commit="abc")


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


def _examples(golds, *, units=None, key="label", **kwargs):
    records = [
        {
            "id": f"q{k}",
            "unit": (units or [f"u{k // 2}" for k in range(len(golds))])[k],
            "inputs_pretokenized": f"input {k} {SECRET}",
            "targets_pretokenized": gold if isinstance(gold, str) else (gold or [""])[0],
            key: gold,
        }
        for k, gold in enumerate(golds)
    ]
    tokens = [np.arange(3, 4 + k % 5, dtype=np.int32) for k in range(len(golds))]
    return ListedExamples(records, tokens, tokens, {"inputs": 8, "targets": 8}, **kwargs)


def _of_label(text, *, example=None, is_target=False):
    return example["label"] if is_target else text


def _of_answers(text, *, example=None, is_target=False):
    return example["answers"] if is_target else text


MEDNLI_TASK = TaskSpec("mednli_v1", (mednli_metrics,), _of_label, "premise group")
RADQA_TASK = TaskSpec("radqa_v1", (radqa_metrics,), _of_answers, "context")


class Killed(BaseException):
    """Stands for what ends a process; nothing may catch it."""


class ListedPredictor:
    """Answers from a list, shortest input first, and counts what it was asked; may stop early."""

    def __init__(self, answers, *, stop_after=None, before_stop=lambda: None):
        self.answers, self.stop_after, self.asked = answers, stop_after, []
        self.before_stop = before_stop

    def identity(self):
        return "listed"

    def generate(self, requests, *, max_target_tokens):
        self.limit = max_target_tokens
        order = sorted(range(len(requests)), key=lambda k: len(requests[k].tokens))
        for done, position in enumerate(order):
            if self.stop_after is not None and done == self.stop_after:
                self.before_stop()
                raise Killed
            self.asked.append(requests[position].id)
            text = self.answers[int(requests[position].id[1:])]
            yield position, Generation(text, -0.5, len(text.split()), at_limit=not text)

    def score(self, requests, targets):
        return np.zeros(len(requests))


GOLDS = ["entailment", "neutral", "contradiction", "neutral", "neutral", "entailment"]
ANSWERS = ["entailment", "entailment", "contradiction", "neutral", SECRET, "entailment"]


def _run(tmp_path, predictor, provenance=SCRATCH, examples=None, **kwargs):
    examples = examples or _examples(GOLDS)
    evaluator = Evaluator(
        MEDNLI_TASK, examples, split="test", output_dir=tmp_path, resamples=200, **kwargs
    )
    return evaluator.run(predictor, provenance)


def test_metrics_intervals_and_schema(tmp_path):
    evaluation = _run(tmp_path, ListedPredictor(ANSWERS))
    accuracy = evaluation.result("accuracy")
    assert accuracy.value == pytest.approx(4 / 6)
    assert accuracy.low <= accuracy.value <= accuracy.high
    assert (accuracy.n, accuracy.n_units, accuracy.unit) == (6, 3, "premise group")
    assert (accuracy.model, accuracy.initialisation, accuracy.seed) == ("t5-tiny", "scratch", 1)
    assert (accuracy.method, accuracy.level, accuracy.resamples) == ("bca", 0.95, 200)
    assert accuracy.higher_is_better
    assert not evaluation.result("unrecognised").higher_is_better
    assert evaluation.counts["max_target_tokens"] == 8
    assert evaluation.headline() == {"accuracy": accuracy.value}
    loaded = load_evaluation(tmp_path / "results" / "mednli_v1-test-step_20")
    assert loaded.results == evaluation.results
    assert np.array_equal(loaded.sums["mednli"], evaluation.sums["mednli"])
    line = json.loads((tmp_path / "inference_eval" / "mednli_v1-metrics.jsonl").read_text())
    assert (line["step"], line["accuracy"]) == (20, accuracy.value)


def test_killed_and_resumed_repeats_no_finished_example(tmp_path):
    path = tmp_path / "predictions" / "mednli_v1-test-step_20.jsonl"
    at_kill = []
    killed = ListedPredictor(
        ANSWERS, stop_after=4, before_stop=lambda: at_kill.append(path.read_text())
    )
    with pytest.raises(Killed):
        _run(tmp_path, killed)
    assert find_evaluations([tmp_path]) == []
    path.write_text(at_kill[0][:-7])  # what a kill -9 leaves, the last line cut short
    second = ListedPredictor(ANSWERS)
    resumed = _run(tmp_path, second)
    assert len(second.asked) == 3
    whole = _run(tmp_path / "other", ListedPredictor(ANSWERS))
    assert [r.value for r in resumed.results] == [r.value for r in whole.results]
    assert len(read_predictions(path, task_version="task_v1@aaaa")) == 6
    again = ListedPredictor(ANSWERS)
    _run(tmp_path, again)
    assert again.asked == []


def _written(directory):
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_finished_results_are_read_not_made_again(tmp_path):
    first = _run(tmp_path, ListedPredictor(ANSWERS))
    written = _written(tmp_path)
    again = ListedPredictor(ANSWERS)
    assert _run(tmp_path, again).results == first.results
    assert (again.asked, _written(tmp_path)) == ([], written)


def test_results_of_other_metric_code_are_made_again(tmp_path, monkeypatch):
    _run(tmp_path, ListedPredictor(ANSWERS))
    results = tmp_path / "results" / "mednli_v1-test-step_20"
    before = (results / "_COMPLETE.json").read_text()
    monkeypatch.setattr("clinical_t5x.evaluation.results.evaluation_code", lambda: "changed")
    again = ListedPredictor(ANSWERS)
    _run(tmp_path, again)
    assert again.asked == []  # the predictions are as good as before
    assert (results / "_COMPLETE.json").read_text() != before


@pytest.mark.parametrize("end", [50, 0])
def test_damaged_results_are_made_again(tmp_path, end):
    first = _run(tmp_path, ListedPredictor(ANSWERS))
    units = tmp_path / "results" / "mednli_v1-test-step_20" / "units.npz"
    units.write_bytes(units.read_bytes()[:end])
    assert _run(tmp_path, ListedPredictor(ANSWERS)).result("accuracy").value == pytest.approx(
        first.result("accuracy").value
    )
    assert load_evaluation(units.parent).results[0].n == 6


def test_predictions_of_other_parameters_are_not_reused(tmp_path):
    _run(tmp_path, ListedPredictor(ANSWERS))
    other = ListedPredictor(ANSWERS)
    _run(tmp_path, other, dataclasses.replace(SCRATCH, config_hash="changed"))
    assert len(other.asked) == 6


@pytest.mark.parametrize("change", ["gold", "input"])
def test_the_same_ids_with_other_contents_are_evaluated_anew(tmp_path, change):
    """As after a corrected release, or with other feature lengths."""
    first = _run(tmp_path, ListedPredictor(ANSWERS))
    examples = _examples([GOLDS[0], ANSWERS[1], *GOLDS[2:]] if change == "gold" else GOLDS)
    if change == "input":
        examples.inputs[0] = examples.inputs[0][:-1]
    again = ListedPredictor(ANSWERS)
    found = _run(tmp_path, again, examples=examples)
    assert len(again.asked) == len(GOLDS)
    unchanged = found.result("accuracy").value == first.result("accuracy").value
    assert unchanged == (change == "input")


def test_predictions_of_another_task_version_are_refused(tmp_path):
    _run(tmp_path, ListedPredictor(ANSWERS))
    examples = _examples(GOLDS, task_version="task_v1@bbbb")
    with pytest.raises(UserError, match="task_v1@aaaa"):
        _run(tmp_path, ListedPredictor(ANSWERS), examples=examples)
    path = tmp_path / "predictions" / "mednli_v1-test-step_20.jsonl"
    with pytest.raises(UserError, match="evaluate again"):
        read_predictions(path, task_version="task_v1@bbbb")


def _written(directory):
    return "".join(
        path.read_bytes().decode("latin-1") for path in directory.rglob("*") if path.is_file()
    )


def test_no_text_is_written_unless_asked_for(tmp_path):
    _run(tmp_path / "mednli", ListedPredictor(ANSWERS))
    answers = _examples([[SECRET], []], key="answers")
    Evaluator(RADQA_TASK, answers, split="test", output_dir=tmp_path / "radqa").run(
        ListedPredictor([SECRET, "quokka"]), SCRATCH
    )
    written = _written(tmp_path)
    assert "quokka" not in written
    assert "u0" not in written.replace("cpu0", "")
    lines = read_predictions(tmp_path / "mednli" / "predictions" / "mednli_v1-test-step_20.jsonl")
    assert lines["q0"]["prediction"] == "entailment"
    assert "prediction" not in lines["q4"]


def test_with_text_the_texts_are_there(tmp_path):
    _run(tmp_path, ListedPredictor(ANSWERS), with_text=True)
    lines = read_predictions(tmp_path / "predictions" / "mednli_v1-test-step_20.jsonl")
    assert lines["q4"]["text"] == SECRET
    assert lines["q4"]["target"] == "neutral"
    assert lines["q4"]["input"].endswith(SECRET)


def test_duplicate_ids_and_empty_splits_are_refused():
    examples = _examples(GOLDS)
    examples.records[1]["id"] = "q0"
    with pytest.raises(UserError, match="repeat an id"):
        Evaluator(MEDNLI_TASK, examples, split="test")
    with pytest.raises(UserError, match="no examples"):
        Evaluator(MEDNLI_TASK, _examples([]), split="test")


def test_a_predictor_that_leaves_examples_out_is_an_error(tmp_path):
    class Lazy(ListedPredictor):
        def generate(self, requests, *, max_target_tokens):
            return list(super().generate(requests, max_target_tokens=max_target_tokens))[:-1]

    with pytest.raises(RuntimeError, match="left 1 examples"):
        _run(tmp_path, Lazy(ANSWERS))


def test_metrics_of_a_foreign_task_have_values_without_intervals(tmp_path):
    def letters(targets, predictions):
        return {"letters": float(sum(map(len, predictions)))}

    task = TaskSpec("hospital_v1", (letters,), _of_label)
    evaluator = Evaluator(task, _examples(GOLDS), split="test", output_dir=tmp_path)
    first = evaluator.run(ListedPredictor(ANSWERS), SCRATCH).result("letters")
    assert first.value == sum(map(len, ANSWERS))
    assert (first.low, first.method) == (None, "none")
    again = ListedPredictor(ANSWERS)  # without text on disk, text metrics need new predictions
    assert evaluator.run(again, SCRATCH).result("letters").value == first.value
    assert len(again.asked) == 6


def test_runs_pair_by_unit_and_refuse_other_units_and_versions(tmp_path):
    first = _run(tmp_path / "a", ListedPredictor(ANSWERS))
    second = _run(tmp_path / "b", ListedPredictor(["neutral"] * 6))
    sums_first, sums_second = aligned_sums(first, second, "mednli")
    assert sums_first.sum() == sums_second.sum() == 6
    reversed_units = dataclasses.replace(
        second, units=second.units[::-1], sums={"mednli": second.sums["mednli"][::-1]}
    )
    assert np.array_equal(aligned_sums(first, reversed_units, "mednli")[1], sums_second)
    other = _run(tmp_path / "c", ListedPredictor(ANSWERS), examples=_examples(GOLDS[:4]))
    with pytest.raises(UserError, match="not measured on the same"):
        check_comparable([first, other])
    newer = _run(
        tmp_path / "d", ListedPredictor(ANSWERS), examples=_examples(GOLDS, task_version="v2")
    )
    with pytest.raises(UserError, match="not comparable"):
        check_comparable([first, newer])


def test_damaged_and_unfinished_results_are_named(tmp_path):
    _run(tmp_path, ListedPredictor(ANSWERS))
    (evaluation,) = find_evaluations([tmp_path])
    (tmp_path / "results" / "mednli_v1-test-step_20" / "units.npz").write_bytes(b"PK nonsense")
    with pytest.raises(UserError, match="damaged"):
        load_evaluation(evaluation.directory)
    (tmp_path / "results" / "mednli_v1-test-step_20" / "_COMPLETE.json").unlink()
    with pytest.raises(UserError, match="not a complete evaluation"):
        load_evaluation(evaluation.directory)
    assert find_evaluations([tmp_path]) == []
    with pytest.raises(UserError, match="does not exist"):
        find_evaluations([tmp_path / "nowhere"])


def test_majority_baselines_answer_from_the_training_split(tmp_path):
    train = _examples(["neutral", "neutral", "entailment"])
    evaluation = evaluate_majority(
        MEDNLI_TASK, train, _examples(GOLDS), split="test", output_dir=tmp_path / "m"
    )
    assert evaluation.result("accuracy").value == 0.5
    assert evaluation.result("accuracy").initialisation == "majority"
    answers = _examples([["mass"], []], key="answers")
    empty = evaluate_majority(RADQA_TASK, answers, answers, split="test", output_dir=tmp_path / "r")
    assert empty.result("exact_match").value == 0.5
    labels = _examples([["Lab-related followup"], []], key="labels")
    task = TaskSpec(
        "clip_v1",
        (clip_metrics,),
        lambda text, example=None, is_target=False: example["labels"] if is_target else text,
    )
    none = evaluate_majority(task, labels, labels, split="test", output_dir=tmp_path / "c")
    assert none.result("micro_f1").value == 0.0
    assert most_frequent_label(["b", "a"]) == "a"
