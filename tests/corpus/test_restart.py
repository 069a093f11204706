"""A preparation that was killed, wherever it was, goes on and ends as an undisturbed one."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from clinical_t5x import storage
from tests.corpus import faults
from tests.corpus.homes import Home
from tests.corpus.test_pipeline import NOTES

pytestmark = pytest.mark.long_file

STAGING = (
    ("clinical_t5x.corpus.staging:stage_batch", 4),
    ("clinical_t5x.corpus.staged_parts:write", 5),
    ("clinical_t5x.corpus.staging:stage_source", 3),
)
LATER = (
    ("clinical_t5x.corpus.overlap:count_patients", 1),
    ("clinical_t5x.corpus.duplicates.near:near_copies", 1),
    ("clinical_t5x.corpus.accounts:write_dropped", 1),
    ("clinical_t5x.corpus.writing:shard_path", 9),
    ("clinical_t5x.corpus.leakage:_grams_in_file", 5),
    ("clinical_t5x.corpus.writing:ContentDigest", 1),
    ("clinical_t5x.corpus.report:write_page", 1),
    ("clinical_t5x.storage:_remove_stage", 1),
)
AT_THE_END = ("clinical_t5x.corpus.staged:_remove", 2)


def test_killed_in_one_stage_after_the_other_it_ends_as_undisturbed(home, undisturbed):
    stages = [STAGING[0], STAGING[1], LATER[1], LATER[3], LATER[4], LATER[7]]
    before = {}
    for at, call in stages:
        home.killed(at, call)
        home.assert_nothing_looks_complete()
        batches = home.staged_batches()
        assert before.items() <= batches.items(), "a finished batch was staged again"
        before = batches
    assert len(before) > 8
    assert home.finished() == undisturbed()
    home.assert_nothing_else_is_left()


def test_stopped_with_ctrl_c_it_keeps_what_was_staged(home):
    at, call = LATER[1]
    done = faults.run(*home.arguments, at=at, call=call, signal="SIGINT")
    assert done.returncode == 75
    assert done.stderr == "stopped: run the same command again to go on from here\n"
    assert home.staged_batches()
    home.assert_nothing_looks_complete()


def test_killed_when_the_corpus_was_in_place_the_next_call_tidies_up(home, undisturbed):
    home.killed(*AT_THE_END)
    assert storage.is_complete(home.corpus)
    assert home.staged_batches()
    done = faults.run(*home.arguments)
    assert "It is there already" in done.stdout
    home.assert_nothing_else_is_left()
    assert json.loads((home.corpus / "manifest.json").read_text()) == undisturbed()


def test_batches_staged_with_other_options_are_not_used(home, undisturbed):
    home.killed(*LATER[1])
    assert home.finished("--deid", "keep") == undisturbed("--deid", "keep")
    home.assert_nothing_else_is_left()


def test_what_was_half_removed_is_not_used(home, undisturbed):
    home.killed(*LATER[1])
    files = home.staged_files()
    home.killed("os:unlink", files // 2, "--deid", "keep")
    assert 0.3 * files < home.staged_files() < 0.7 * files
    assert home.finished() == undisturbed()


@pytest.mark.slow
def test_batches_of_another_version_of_a_file_are_not_used(home, physionet, tmp_path):
    home.killed(*LATER[1])
    path = physionet / NOTES
    text = gzip.decompress(path.read_bytes()).replace(
        b"Shift note, finished.", b"Shift note. Done."
    )
    path.write_bytes(gzip.compress(text, mtime=0))
    assert home.finished() == Home(tmp_path / "other", physionet).finished()


def test_columns_read_otherwise_make_another_corpus(tmp_path):
    notes = tmp_path / "notes.jsonl"
    lines = [{"id": str(n), "text": f"first {n}", "other": f"second {n}"} for n in range(9)]
    notes.write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments = ("--notes", notes, "--data_dir", tmp_path / "home")
    done = faults.run(
        *arguments, "--columns", "text=text", at="clinical_t5x.corpus.writing:ContentDigest"
    )
    assert done.returncode == -signal.SIGKILL
    assert faults.run(*arguments, "--columns", "text=other").returncode == 0
    documents = tmp_path / "home" / "corpus" / "clinical" / "documents"
    assert texts_of(documents) == {f"second {n}" for n in range(9)}
    done = faults.run(*arguments, "--columns", "text=text")
    assert "It is there already" not in done.stdout
    assert texts_of(documents) == {f"first {n}" for n in range(9)}


def texts_of(documents):
    import polars as pl

    return set(pl.read_parquet(documents / "*.parquet").get_column("text"))


def test_a_second_process_is_turned_away_and_the_first_one_ends_well(home, undisturbed):
    at, call = STAGING[0]
    first = faults.start(*home.arguments, at=at, call=call, signal="SIGSTOP")
    _, status = os.waitpid(first.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    try:
        second = faults.run(*home.arguments)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.wait(timeout=120) == 0
    assert second.returncode == 2
    assert len(second.stderr.strip().splitlines()) == 1
    assert "another process is preparing" in second.stderr
    assert json.loads((home.corpus / "manifest.json").read_text()) == undisturbed()
    home.assert_nothing_else_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [*STAGING, *LATER, AT_THE_END])
def test_killed_in_a_stage_it_ends_as_undisturbed(home, undisturbed, stop):
    home.killed(*stop)
    batches = home.staged_batches()
    if stop == AT_THE_END:
        assert home.finished() == undisturbed()
        return
    home.assert_nothing_looks_complete()
    home.killed(*LATER[-1])
    assert batches.items() <= home.staged_batches().items()
    assert home.finished() == undisturbed()
    home.assert_nothing_else_is_left()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "call", "there"),
    [
        ("clinical_t5x.data.builders.note_shards:write_record", 4, set()),
        ("clinical_t5x.data.builders.build:_builder_classes", 3, {"clinical_notes", "mednli"}),
        ("clinical_t5x.storage:_remove_stage", 2, set()),
    ],
)
def test_killed_while_data_sets_are_built(home, undisturbed, at, call, there):
    home.killed(at, call, data_sets=True)
    assert storage.is_complete(home.corpus)
    tfds = home.path / "tfds"
    complete = {mark.relative_to(tfds).parts[0] for mark in tfds.glob("*/[0-9]*/_COMPLETE.json")}
    assert complete == there
    assert home.finished(data_sets=True) == undisturbed()
    assert {path.name for path in tfds.iterdir()} == {"clinical_notes", "mednli", "radqa", "clip"}
    for data_set in tfds.iterdir():
        (version,) = data_set.iterdir()
        assert storage.is_complete(version)
    home.assert_nothing_else_is_left()


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """A synthetic PhysioNet of some thousand notes."""
    out = tmp_path_factory.mktemp("synthetic")
    subprocess.run(
        [sys.executable, "-m", "clinical_t5x.synthetic", "--out", str(out), "--patients", "60",
         "--seed", "5", "--workers", "1"],
        cwd=faults.ROOT, capture_output=True, check=True,
    )  # fmt: skip
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_at_random_moments(synthetic, tmp_path, seed):
    blocks = {"block_bytes": 1 << 19, "data_sets": seed == 0}
    started = time.monotonic()
    expected = Home(tmp_path / "undisturbed", synthetic).finished(**blocks)
    whole = time.monotonic() - started
    home, draw = Home(tmp_path / "home", synthetic), random.Random(seed)
    kills, before = 0, {}
    while kills < 12:
        process = faults.start(*home.arguments, **blocks)
        try:
            process.communicate(timeout=draw.uniform(0.1, 1) * whole)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        kills += 1
        if home.corpus.exists():
            assert storage.is_complete(home.corpus)
            assert json.loads((home.corpus / "manifest.json").read_text()) == expected
            if process.returncode == 0:
                break
            continue
        assert process.returncode == -signal.SIGKILL
        batches = home.staged_batches()
        assert before.items() <= batches.items(), "a finished batch was staged again"
        before = batches
    assert home.finished(**blocks) == expected
    home.assert_nothing_else_is_left()
