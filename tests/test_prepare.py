"""The prepare command as a person types it."""

import argparse
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from etils import epath

from clinical_t5x import prepare, prepare_beam, storage

ROOT = Path(__file__).parents[1]


def command(*arguments):
    return [sys.executable, "-m", "clinical_t5x.prepare", *map(str, arguments)]


def run(*arguments):
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def notes_file(path, count, *, words=60):
    with path.open("w") as file:
        for number in range(count):
            draw = random.Random(number)
            text = " ".join(f"word{draw.randrange(5000)}" for _ in range(words))
            file.write(json.dumps({"id": number, "text": text, "who": number // 3}) + "\n")
    return path


def test_another_hospitals_notes(tmp_path):
    notes = notes_file(tmp_path / "notes.jsonl", 30)
    arguments = (
        "--notes", notes, "--columns", "text=text,id=id,patient=who", "--name", "ward",
        "--data_dir", tmp_path / "data", "--json",
    )  # fmt: skip
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "python -m clinical_t5x.vocabulary" in done.stdout
    summary = json.loads(done.stdout.splitlines()[-1])
    assert sum(split["documents"] for split in summary["splits"].values()) == 30
    corpus = Path(summary["corpus"])
    assert storage.is_complete(corpus)
    assert pl.read_parquet(corpus / "documents" / "*.parquet").height == 30
    again = run(*arguments)
    assert again.returncode == 0
    assert "It is there already" in again.stdout


def test_tokens_are_counted_once_a_vocabulary(tmp_path):
    notes = notes_file(tmp_path / "notes.jsonl", 60)
    options = ("--data_dir", tmp_path / "data")
    arguments = (
        "--notes", notes, "--columns", "text=text,id=id,patient=who", "--name", "ward", *options,
    )  # fmt: skip
    assert run(*arguments).returncode == 0
    corpus = tmp_path / "data" / "corpus" / "ward"
    before = storage.read_json(corpus / "manifest.json")
    trained = subprocess.run(
        [sys.executable, "-m", "clinical_t5x.vocabulary", "--corpus", "ward", "--name", "ward",
         "--size", "400", *map(str, options)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    counting = run(*arguments, "--vocabulary", "ward", "--json")
    assert counting.returncode == 0, counting.stderr
    assert "It is there already" in counting.stdout
    manifest = storage.read_json(corpus / "manifest.json")
    assert manifest["tokens"]["vocabulary"] == "ward"
    assert manifest["content_sha256"] == before["content_sha256"]
    tokens = sum(split["tokens"] for split in manifest["splits"].values())
    assert tokens > 60 * 60
    assert f"{tokens:,} tokens of the vocabulary ward" in (corpus / "report.html").read_text()
    summary = json.loads(counting.stdout.splitlines()[-1])
    assert summary["splits"] == manifest["splits"]
    assert summary["next"].startswith("register a task for corpus and vocabulary")
    assert "counted already" in run(*arguments, "--vocabulary", "ward").stdout
    assert storage.read_json(corpus / "manifest.json") == manifest


def test_the_next_command_is_quoted(tmp_path, capsys):
    notes, home = notes_file(tmp_path / "notes.jsonl", 30), tmp_path / "a data home"
    prepare.main(["--notes", str(notes), "--name", "a b", "--data_dir", str(home), "--json"])
    command = json.loads(capsys.readouterr().out.splitlines()[-1])["next"]
    assert shlex.split(command)[3:] == [
        "--corpus", "a b", "--name", "a b", "--data_dir", str(home),
    ]  # fmt: skip


def test_the_next_command_after_beam_is_quoted():
    arguments = argparse.Namespace(
        physionet=None, sources=None, notes="a file.csv", columns="text=the text", deid="keep",
        paper=True,
    )  # fmt: skip
    command = prepare_beam._next_command(arguments, epath.Path("the output"))
    assert shlex.split(command)[3:] == [
        "--notes", "a file.csv", "--columns", "text=the text", "--deid", "keep", "--paper",
        "--staged", "the output",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "error: name the notes: --physionet DIR for MIMIC"),
        (("--physionet", "EMPTY"), "error: mimiciii/1.4/NOTEEVENTS.csv.gz is not under"),
        (("--physionet", "EMPTY", "--sources", "mimic-iv"), "discharge.csv.gz is not under"),
        (("--notes", "NOTES", "--columns", "text=body"), "has no column 'body'"),
        (("--notes", "NOTES", "--validation_percent", "120"), "--validation_percent is 120"),
        (("--notes", "NOTES", "--validation_percent", "0"), "give more than 0, below 100"),
        (("--notes", "NOTES", "--name", "1.0.0"), "which TFDS takes for a version"),
        (("--notes", "EMPTY/none.csv"), "does not exist"),
        (("--notes", "NOTES", "--vocabulary", "none"), "there is no vocabulary 'none'"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(tmp_path, arguments, message):
    (tmp_path / "EMPTY").mkdir()
    notes_file(tmp_path / "notes.jsonl", 2)
    places = {
        "EMPTY": tmp_path / "EMPTY",
        "NOTES": tmp_path / "notes.jsonl",
        "EMPTY/none.csv": tmp_path / "EMPTY" / "none.csv",
    }
    done = run(*(places.get(word, word) for word in arguments), "--data_dir", tmp_path / "data")
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert message in lines[0]
    assert not (tmp_path / "data").exists()


def test_a_damaged_file_ends_in_one_line_without_a_corpus(tmp_path):
    path = tmp_path / "mimiciii" / "1.4" / "NOTEEVENTS.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03damaged")
    done = run("--physionet", tmp_path, "--data_dir", tmp_path / "data")
    assert done.returncode == 2
    assert "NOTEEVENTS.csv.gz is truncated or damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_killed_run_leaves_nothing_that_looks_complete_and_the_next_finishes(tmp_path):
    notes = notes_file(tmp_path / "notes.jsonl", 8_000)
    arguments = ("--notes", notes, "--name", "ward", "--data_dir", tmp_path / "data")
    corpora = tmp_path / "data" / "corpus"
    for _ in range(2):
        started = subprocess.Popen(
            command(*arguments), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while not list(corpora.glob(".ward.partial-*/documents")):
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.01)
        os.kill(started.pid, signal.SIGKILL)
        started.wait()
        assert not storage.is_complete(corpora / "ward")
        assert not (corpora / "ward").exists()
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(corpora / "ward" / "documents" / "*.parquet").height == 8_000
    assert [path.name for path in corpora.iterdir()] == ["ward"]
