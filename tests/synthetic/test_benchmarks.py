"""The benchmarks: formats, and how they hang together with the notes."""

import ast
import csv
import itertools
import json
from collections import Counter, defaultdict

import pytest

from clinical_t5x.synthetic.clip import LABELS, tokenise

_SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def text_of(noteevents):
    return {row["ROW_ID"]: row for row in noteevents}


def _plain(text: str) -> str:
    return " ".join(text.split())


def _mednli(physionet, split):
    lines = (physionet / f"files/mednli/1.0.0/mli_{split}_v1.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_mednli_is_balanced_and_has_the_seven_fields_and_an_id(physionet):
    fields = {"pairID", "gold_label"} | {
        f"sentence{n}{kind}" for n in (1, 2) for kind in ("", "_parse", "_binary_parse")
    }
    for split in _SPLITS:
        records = _mednli(physionet, split)
        assert all(set(record) == fields for record in records)
        assert len({record["pairID"] for record in records}) == len(records)
        by_premise = defaultdict(list)
        for record in records:
            by_premise[record["pairID"].rpartition("-")[0]].append(record)
        for group in by_premise.values():
            assert len({record["sentence1"] for record in group}) == 1
            assert sorted(record["gold_label"] for record in group) == [
                "contradiction",
                "entailment",
                "neutral",
            ]
            assert len({record["sentence2"] for record in group}) == 3


def test_mednli_premises_are_sentences_of_past_history(physionet, read_csv, text_of):
    rows = {e["pair_id"]: e["row_id"] for e in read_csv("synthetic_truth/premises.csv.gz")}
    subjects = defaultdict(set)
    for split in _SPLITS:
        for record in _mednli(physionet, split):
            note = text_of[rows[record["pairID"].rpartition("-")[0]]]
            assert note["CATEGORY"] == "Discharge summary"
            assert record["sentence1"] in _plain(note["TEXT"])
            subjects[split].add(note["SUBJECT_ID"])
            brackets = record["sentence1_parse"]
            assert brackets.count("(") == brackets.count(")")
    assert not subjects["train"] & (subjects["dev"] | subjects["test"])


def test_radqa_answers_stand_where_they_say_in_the_report_of_their_row(physionet, text_of):
    subjects, answered, several = defaultdict(set), Counter(), 0
    for split in _SPLITS:
        content = json.loads((physionet / f"files/radqa/1.0.0/{split}.json").read_text())
        assert content["version"].startswith("synthetic")
        for document in content["data"]:
            note = text_of[document["title"]]
            assert note["CATEGORY"] == "Radiology"
            subjects[split].add(note["SUBJECT_ID"])
            assert len(document["paragraphs"]) == 2
            asked = [[q["question"] for q in p["qas"]] for p in document["paragraphs"]]
            assert asked[0] == asked[1]
            for paragraph in document["paragraphs"]:
                assert paragraph["context"] in note["TEXT"]
                for question in paragraph["qas"]:
                    assert question["is_impossible"] == (not question["answers"])
                    answered[not question["is_impossible"]] += 1
                    several += len(question["answers"]) > 1
                    for answer in question["answers"]:
                        start, text = answer["answer_start"], answer["text"]
                        assert paragraph["context"][start : start + len(text)] == text != ""
    assert not subjects["train"] & (subjects["dev"] | subjects["test"])
    assert 0.5 < answered[True] / answered.total() < 0.9
    assert several > 0


def test_clip_documents_are_the_discharge_summaries_of_their_rows(physionet, text_of):
    directory = physionet / "files/mimic-iii-clinical-action/1.0.0"
    with (directory / "sentence_level.csv").open(newline="") as file:
        sentences = list(csv.DictReader(file))
    assert list(sentences[0]) == ["doc_id", "sent_index", "sentence", "labels"]
    documents = defaultdict(list)
    for row in sentences:
        assert int(row["sent_index"]) == len(documents[row["doc_id"]])
        documents[row["doc_id"]].append(ast.literal_eval(row["sentence"]))
        labels = ast.literal_eval(row["labels"])
        assert {label.removeprefix("I-") for label in labels} <= set(LABELS.values())
        assert all(label.startswith("I-") for label in labels)
    ids = {
        name: (directory / f"{name}_ids.csv").read_text().split()
        for name in ("train", "val", "test")
    }
    assert sorted(itertools.chain(*ids.values())) == sorted(documents)
    for row_id, tokens in documents.items():
        note = text_of[row_id]
        assert note["CATEGORY"] == "Discharge summary"
        assert list(itertools.chain(*tokens)) == tokenise(note["TEXT"])
    assert 0.75 < sum(row["labels"] == "[]" for row in sentences) / len(sentences) < 0.95


def test_clip_tags_fall_apart_as_in_the_real_files():
    assert tokenise("see [**Month/Year (2) 1106**].") == [
        "see", "[", "**Month/Year", "(", "2", ")", "1106**", "]", ".",
    ]  # fmt: skip
    assert tokenise("[**2117-9-3**]") == ["[", "**2117-9-3**", "]"]
    assert tokenise("[** **]") == ["[", "**", "**", "]"]


def test_no_note_is_in_two_benchmarks_and_clip_headings_inherit(physionet):
    directory = physionet / "files/mimic-iii-clinical-action/1.0.0"
    with (directory / "sentence_level.csv").open(newline="") as file:
        sentences = list(csv.DictReader(file))
    headings = 0
    for row, following in itertools.pairwise(sentences):
        if ast.literal_eval(row["sentence"])[:2] in (
            ["Followup", "Instructions"],
            ["FOLLOW-UP", "PLANS"],
        ):
            headings += 1
            assert row["labels"] == following["labels"]
    assert headings > 0
