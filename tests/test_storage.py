"""Stages are whole or absent, whatever kills the process that writes them."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from clinical_t5x import storage


def test_a_stage_is_complete_only_after_its_block(tmp_path):
    target = tmp_path / "stage"
    with storage.stage_directory(target, {"option": 1}) as partial:
        (partial / "file").write_text("content")
        assert not target.exists()
        assert not storage.is_complete(target)
    assert (target / "file").read_text() == "content"
    assert storage.is_complete(target, {"option": 1})
    assert not storage.is_complete(target, {"option": 2})


def test_an_error_leaves_the_former_stage_and_no_parts(tmp_path):
    target = tmp_path / "stage"
    with storage.stage_directory(target, {"option": 1}) as partial:
        (partial / "file").write_text("old")
    with pytest.raises(RuntimeError), storage.stage_directory(target, {"option": 2}) as partial:
        (partial / "file").write_text("new")
        raise RuntimeError
    assert (target / "file").read_text() == "old"
    assert storage.is_complete(target, {"option": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


def test_a_killed_writer_leaves_nothing_complete_and_the_next_one_cleans_up(tmp_path):
    target = tmp_path / "stage"
    program = textwrap.dedent(f"""
        import sys, time
        from clinical_t5x import storage
        with storage.stage_directory({str(target)!r}) as partial:
            (partial / "file").write_text("half")
            print("ready", flush=True)
            time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1
    with storage.stage_directory(target) as partial:
        (partial / "file").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]
    assert (target / "file").read_text() == "whole"


def test_another_living_writer_keeps_its_parts(tmp_path):
    beside = tmp_path / f".stage.partial-{os.getppid()}"
    beside.mkdir()
    with storage.stage_directory(tmp_path / "stage"):
        pass
    assert beside.exists()


def test_parts_of_another_machine_are_kept_for_a_day(tmp_path):
    """Its processes cannot be looked up from here; directories may be shared between machines."""
    parts = [tmp_path / f".stage.partial-elsewhere-{number}" for number in (1, 2)]
    for part in parts:
        part.mkdir()
        (part / "file").write_text("half")
    yesterday = time.time() - 25 * 3600
    for path in (parts[0] / "file", parts[0]):
        os.utime(path, (yesterday, yesterday))
    with storage.stage_directory(tmp_path / "stage"):
        pass
    assert [part.exists() for part in parts] == [False, True]


def test_a_stage_that_another_process_completed_meanwhile_is_kept(tmp_path):
    target = tmp_path / "stage"
    with storage.stage_directory(target, {"a": 1}, keep=True) as mine:
        (mine / "file").write_text("mine")
        other = storage.partial_directory(target, "elsewhere-1")
        other.mkdir()
        (other / "file").write_text("theirs")
        storage.write_json_atomically(
            other / storage.COMPLETE_MARK, storage.completion_mark({"a": 1})
        )
        other.rename(target)
    assert (target / "file").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]
    with storage.stage_directory(target, {"a": 2}, keep=True) as mine:  # of something else
        (mine / "file").write_text("newer")
    assert (target / "file").read_text() == "newer"


def test_a_whole_directory_appears_at_once_and_replaces_only_when_told(tmp_path):
    target = tmp_path / "made"
    with storage.whole_directory(target) as partial:
        (partial / "a").write_text("one")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a"]
    with pytest.raises(FileExistsError, match="made exists"), storage.whole_directory(target):
        pass
    with storage.whole_directory(target, overwrite=True) as partial:
        (partial / "b").write_text("two")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_whole_directory_that_fails_leaves_the_former_one(tmp_path):
    with storage.whole_directory(tmp_path / "made") as partial:
        (partial / "a").write_text("one")
    with (
        pytest.raises(RuntimeError),
        storage.whole_directory(tmp_path / "made", overwrite=True) as partial,
    ):
        (partial / "b").write_text("two")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert (tmp_path / "made" / "a").read_text() == "one"


def test_a_mark_that_is_cut_short_is_no_mark(tmp_path):
    with storage.stage_directory(tmp_path / "stage"):
        pass
    (tmp_path / "stage" / storage.COMPLETE_MARK).write_text('{"finger')
    assert not storage.is_complete(tmp_path / "stage")


def test_atomic_text_replaces_and_leaves_no_parts(tmp_path):
    storage.write_text_atomically(tmp_path / "a", "one")
    storage.write_text_atomically(tmp_path / "a", "two")
    assert (tmp_path / "a").read_text() == "two"
    assert len(list(tmp_path.iterdir())) == 1


def test_fingerprint_does_not_depend_on_the_order_of_keys():
    assert storage.fingerprint({"a": 1, "b": 2}) == storage.fingerprint({"b": 2, "a": 1})
    assert storage.fingerprint({"a": 1}) != storage.fingerprint({"a": "1"})


def test_data_home_order(monkeypatch, tmp_path):
    monkeypatch.delenv("CLINICAL_T5X_DATA", raising=False)
    assert str(storage.data_home()).endswith("clinical_t5x_data")
    monkeypatch.setenv("CLINICAL_T5X_DATA", str(tmp_path / "env"))
    assert storage.data_home().name == "env"
    assert storage.data_home(tmp_path / "flag").name == "flag"


def test_absolute_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert str(storage.absolute("runs/../runs/a")) == str(tmp_path / "runs" / "a")
    assert not str(storage.absolute("~/a")).startswith("~")
    assert str(storage.absolute("gs://bucket/a")) == "gs://bucket/a"
