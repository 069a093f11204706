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


def test_command_replaces_no_other_vocabulary_and_nothing_else(tmp_path):
    tiny.write_corpus(corpus_directory("clinical", epath.Path(tmp_path)), tiny.documents())
    at = ("--data_dir", tmp_path)
    assert vocabulary_command(*at, "--size", 400).returncode == 0
    model = epath.Path(tmp_path) / "vocabularies" / "clinical" / "sentencepiece.model"
    before = model.read_bytes()
    for name in ("clinical", "", "..", "../corpus", "../vocabularies"):
        refused = vocabulary_command(*at, "--size", 380, "--name", name)
        assert refused.returncode == 2, name
        assert refused.stderr.startswith("error: "), name
        assert model.read_bytes() == before
    assert (epath.Path(tmp_path) / "corpus" / "clinical").exists()
    assert vocabulary_command(*at, "--size", 380, "--overwrite").returncode == 0
    assert model.read_bytes() != before


def test_command_says_when_the_corpus_is_small(tmp_path):
    tiny.write_corpus(corpus_directory("clinical", epath.Path(tmp_path)), tiny.documents())
    result = vocabulary_command("--data_dir", tmp_path)
    assert result.returncode == 0
    assert "fewer than the 32,000 pieces asked for" in result.stdout


def test_command_compares(tmp_path):
    tiny.write_corpus(corpus_directory("clinical", epath.Path(tmp_path)), tiny.documents(300))
    for name, option in (("ours", ()), ("like_t5", ("--t5_whitespace",))):
        options = ("--data_dir", tmp_path, "--name", name, "--size", 400, *option)
        assert vocabulary_command(*options).returncode == 0
    out = epath.Path(tmp_path) / "out"
    options = ("ours", "like_t5", "--data_dir", tmp_path, "--out", out, "--json")
    result = vocabulary_command("compare", *options)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "Tokens a word by note category" in result.stdout
    summary = json.loads(result.stdout.splitlines()[-1])
    assert epath.Path(summary.pop("report")) == out / "comparison.html"
    assert summary == json.loads((out / "comparison.json").read_text())
    assert [one["label"] for one in summary["vocabularies"]] == ["ours", "like_t5"]
    assert {path.name for path in out.iterdir()} == {"comparison.html", "comparison.json"}


def test_command_refuses_to_compare_one_or_the_missing(tmp_path):
    alone = vocabulary_command("compare", "clinical", "--data_dir", tmp_path)
    assert alone.returncode == 2
    assert "two to 7 vocabularies" in alone.stderr
    missing = vocabulary_command("compare", "clinical", "./no.model", "--data_dir", tmp_path)
    assert missing.returncode == 2
    assert "no vocabulary 'clinical'" in missing.stderr


def test_command_without_corpus(tmp_path):
    result = vocabulary_command("--data_dir", tmp_path, "--corpus", "nowhere")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "nowhere" in line
    assert "clinical_t5x.prepare" in line
