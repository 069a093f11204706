"""The command `python -m clinical_t5x.vocabulary`."""

import json
import subprocess
import sys

from etils import epath

from clinical_t5x.data.home import corpus_directory
from tests.data import tiny


def vocabulary_command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "clinical_t5x.vocabulary", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_trains_reports_and_skips(tmp_path):
    tiny.write_corpus(corpus_directory("hospital", epath.Path(tmp_path)), tiny.documents())
    arguments = ("--data_dir", tmp_path, "--corpus", "hospital", "--name", "hospital", "--json")
    first = vocabulary_command(*arguments, "--size", 400)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    summary = json.loads(first.stdout.splitlines()[-1])
    assert summary["pieces"] == 400
    assert epath.Path(summary["vocabulary"]) == epath.Path(tmp_path) / "vocabularies" / "hospital"
    second = vocabulary_command(*arguments, "--size", 400)
    assert "there already" in second.stdout
    assert json.loads(second.stdout.splitlines()[-1]) == summary


def test_command_says_when_the_corpus_is_small(tmp_path):
    tiny.write_corpus(corpus_directory("clinical", epath.Path(tmp_path)), tiny.documents())
    result = vocabulary_command("--data_dir", tmp_path)
    assert result.returncode == 0
    assert "fewer than the 32,000 pieces asked for" in result.stdout


def test_command_without_corpus(tmp_path):
    result = vocabulary_command("--data_dir", tmp_path, "--corpus", "nowhere")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "nowhere" in line
    assert "clinical_t5x.prepare" in line
