import os
import shutil
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
import tensorflow_datasets as tfds
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data import benchmarks
from clinical_t5x.data.builders import (
    build,
    build_all,
    build_benchmark,
    build_corpus,
    clinical_notes,
)
from clinical_t5x.data.builders.versions import BENCHMARKS
from clinical_t5x.data.home import corpus_directory
from clinical_t5x.storage import is_complete
from tests.data import tiny


@pytest.fixture
def physionet(tmp_path):
    root = epath.Path(tmp_path)
    tiny.write_physionet(root)
    return root


def test_all_data_sets_are_built_and_read_back(tiny_home):
    tfds_dir = tiny_home / "tfds"
    assert sorted(path.name for path in tfds_dir.iterdir()) == [
        "clinical_notes", "clip", "mednli", "mednli_bionlp19", "radqa",
    ]  # fmt: skip
    for benchmark in benchmarks.FILES:
        expected = benchmarks.read(benchmark, tiny_home.parent)
        for split, records in expected.items():
            name = f"{benchmark}:{BENCHMARKS[benchmark]}"
            dataset = tfds.load(name, split=split, data_dir=str(tfds_dir))
            found = {plain(record)["id"]: plain(record) for record in tfds.as_numpy(dataset)}
            assert found == {record["id"]: record for record in records}


def plain(record):
    def value(item):
        item = item.tolist() if hasattr(item, "tolist") else item
        if isinstance(item, list):
            return [value(part) for part in item]
        return item.decode() if isinstance(item, bytes) else item

    return {name: value(item) for name, item in record.items()}


def test_several_processes_write_the_same_files(tiny_home, tmp_path, monkeypatch):
    monkeypatch.setattr(clinical_notes, "_WORTH_PROCESSES", 0)
    monkeypatch.setattr(build, "_EXAMPLES_PER_SHARD", 7)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    one = {
        shards: build_corpus(corpus_directory("clinical", tiny_home), tmp_path / shards)
        for shards in ("several", "again")
    }
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    alone = build_corpus(corpus_directory("clinical", tiny_home), tmp_path / "alone")
    names = sorted(path.name for path in alone.iterdir())
    assert sum("tfrecord" in name for name in names) > 4
    for built in one.values():
        assert sorted(path.name for path in built.iterdir()) == names
        for name in names:
            if "tfrecord" in name:
                assert (built / name).read_bytes() == (alone / name).read_bytes()


def test_documents_are_read_back(tiny_home):
    dataset = tfds.load("clinical_notes:1.0.0", split="train", data_dir=str(tiny_home / "tfds"))
    documents = {d["document_id"]: d for d in map(plain, tfds.as_numpy(dataset))}
    assert len(documents) == 54
    text = tiny.documents()[7]
    assert documents["test/7"] == {
        "document_id": "test/7", "patient_id": "test/p7", "person_id": "test/p7",
        "source": "test", "category": "Radiology", "description": "", "charttime": "",
        "text": text, "num_words": len(text.split()),
    }  # fmt: skip


def test_second_time_nothing_is_written(tiny_home):
    before = {path: path.stat().mtime for path in (tiny_home / "tfds").glob("*/*/*")}
    corpus = corpus_directory("clinical", tiny_home)
    built = build_all(corpus_dir=corpus, physionet=tiny_home.parent, data_dir=tiny_home)
    assert len(built) == 5
    assert all(is_complete(directory) for directory in built)
    assert {path: path.stat().mtime for path in (tiny_home / "tfds").glob("*/*/*")} == before


def test_only_what_is_there_is_built(physionet):
    shutil.rmtree(physionet / "physionet.org" / "files" / "radqa")
    tiny.write_corpus(physionet / "corpus" / "clinical", tiny.documents(20))
    built = build_all(
        corpus_dir=physionet / "corpus" / "clinical", physionet=physionet, data_dir=physionet
    )
    assert [path.parent.name for path in built] == [
        "clinical_notes", "mednli", "clip", "mednli_bionlp19",
    ]  # fmt: skip


def test_changed_file_is_built_anew(physionet):
    directory = build_benchmark("mednli", physionet, physionet)
    path = physionet / "physionet.org/files/mednli/1.0.0/mli_test_v1.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[:3]))
    assert build_benchmark("mednli", physionet, physionet) == directory
    info = tfds.builder_from_directory(str(directory)).info
    assert info.splits["test"].num_examples == 3


def test_failure_leaves_what_was_there(physionet):
    directory = build_benchmark("mednli", physionet, physionet)
    path = physionet / "physionet.org/files/mednli/1.0.0/mli_test_v1.jsonl"
    path.write_text(path.read_text().replace("neutral", "unclear"))
    with pytest.raises(UserError, match="unclear"):
        build_benchmark("mednli", physionet, physionet)
    assert is_complete(directory)
    assert [p.name for p in directory.parent.iterdir()] == ["1.0.0"]


def test_same_input_same_bytes(physionet, tmp_path_factory):
    other = epath.Path(tmp_path_factory.mktemp("other"))
    first = build_benchmark("clip", physionet, physionet)
    second = build_benchmark("clip", physionet, other)
    names = sorted(path.name for path in first.iterdir() if "tfrecord" in path.name)
    assert names
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_large_data_sets_have_many_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_EXAMPLES_PER_SHARD", 5)
    corpus = epath.Path(tmp_path) / "corpus" / "clinical"
    tiny.write_corpus(corpus, tiny.documents(100))
    directory = build_corpus(corpus, tmp_path)
    assert len(list(directory.glob("clinical_notes-train.tfrecord-*-of-00010"))) == 10
    assert len(list(directory.glob("clinical_notes-validation.tfrecord-*-of-00010"))) == 10


def test_kill_in_the_middle_is_not_taken_for_whole(tmp_path):
    corpus = epath.Path(tmp_path) / "corpus" / "clinical"
    tiny.write_corpus(corpus, tiny.documents(40))
    code = (
        "import time\n"
        "from clinical_t5x.data.builders import note_shards, build_corpus\n"
        "from etils import epath\n"
        "original = note_shards.read_documents\n"
        "def slow(*a):\n"
        "    yield next(original(*a)).slice(0, 5)\n"
        f"    open({str(tmp_path / 'begun')!r}, 'w').close(); time.sleep(60)\n"
        "note_shards.read_documents = slow\n"
        f"build_corpus(epath.Path({str(corpus)!r}), {str(tmp_path)!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    folder = epath.Path(tmp_path) / "tfds" / "clinical_notes"
    assert not (folder / "1.0.0").exists()
    assert len(list(folder.iterdir())) == 1, "the part that was written"

    directory = build_corpus(corpus, tmp_path)
    assert is_complete(directory)
    assert [path.name for path in folder.iterdir()] == ["1.0.0"]
    assert tfds.builder_from_directory(str(directory)).info.splits["train"].num_examples == 36


def test_corpus_without_held_out_documents_is_refused(tmp_path):
    tiny.write_corpus(epath.Path(tmp_path) / "clinical", tiny.documents(0))
    with pytest.raises(UserError, match="no documents in its split 'train'"):
        build_corpus(epath.Path(tmp_path) / "clinical", tmp_path)


def test_corpus_of_one_person_is_refused_with_what_it_needs(tmp_path):
    corpus = epath.Path(tmp_path) / "clinical"
    tiny.write_corpus(corpus, tiny.documents(20))
    for shard in (corpus / "documents").glob("validation-*.parquet"):
        pl.read_parquet(str(shard)).clear().write_parquet(str(shard))
    with pytest.raises(UserError, match=r"split 'validation', for which it needs .*two persons"):
        build_corpus(corpus, tmp_path)


def test_incomplete_corpus_is_refused(tmp_path):
    (tmp_path / "clinical" / "documents").mkdir(parents=True)
    with pytest.raises(UserError, match=r"no prepared corpus at .*clinical_t5x\.prepare"):
        build_corpus(epath.Path(tmp_path) / "clinical", tmp_path)
