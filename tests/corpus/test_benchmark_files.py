"""Benchmarks that are there in part, empty, or not what they should be: refused before any work."""

import json
import shutil

import pytest
from etils import epath

from clinical_t5x import prepare
from clinical_t5x.console import UserError
from clinical_t5x.corpus import benchmark_ids, inputs
from tests.corpus import faults
from tests.data import tiny

FILES = "physionet.org/files"
RADQA, MEDNLI = "radqa/1.0.0", "mednli/1.0.0"
CLIP = "mimic-iii-clinical-action/1.0.0"
SECRET = "PIGGOTT"
BLANK_CONTEXT = '{"data": [{"title": 10, "paragraphs": [{"context": " ", "qas": []}]}]}'
EVERY_FILE = [
    *(f"{RADQA}/{split}.json" for split in ("train", "dev", "test")),
    *(f"{MEDNLI}/mli_{split}_v1.jsonl" for split in ("train", "dev", "test")),
    f"{CLIP}/sentence_level.csv",
    *(f"{CLIP}/{split}_ids.csv" for split in ("train", "val", "test")),
]


def resolved(physionet, **more):
    named = {"physionet": epath.Path(physionet), "names": None, "notes": None, "columns": None}
    return inputs.resolve(**{**named, **more})


def read_all(physionet):
    """Everything that preparation reads of the benchmarks."""
    root = epath.Path(physionet)
    for benchmark in benchmark_ids.BENCHMARKS:
        benchmark_ids.texts(root, benchmark)
    for benchmark in (benchmark_ids.RADQA, benchmark_ids.CLIP):
        benchmark_ids.note_ids(root, benchmark)


def refusal(physionet):
    with pytest.raises(UserError) as caught:
        read_all(physionet)
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("file", EVERY_FILE)
def test_a_benchmark_is_whole_or_absent(physionet, file):
    (physionet / FILES / file).unlink()
    found = resolved(physionet)
    with pytest.raises(UserError, match=f"{file} is not under"):
        found.paths()
    with pytest.raises(UserError, match=f"{file} is not under"):
        prepare.announce(found)


@pytest.mark.parametrize("benchmark", [RADQA, MEDNLI, CLIP])
def test_a_benchmark_that_is_not_there_is_warned_about(physionet, capsys, benchmark):
    shutil.rmtree(physionet / FILES / benchmark)
    found = resolved(physionet)
    prepare.announce(found)
    assert f"Warning: {benchmark} is not there" in capsys.readouterr().out
    assert not [label for label, _ in found.paths() if label.startswith(benchmark)]


def test_half_a_benchmark_ends_the_command_before_any_work(physionet, tmp_path):
    (physionet / FILES / RADQA / "train.json").unlink()
    done = faults.run("--physionet", physionet, "--data_dir", tmp_path / "home")
    assert done.returncode == 2
    assert done.stderr.startswith("error: radqa/1.0.0/train.json is not under")
    assert not (tmp_path / "home" / "corpus").exists()


@pytest.mark.parametrize("file", ["shared_task.jsonl", "shared_task_ground_truth.csv"])
def test_mednlis_second_test_set_is_whole_or_absent(tmp_path, file):
    tiny.write_physionet(epath.Path(tmp_path))
    missing = f"mednli-bionlp19/1.0.1/mednli_bionlp19_{file}"
    (tmp_path / FILES / missing).unlink()
    with pytest.raises(UserError, match=f"{missing} is not under"):
        benchmark_ids.files(epath.Path(tmp_path))


def test_another_release_is_refused(physionet):
    folder = physionet / FILES / RADQA
    folder.rename(folder.with_name("1.0.1"))
    with pytest.raises(UserError, match=r"holds release 1\.0\.1 of radqa; this program reads 1"):
        prepare.announce(resolved(physionet))


def test_a_directory_in_a_files_place(physionet):
    path = physionet / FILES / CLIP / "val_ids.csv"
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r"val_ids\.csv is a directory"):
        resolved(physionet).paths()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (f"{CLIP}/test_ids.csv", "\n"),
        (f"{CLIP}/sentence_level.csv", "doc_id,sent_index,sentence,labels\n"),
        (f"{RADQA}/test.json", '{"data": []}'),
        (f"{RADQA}/dev.json", '{"data": [{"title": "10", "paragraphs": []}]}'),
        (f"{RADQA}/test.json", BLANK_CONTEXT),
        (f"{MEDNLI}/mli_test_v1.jsonl", "\n"),
        (f"{MEDNLI}/mli_train_v1.jsonl", ""),
    ],
)  # fmt: skip
def test_an_empty_split_proves_nothing(physionet, file, text):
    (physionet / FILES / file).write_text(text)
    assert f"{file} has no " in refusal(physionet)


def test_test_documents_without_sentences(physionet):
    (physionet / FILES / CLIP / "test_ids.csv").write_text("4711\n")
    assert "test_ids.csv has no document id of" in refusal(physionet)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (f"{CLIP}/sentence_level.csv", b"12,0,\"['PIGGOTT']\",[]\n", "first line has 4 columns"),
        (f"{CLIP}/sentence_level.csv", b"doc_id,sentence\n12,['\xff']\n", "is not UTF-8 text"),
        (f"{CLIP}/sentence_level.csv", b"doc_id,sentence\ninf,['a']\n", "no NOTEEVENTS ROW_ID"),
        (f"{CLIP}/sentence_level.csv", b"doc_id,sentence\n1," + b"a" * 200_000, "is not a table"),
        (f"{CLIP}/test_ids.csv", b"\xff\xfe1", "is not UTF-8 text"),
        (f"{CLIP}/test_ids.csv", b"1e999\n", "no NOTEEVENTS ROW_ID"),
        (f"{MEDNLI}/mli_dev_v1.jsonl", b'{"sentence1": "\xff"}', "is not JSON lines"),
        (f"{RADQA}/train.json", b'{"data": [{"title": "\xff"}]}', "is not SQuAD's layout"),
    ],
)  # fmt: skip
def test_files_that_are_not_as_published(physionet, file, content, message):
    (physionet / FILES / file).write_bytes(content)
    assert message in refusal(physionet)


@pytest.mark.parametrize("title", [float("inf"), "inf", "PIGGOTT", None, [10], {"id": 10}])
def test_titles_that_are_no_ids(physionet, title):
    path = physionet / FILES / RADQA / "test.json"
    content = json.loads(path.read_text())
    content["data"][0]["title"] = title
    path.write_text(json.dumps(content))
    assert "no NOTEEVENTS ROW_ID" in refusal(physionet)


def named_and_not_there(physionet):
    """Let CLIP name two notes more, which NOTEEVENTS does not have."""
    clip = physionet / FILES / CLIP
    with (clip / "sentence_level.csv").open("a") as table:
        table.write("4711,0,\"['Gone', '.']\",[]\n4712,0,\"['Too', '.']\",[]\n")
    with (clip / "test_ids.csv").open("a") as file:
        file.write("4711\n4712\n")


def warnings_of(done):
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("Warning")]


def test_who_could_not_be_left_out_is_said_at_the_end(physionet, tmp_path):
    named_and_not_there(physionet)
    lists = []
    for name, subject in (("absent.csv", 999), ("present.csv", 1)):
        (tmp_path / name).write_text(f"subject_id\n{subject}\n")
        lists += ["--exclude_patients", tmp_path / name]
    done = faults.run("--physionet", physionet, "--data_dir", tmp_path / "home", *lists)
    assert warnings_of(done) == [
        "Warning: 2 of 5 notes that CLIP names are not in NOTEEVENTS; their patients cannot be left"
        " out.",
        "Warning: --exclude_patients absent.csv left nobody out: none of the patients it names has"
        " notes here.",
    ]
    manifest = json.loads((tmp_path / "home/corpus/clinical/manifest.json").read_text())
    clip = manifest["counts"]["benchmarks"]["clip"]
    assert (clip["notes named"], clip["notes found in MIMIC-III"]) == (5, 3)


def test_nothing_is_said_of_patients_who_were_to_stay(physionet, tmp_path):
    named_and_not_there(physionet)
    arguments = ("--physionet", physionet, "--data_dir", tmp_path / "home")
    assert not warnings_of(faults.run(*arguments, "--keep_benchmark_patients"))
