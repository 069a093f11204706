"""Inputs and targets of every task, character for character."""

import pytest
import seqio

import tasks.clip
import tasks.mednli
import tasks.radqa
from clinical_t5x.data.loader import open_examples


def texts(task_name, split="validation", **options):
    examples = open_examples(task_name, split=split, **options)
    return {
        record["id"]: (record["inputs_pretokenized"], record["targets_pretokenized"])
        for record in examples.records
    }


def test_mednli_format(in_tiny_home):
    found = texts("mednli_v1")
    assert found["dev-0-0"] == (
        "mednli premise: Seen at [Company] for chest pain. hypothesis: He had chest pain.",
        "entailment",
    )
    assert found["dev-0-2"][0].endswith("hypothesis: He smokes.")
    assert found["dev-0-4"] == (
        "mednli premise: Cr 2.1\n(baseline 0.9) hypothesis: The patient has normal kidneys.",
        "contradiction",
    )


def test_radqa_format(in_tiny_home):
    found = texts("radqa_v1")
    context = (
        "FINDINGS: Compared to 2141-3-4, the nodule seen by Dr. [Name] is stable.  No effusion.\n"
    )
    assert found == {
        "dev_0": (f"question: Who saw the nodule? context: {context}", "Dr. [Name]"),
        "dev_1": (f"question: Is there an effusion? context: {context}", "No effusion"),
        "dev_2": (f"question: Is there a fracture? context: {context}", ""),
    }


def test_radqa_gold_answers_are_retagged_and_empty_without_answer(in_tiny_home):
    records = open_examples("radqa_v1", split="test").records
    gold = {record["id"]: record["answers"] for record in records}
    assert gold == {
        "test_0": ["Dr. [Name]", "[Name]"],
        "test_1": ["No effusion"],
        "test_2": [],
    }
    assert {record["unit"] for record in records} == {records[0]["unit"]}


def test_clip_format(in_tiny_home):
    found = texts("clip_v1", split="train")
    sentence = "Follow up with Dr. [Name] in 2 weeks and repeat your chest CT ."
    note = f"DISCHARGE INSTRUCTIONS : {sentence} You were a pleasure to care for ."
    assert found == {
        "101/0": (
            f"{note} ; DISCHARGE INSTRUCTIONS :",
            "Appointment-related followup",
        ),
        "101/1": (
            f"{note} ; {sentence}",
            "Appointment-related followup, Imaging-related followup",
        ),
        "101/2": (f"{note} ; You were a pleasure to care for .", ""),
    }


def test_keep_mode_leaves_tags_alone(in_tiny_home):
    names = [
        module.register(f"{module.__name__.split('.')[1]}_kept", deid="keep")
        for module in (tasks.mednli, tasks.radqa, tasks.clip)
    ]
    assert "[**Hospital1 18**]" in texts(names[0])["dev-0-0"][0]
    assert texts(names[1])["dev_0"][1] == "Dr. [**Last Name (STitle) 12**]"
    assert "[ **Last Name ( STitle ) 7** ]" in texts(names[2], split="train")["101/1"][0]


def test_tokens_are_the_text_and_an_end(in_tiny_home):
    examples = open_examples("mednli_v1", split="test")
    vocabulary = seqio.get_mixture_or_task("mednli_v1").output_features["inputs"].vocabulary
    for record, inputs, targets in zip(
        examples.records, examples.inputs, examples.targets, strict=True
    ):
        assert inputs.tolist() == [*vocabulary.encode(record["inputs_pretokenized"]), 1]
        assert targets.tolist() == [*vocabulary.encode(record["targets_pretokenized"]), 1]


@pytest.mark.parametrize(
    ("name", "target", "prediction", "metric"),
    [
        ("mednli_v1", "entailment", " entailment", "accuracy"),
        ("radqa_v1", "Dr. [Name]", "[Name]", "f1"),
        ("clip_v1", "Lab-related followup", "Lab-related followup ", "micro_f1"),
    ],
)
def test_postprocessor_and_metric_agree(name, target, prediction, metric):
    task = seqio.get_mixture_or_task(name)
    example = {"answers": [b"Dr. [Name]", b"[Name]"]}
    gold = task.postprocess_fn(target, example=example, is_target=True)
    guess = task.postprocess_fn(prediction, example=example, is_target=False)
    assert task.metric_fns[0]([gold], [guess])[metric] in (1.0, 100.0)


RECORDS = {
    "mednli_v1": {
        "id": "x", "unit": "u", "premise": "No fever.", "hypothesis": "Fever", "label": "neutral",
    },
    "radqa_v1": {
        "id": "x", "unit": "u", "title": "1", "question": "Where?", "context": "A nodule here.",
        "answers": ["here"], "answer_starts": [9], "is_impossible": False,
    },
    "clip_v1": {
        "id": "1/0", "unit": "1", "sent_index": 0, "sentence": "Check INR .",
        "context_before": "", "context_after": "Call us .", "labels": ["Lab-related followup"],
    },
}  # fmt: skip
INPUTS = {
    "mednli_v1": b"mednli premise: No fever. hypothesis: Fever.",
    "radqa_v1": b"question: Where? context: A nodule here.",
    "clip_v1": b"Check INR . Call us . ; Check INR .",
}


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_injected_record_through_seqio_evaluator(name, in_tiny_home):
    raw = {"validation": RECORDS[name]}
    example = seqio.test_utils.test_preprocessing_single(name, raw)
    assert example["inputs_pretokenized"] == INPUTS[name]
    target = example["targets_pretokenized"].decode()
    metrics = seqio.test_utils.test_postprocessing(name, raw, predict_output=[target])
    perfect = {"mednli_v1": "accuracy", "radqa_v1": "exact_match", "clip_v1": "micro_f1"}[name]
    assert metrics[perfect] in (1.0, 100.0)


def test_importing_tasks_needs_no_data(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tmp_path / "nothing"))
    assert tasks.mednli.register("mednli_without_data") == "mednli_without_data"
