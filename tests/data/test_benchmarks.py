import json

import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus.sources import SYNTHETIC_NOTICE
from clinical_t5x.data import benchmarks
from tests.data import tiny


@pytest.fixture
def physionet(tmp_path):
    root = epath.Path(tmp_path)
    tiny.write_physionet(root)
    return root


def place(root, benchmark, file):
    slug, version, _ = benchmarks.FILES[benchmark]
    return root / "physionet.org" / "files" / slug / version / file


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def question(content, number=0):
    return content["data"][0]["paragraphs"][0]["qas"][number]


def test_mednli_records(physionet):
    records = benchmarks.read("mednli", physionet)
    assert {split: len(found) for split, found in records.items()} == {
        "train": 18, "validation": 6, "test": 6,
    }  # fmt: skip
    first, second, *_, last = records["validation"]
    assert {key: first[key] for key in ("id", "premise", "hypothesis", "label")} == {
        "id": "dev-0-0",
        "premise": "Seen at [**Hospital1 18**] for chest pain.",
        "hypothesis": " He had chest pain",
        "label": "entailment",
    }
    assert first["unit"] == second["unit"] != last["unit"]


def test_radqa_records(physionet):
    first, second, third = benchmarks.read("radqa", physionet)["test"]
    assert first["answers"] == [
        "Dr. [**Last Name (STitle) 12**]",
        "[**Last Name (STitle) 12**]",
    ]
    for record in (first, second):
        for answer, start in zip(record["answers"], record["answer_starts"], strict=True):
            assert record["context"][start : start + len(answer)] == answer
    assert (third["answers"], third["is_impossible"]) == ([], True)
    assert (first["title"], first["unit"]) == ("77", third["unit"])


def test_clip_records(physionet):
    records = benchmarks.read("clip", physionet)
    heading, follow, courtesy = records["train"]
    assert (heading["id"], heading["unit"], heading["sent_index"]) == ("101/0", "101", 0)
    assert heading["sentence"] == "DISCHARGE INSTRUCTIONS :"
    assert follow["context_before"] == heading["sentence"]
    assert follow["context_after"] == courtesy["sentence"]
    assert heading["context_before"] == courtesy["context_after"] == ""
    assert follow["labels"] == ["Appointment-related followup", "Imaging-related followup"]
    assert courtesy["labels"] == []
    assert heading["context_after"] == f"{follow['sentence']} {courtesy['sentence']}"


def test_clip_contexts_are_limited(physionet):
    path = place(physionet, "clip", "sentence_level.csv")
    rows = [f'101,{i},"{["w"] * 150}",[]' for i in range(10)]
    lines = ["doc_id,sent_index,sentence,labels", *rows, "102,0,\"['a']\",[]", "103,0,\"['a']\",[]"]
    path.write_text("\n".join(lines))
    records = benchmarks.read("clip", physionet)["train"]
    lengths = [(len(r["context_before"].split()), len(r["context_after"].split())) for r in records]
    assert lengths[0] == (0, 512)
    assert lengths[1] == (150, 512)
    assert lengths[5] == (512, 512)
    assert lengths[9] == (512, 0)


def test_clip_contexts_count_a_tag_as_one_word_and_never_cut_it(physionet):
    path = place(physionet, "clip", "sentence_level.csv")
    tag = ["[", "**Last", "Name", "(", "STitle", ")", "7**", "]"]
    rows = [f'101,{i},"{tag * 300}",[]' for i in range(3)]
    lines = ["doc_id,sent_index,sentence,labels", *rows, "102,0,\"['a']\",[]", "103,0,\"['a']\",[]"]
    path.write_text("\n".join(lines))
    _, middle, last = benchmarks.read("clip", physionet)["train"]
    whole = " ".join(tag)
    assert middle["context_before"] == " ".join([whole] * 300)
    assert last["context_before"] == " ".join([whole] * 512)
    broken = ["x", "[", "**", "**Last", "q**]", "", "[**a", "b**]'s", "]"]
    assert " ".join(benchmarks._words_and_tags(" ".join(broken))) == " ".join(broken)


def test_clip_sentences_are_ordered_by_index(physionet):
    path = place(physionet, "clip", "sentence_level.csv")
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *rows[::-1]]))
    assert [r["sent_index"] for r in benchmarks.read("clip", physionet)["train"]] == [0, 1, 2]


def test_literals_are_parsed_not_run(physionet):
    path = place(physionet, "clip", "sentence_level.csv")
    path.write_text(path.read_text().replace("['Check'", "[__import__('os').getcwd()", 1))
    with pytest.raises(UserError, match=r"sentence_level\.csv, line 5, column sentence"):
        benchmarks.read("clip", physionet)


@pytest.mark.parametrize(
    ("benchmark", "file"), [("mednli", "mli_dev_v1.jsonl"), ("clip", "val_ids.csv")]
)
def test_missing_file_is_named(physionet, benchmark, file):
    place(physionet, benchmark, file).unlink()
    with pytest.raises(UserError, match=file):
        benchmarks.read(benchmark, physionet)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: item.pop("gold_label"), r"line 2: there is no field 'gold_label'"),
        (lambda item: item.update(gold_label="-"), r"line 2: gold_label is '-'"),
        (lambda item: item.update(sentence1=7), r"line 2: the field 'sentence1' is a int"),
        (lambda item: item.update(pairID="train-0-0"), r"the id 'train-0-0' stands twice"),
        (lambda item: item.update(pairID="test-0-0"), r"the id 'test-0-0' stands twice"),
    ],
)
def test_mednli_errors(physionet, change, message):
    path = place(physionet, "mednli", "mli_train_v1.jsonl")
    lines = path.read_text().splitlines()
    item = json.loads(lines[1])
    change(item)
    path.write_text("\n".join([lines[0], json.dumps(item), *lines[2:]]))
    with pytest.raises(UserError, match=message):
        benchmarks.read("mednli", physionet)


def test_mednli_broken_line(physionet):
    path = place(physionet, "mednli", "mli_test_v1.jsonl")
    path.write_text(path.read_text() + "{broken\n")
    with pytest.raises(UserError, match=r"mli_test_v1\.jsonl, line 7: not JSON") as caught:
        benchmarks.read("mednli", physionet)
    assert "{broken" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("data"), r"train\.json: there is no field 'data'"),
        (lambda c: question(c).pop("question"), r"qas\[0\]: there is no field 'question'"),
        (
            lambda c: question(c)["answers"][1].update(answer_start=3),
            r"answers\[1\]: the context at answer_start 3 does not read",
        ),
        (lambda c: question(c).update(is_impossible=True), "impossible and has answers"),
        (lambda c: question(c, 2).update(is_impossible=False), "answerable and has no answer"),
        (lambda c: question(c).update(id="train_1"), "the id 'train_1' stands twice"),
        (lambda c: question(c).update(answers="none"), "the field 'answers' is a str"),
    ],
)
def test_radqa_errors(physionet, change, message):
    edit_json(place(physionet, "radqa", "train.json"), change)
    with pytest.raises(UserError, match=message) as caught:
        benchmarks.read("radqa", physionet)
    assert "nodule" not in str(caught.value), "no note text in errors"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("sentence_level.csv", "doc_id,", "note,", r"no column doc_id; it has note,"),
        ("sentence_level.csv", "I-Lab-", "I-Laboratory-", r"line 5, column labels: unknown label"),
        ("sentence_level.csv", "101,1,", "101,0,", r"document 101 has a sent_index twice"),
        ("sentence_level.csv", "101,1,", "101,one,", r"line 3: sent_index is 'one'"),
        ("val_ids.csv", "102", "999", r"val_ids\.csv, line 1: the document '999' has no sentence"),
        ("val_ids.csv", "102", "101", r"the document '101' stands also in .*train_ids\.csv"),
    ],
)
def test_clip_errors(physionet, file, old, new, message):
    path = place(physionet, "clip", file)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        benchmarks.read("clip", physionet)


def test_float_ids_join(physionet):
    place(physionet, "clip", "train_ids.csv").write_text("101.0\n")
    assert len(benchmarks.read("clip", physionet)["train"]) == 3


SHARED = "mednli_bionlp19_shared_task"


def test_bionlp19_records_join_pairs_and_labels(physionet):
    records = benchmarks.read("mednli_bionlp19", physionet)
    assert list(records) == ["test"]
    mednli = benchmarks.read("mednli", physionet)["test"]
    assert [r["label"] for r in records["test"]] == [r["label"] for r in mednli]
    assert [r["unit"] for r in records["test"]] == [r["unit"] for r in mednli]
    assert records["test"][0]["id"] == "shared-0"


def test_bionlp19_labels_may_lack_column_names(physionet):
    path = place(physionet, "mednli_bionlp19", f"{SHARED}_ground_truth.csv")
    path.write_text(path.read_text().split("\n", 1)[1])
    assert len(benchmarks.read("mednli_bionlp19", physionet)["test"]) == 6


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "_ground_truth.csv",
            "shared-2,",
            "shared-9,",
            r"line 3: the pair 'shared-2' has no label",
        ),
        ("_ground_truth.csv", "shared-2,", "shared-1,", r"the id 'shared-1' stands twice"),
        ("_ground_truth.csv", "2,neutral", "2,maybe", r"gold_label is 'maybe'"),
        ("_ground_truth.csv", "2,neutral", "2,neutral,x", r"line 5: 3 columns; expected pair id"),
        (".jsonl", "shared-2", "shared-1", r"1 labels of pairs that are not in"),
        (".jsonl", "sentence2", "sentence3", r"line 1: there is no field 'sentence2'"),
    ],
)
def test_bionlp19_errors(physionet, file, old, new, message):
    path = place(physionet, "mednli_bionlp19", SHARED + file)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        benchmarks.read("mednli_bionlp19", physionet)


def test_bionlp19_without_its_labels_names_the_file(physionet):
    place(physionet, "mednli_bionlp19", f"{SHARED}_ground_truth.csv").unlink()
    with pytest.raises(
        UserError, match=r"ground_truth\.csv is not under .*mednli-bionlp19/1\.0\.1"
    ):
        benchmarks.read("mednli_bionlp19", physionet)


def test_test_file_in_place_of_train_is_said(physionet):
    train, test = (place(physionet, "mednli", f"mli_{s}_v1.jsonl") for s in ("train", "test"))
    train.write_text(test.read_text())
    with pytest.raises(UserError, match=r"'test-0-0' .*6 of its 6 do\): the splits are mixed up"):
        benchmarks.read("mednli", physionet)


def test_swapped_files_are_said(physionet):
    train, test = (place(physionet, "mednli", f"mli_{s}_v1.jsonl") for s in ("train", "test"))
    before = train.read_text()
    train.write_text(test.read_text())
    test.write_text(before)
    with pytest.raises(UserError, match=r"mli_train.* has 6 examples, fewer than .*mli_test"):
        benchmarks.read("mednli", physionet)


def test_files_that_are_not_synthetic_have_the_published_sizes(physionet, monkeypatch):
    (physionet / "physionet.org" / SYNTHETIC_NOTICE).unlink()
    for benchmark, message in (
        ("mednli", r"mli_train_v1\.jsonl gives 18 examples; .* release 1\.0\.0 has 11,232"),
        ("clip", r"train_ids\.csv gives 1 documents; .* has 518"),
        ("mednli_bionlp19", r"release 1\.0\.1 has 405: download"),
    ):
        with pytest.raises(UserError, match=message):
            benchmarks.read(benchmark, physionet)
    sizes = {"train": 6, "validation": 9, "test": 18}
    monkeypatch.setitem(benchmarks._PUBLISHED, "mednli", sizes)
    with pytest.raises(UserError, match="18 examples, as many as its test split; the train split"):
        benchmarks.read("mednli", physionet)


def test_another_release_is_named(physionet):
    folder = place(physionet, "radqa", "train.json").parent
    folder.rename(folder.parent / "2.0.0")
    with pytest.raises(UserError, match=r"release 2\.0\.0 of radqa; this program reads 1\.0\.0"):
        benchmarks.is_present("radqa", physionet)
    (folder.parent / "2.0.0").rmtree()
    assert not benchmarks.is_present("radqa", physionet)


def test_clip_documents_without_a_split_are_said(physionet):
    path = place(physionet, "clip", "sentence_level.csv")
    path.write_text(path.read_text() + "104,0,\"['a']\",[]\n")
    with pytest.raises(UserError, match=r"1 documents of .*, such as '104', are in none of train"):
        benchmarks.read("clip", physionet)
