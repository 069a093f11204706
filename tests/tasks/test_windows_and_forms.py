"""RadQA in windows and the other forms of CLIP: exact texts, and how answers are merged."""

import numpy as np
import pytest
import seqio

import tasks.clip
import tasks.radqa
from clinical_t5x.console import UserError
from clinical_t5x.data.loader import open_examples
from clinical_t5x.evaluation.evaluator import Evaluator, TaskSpec
from clinical_t5x.evaluation.metrics import CLIP_LABELS
from clinical_t5x.evaluation.predictor import Generation
from clinical_t5x.evaluation.results import Provenance

WHO = "question: Who saw the nodule? context:"


@pytest.fixture(scope="module")
def small_windows():
    return tasks.radqa.register(window_tokens=46, stride=16)


def by_id(examples):
    return {
        record["id"]: (record["inputs_pretokenized"], record["targets_pretokenized"])
        for record in examples.records
    }


def test_a_context_that_fits_is_one_window_with_the_text_of_the_whole(in_tiny_home):
    whole, windows = (
        open_examples(name, split="test") for name in ("radqa_v1", "radqa_windows_v1")
    )
    assert by_id(windows) == {f"{name}/window_0": texts for name, texts in by_id(whole).items()}
    assert [record["group"] for record in windows.records] == [r["id"] for r in whole.records]
    assert [r["unit"] for r in windows.records] == [r["unit"] for r in whole.records]
    assert [r["answers"] for r in windows.records] == [r["answers"] for r in whole.records]


def test_radqa_windows_format(in_tiny_home, small_windows):
    found = by_id(open_examples(small_windows, split="validation"))
    assert {name: texts for name, texts in found.items() if name.startswith("dev_0")} == {
        "dev_0/window_0": (f"{WHO} FINDINGS: Compared to", ""),
        "dev_0/window_1": (f"{WHO} to 2141-3-4, the nodule seen by Dr. [Name] is", "Dr. [Name]"),
        "dev_0/window_2": (
            f"{WHO} the nodule seen by Dr. [Name] is stable.  No effusion.\n",
            "Dr. [Name]",
        ),
    }


def test_names_say_what_is_registered():
    assert tasks.radqa.register(window_tokens=512) == "radqa_windows_v1"
    assert tasks.radqa.register(window_tokens=384, stride=128) == "radqa_windows_384_128_v1"
    assert tasks.radqa.register() == "radqa_v1"
    name = tasks.clip.register(form="yes_no", fraction=0.5)
    assert name.startswith("clip_yes_no_v1_train_50pct")
    assert {"clip_v1", "clip_fields_v1", "clip_yes_no_v1"} <= set(seqio.TaskRegistry.names())


SENTENCE = "Follow up with Dr. [Name] in 2 weeks and repeat your chest CT ."
COURTESY = "You were a pleasure to care for ."


def test_clip_fields_format(in_tiny_home):
    assert by_id(open_examples("clip_fields_v1", split="train")) == {
        "101/0": (
            f"clip sentence: DISCHARGE INSTRUCTIONS : before: after: {SENTENCE} {COURTESY}",
            "Appointment-related followup",
        ),
        "101/1": (
            f"clip sentence: {SENTENCE} before: DISCHARGE INSTRUCTIONS : after: {COURTESY}",
            "Appointment-related followup, Imaging-related followup",
        ),
        "101/2": (
            f"clip sentence: {COURTESY} before: DISCHARGE INSTRUCTIONS : {SENTENCE} after:",
            "none",
        ),
    }


def test_clip_yes_no_format(in_tiny_home):
    examples = open_examples("clip_yes_no_v1", split="train")
    found = by_id(examples)
    note = f"Before: DISCHARGE INSTRUCTIONS : Sentence: {SENTENCE} After: {COURTESY}"
    imaging = "Question: Does the sentence ask for imaging after discharge? Answer yes or no."
    assert len(found) == 3 * len(CLIP_LABELS)
    assert found["101/1/2"] == (f"{note} {imaging}", "yes")
    assert [found[f"101/1/{k}"][1] for k in range(7)] == ["yes", "no", "yes", *["no"] * 4]
    assert [record["label"] for record in examples.records[:7]] == list(CLIP_LABELS)
    assert {record["group"] for record in examples.records[:7]} == {"101/0"}
    assert tuple(tasks.clip.QUESTIONS) == CLIP_LABELS


class Answers:
    """Answers by example id; where windows compete, says how unlikely each finds no answer."""

    def __init__(self, texts, no_answer=None, scores=None):
        self.texts, self.no_answer, self.scores = texts, no_answer or {}, scores or {}

    def identity(self):
        return "answers"

    def generate(self, requests, *, max_target_tokens):
        for position, request in enumerate(requests):
            score = self.scores.get(request.id)
            yield position, Generation(self.texts.get(request.id, ""), score)

    def score(self, requests, targets):
        assert all(target.tolist() == [1] for target in targets), "the empty target"
        if not self.no_answer:
            raise NotImplementedError
        return np.array([self.no_answer[request.id] for request in requests])


def evaluated(task_name, split, answers, output_dir=None):
    task = TaskSpec.of(seqio.get_mixture_or_task(task_name))
    examples = open_examples(task_name, split=split)
    evaluator = Evaluator(task, examples, split=split, output_dir=output_dir, resamples=50)
    return evaluator.run(answers, Provenance("m", "scratch", checkpoint_step=1))


def test_windows_that_all_answer_nothing_answer_nothing(in_tiny_home, small_windows):
    evaluation = evaluated(small_windows, "test", Answers({}))
    exact = evaluation.result("exact_match")
    assert (exact.value, exact.n, exact.n_units) == (pytest.approx(1 / 3), 3, 1)
    assert evaluation.counts["examples"] > 3
    assert evaluation.result("no_answer_exact_match").value == 1.0


def test_the_one_window_that_answers_answers_the_question(in_tiny_home, small_windows):
    evaluation = evaluated(small_windows, "test", Answers({"test_0/window_1": "[Name]"}))
    assert evaluation.result("exact_match").value == pytest.approx(2 / 3), "a gold of the second"
    assert evaluation.counts["examples_that_compete"] == 0


@pytest.mark.parametrize(("sure", "expected"), [(1, 2 / 3), (2, 1 / 3)])
def test_of_windows_that_answer_the_surest_counts(
    in_tiny_home, tmp_path, small_windows, sure, expected
):
    texts = {"test_0/window_1": "Dr. [Name]", "test_0/window_2": "no effusion"}
    no_answer = {name: -9.0 if name.endswith(str(sure)) else -1.0 for name in texts}
    first = evaluated(small_windows, "test", Answers(texts, no_answer), tmp_path)
    assert first.result("exact_match").value == pytest.approx(expected)
    assert first.counts["examples_that_compete"] == 2
    # From the predictions on disk, which hold no text, the same comes out.
    for file in (tmp_path / "results").rglob("_COMPLETE.json"):
        file.unlink()
    again = evaluated(small_windows, "test", Answers(texts, no_answer), tmp_path)
    assert again.result("f1").value == first.result("f1").value


def test_without_likelihoods_the_answers_scores_decide_and_then_the_order(
    in_tiny_home, small_windows
):
    texts = {"test_0/window_1": "no effusion", "test_0/window_2": "Dr. [Name]"}
    by_score = Answers(texts, scores={"test_0/window_1": -5.0, "test_0/window_2": -2.0})
    assert evaluated(small_windows, "test", by_score).result("f1").value == pytest.approx(2 / 3)
    assert evaluated(small_windows, "test", Answers(texts)).result("f1").value < 0.5


def test_questions_of_a_sentence_are_merged_into_its_labels(in_tiny_home):
    yes = {"101/1/0": "Yes.", "101/1/2": "no", "101/1/5": " yes, it does", "101/2/0": "perhaps"}
    answers = Answers({f"101/{i}/{k}": "no" for i in range(3) for k in range(7)} | yes)
    found = evaluated("clip_yes_no_v1", "train", answers)
    merged = tasks.clip.clip_metrics(
        [["Appointment-related followup"],
         ["Appointment-related followup", "Imaging-related followup"], []],
        ["", "Appointment-related followup, Other helpful contextual information", "(unclear)"],
    )  # fmt: skip
    assert {name: found.result(name).value for name in merged} == pytest.approx(merged)
    assert found.result("micro_f1").n == 3


def test_seqio_evaluator_computes_the_same(in_tiny_home, small_windows):
    task = seqio.get_mixture_or_task(small_windows)
    records = open_examples(small_windows, split="test").records
    targets = [task.postprocess_fn("", example=r, is_target=True) for r in records]
    texts = {"test_0/window_1": "no effusion", "test_0/window_2": "Dr. [Name]"}
    predictions = [texts.get(record["id"], "") for record in records]
    scores = [-2.0 if record["id"] == "test_0/window_2" else -5.0 for record in records]
    (metric_fn,) = task.predict_with_aux_metric_fns
    ours = evaluated(
        small_windows,
        "test",
        Answers(texts, scores={r["id"]: s for r, s in zip(records, scores, strict=True)}),
    )
    theirs = metric_fn(targets, predictions, {"scores": scores})
    assert theirs == pytest.approx({r.metric: r.value for r in ours.results if r.metric in theirs})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 12}, "stride is given without window_tokens"),
        ({"window_tokens": 8}, "window_tokens is 8; it must be at least 16"),
        ({"window_tokens": 64, "stride": 64}, "stride is 64; it must be at least 1 and below"),
    ],
)
def test_windows_that_cannot_be(arguments, message):
    with pytest.raises(UserError, match=message):
        tasks.radqa.register("never", **arguments)
    with pytest.raises(UserError, match="form is 'flan'; it must be one of 'paper', 'fields'"):
        tasks.clip.register(form="flan")
