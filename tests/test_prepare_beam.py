"""The first stages of preparation on Apache Beam, as a person types it."""

import json
import os
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from clinical_t5x import prepare_beam
from clinical_t5x.console import UserError
from clinical_t5x.synthetic import build

ROOT = Path(__file__).parents[1]
needs_beam = pytest.mark.skipif(util.find_spec("apache_beam") is None, reason="needs apache-beam")


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


def notes_file(path):
    lines = [json.dumps({"id": n, "text": f"Slept well, day {n % 40}."}) for n in range(60)]
    path.write_text("\n".join(lines))
    return path


def test_without_beam_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    notes = notes_file(tmp_path / "notes.jsonl")
    with pytest.raises(UserError, match=r"pip install 'clinical_t5x\[beam\]'"):
        prepare_beam.main(["--notes", str(notes), "--output", str(tmp_path / "output")])


@needs_beam
def test_from_notes_to_a_corpus(tmp_path):
    notes = notes_file(tmp_path / "notes.jsonl")
    command = ("-m", "clinical_t5x", "prepare-beam", "--notes", notes)
    done = run(*command, "--output", tmp_path / "output", "--runner", "DirectRunner", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["after_exact_duplicates"]["documents"] == 40
    again = run(*command, "--output", tmp_path / "output")
    assert "It is there already" in again.stdout
    following = summary["next"].split()[1:]
    made = run(*following, "--name", "ward", "--near_duplicates", 0, "--data_dir", tmp_path)
    assert made.returncode == 0, made.stderr
    manifest = json.loads((tmp_path / "corpus" / "ward" / "manifest.json").read_text())
    assert manifest["after_exact_duplicates"] == summary["after_exact_duplicates"]
    assert sum(split["documents"] for split in manifest["splits"].values()) == 40


@needs_beam
def test_a_mistake_ends_in_one_line_and_exit_code_2(tmp_path):
    notes = tmp_path / "notes.csv"
    notes.write_text("id,text\n,Slept well.\n")
    done = run("-m", "clinical_t5x.prepare_beam", "--notes", notes, "--strict", "--output",
               tmp_path / "output")  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {notes} has a row that cannot be used: line 2: no note")
    assert len(done.stderr.splitlines()) == 1
    assert "Slept" not in done.stdout + done.stderr


@needs_beam
@pytest.mark.slow
def test_seqio_caches_the_task_of_a_corpus_that_beam_prepared(tmp_path):
    build.build(tmp_path, 40, 5, 1)
    files = ("--physionet", tmp_path)
    data = ("--data_dir", tmp_path / "data")
    commands = [
        ("-m", "clinical_t5x.prepare_beam", *files, "--output", tmp_path / "output"),
        ("-m", "clinical_t5x.prepare", *files, "--staged", tmp_path / "output", *data),
        ("-m", "clinical_t5x.vocabulary", *data, "--size", 800),
        ("-m", "seqio.scripts.cache_tasks_main", "--module_import=tasks.pretrain",
         "--tasks=mimic_pretrain_v1", f"--output_cache_dir={tmp_path / 'cache'}",
         "--pipeline_options=--runner=DirectRunner", "--verbosity=-1"),
    ]  # fmt: skip
    for command in commands:
        done = run(
            *command, CLINICAL_T5X_DATA=str(tmp_path / "data"), TF_CPP_MIN_LOG_LEVEL="3",
            PYTHONPATH=str(ROOT),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "data/corpus/clinical/manifest.json").read_text())
    for split, counts in manifest["splits"].items():
        stats = json.loads((tmp_path / f"cache/mimic_pretrain_v1/stats.{split}.json").read_text())
        assert stats["examples"] == counts["documents"]
        assert stats["targets_tokens"] > counts["words"]
