"""Directories that one process makes while others wait: real processes, killed and stopped.

The slow ones: `pytest tests/data/test_made_once.py -m slow`.

Does not show: network file systems, real buckets, clocks of several machines (none is compared).
A bucket is a folder that refuses to rename; a lease of another machine is a file written here.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.data import lease, made_once
from tests.data import making


class Maker:
    """A process of tests.data.making, waiting to be let go."""

    def __init__(self, target, *options):
        command = [sys.executable, "-m", "tests.data.making", str(target), *options]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self):
        assert self.process.stdout.readline() == "ready\n", self.process.communicate()
        return self

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, code=0):
        output, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == code, errors
        return output.strip() if code == 0 else errors


def makers(count, target, *options):
    return [maker.ready() for maker in [Maker(target, *options) for _ in range(count)]]


def writers(target):
    return len(pathlib.Path(f"{target}.writers").read_text().splitlines())


def is_whole(target, parts=5):
    found = {path.name: path.read_text() for path in target.iterdir()}
    expected = {f"part{i}": str(i) for i in range(parts)}
    mark = json.loads(found.pop(storage.COMPLETE_MARK))
    return found == expected and mark == storage.completion_mark(making.MADE_FROM)


def wait_for(condition, *processes):
    while not condition():
        for maker in processes:
            assert maker.process.poll() is None, maker.process.communicate()
        time.sleep(0.005)


def half_made(target):
    return any(target.parent.glob(f".{target.name}.partial-*/part1"))


def nothing_else(target):
    """What lies beside the target: nothing but the note of who wrote."""
    return sorted(path.name for path in target.parent.iterdir()) == [
        target.name,
        f"{target.name}.writers",
    ]


def test_one_of_many_makes_it(tmp_path):
    target = tmp_path / "store"
    group = [maker.go() for maker in makers(4, target)]
    ends = [maker.end() for maker in group]
    assert sorted(ends) == ["found"] * 3 + ["made"]
    assert writers(target) == 1
    assert is_whole(target)
    assert nothing_else(target)


def test_killed_maker_leaves_nothing_half_whole_and_the_waiting_one_takes_over(tmp_path):
    target = tmp_path / "store"
    first, second = makers(2, target, "--pause=0.15")
    first.go()
    wait_for(lambda: half_made(target), first)
    second.go()
    first.kill()
    assert not target.exists()
    assert second.end() == "made"  # at once: the dead process is of this machine
    assert is_whole(target)
    assert nothing_else(target)


@pytest.mark.slow
def test_stopped_maker_that_wakes_up_again_does_no_harm(tmp_path):
    """As a machine that was paused for longer than a lease lasts."""
    target = tmp_path / "store"
    first, second = makers(2, target, "--pause=0.2", "--expiry=1.0")
    first.go()
    wait_for(lambda: half_made(target), first)
    first.process.send_signal(signal.SIGSTOP)
    second.go()
    wait_for(lambda: writers(target) == 2, second)
    first.process.send_signal(signal.SIGCONT)
    assert {first.end(), second.end()} <= {"made", "found"}
    assert is_whole(target)
    assert nothing_else(target)


@pytest.mark.slow
def test_error_of_the_maker_lets_the_next_one_try(tmp_path):
    target = tmp_path / "store"
    failing, working = *makers(1, target, "--fail"), *makers(1, target)
    failing.go()
    wait_for(lambda: half_made(target), failing)
    working.go()
    assert failing.end(code=2) == "error: the vocabulary is missing\n"
    assert working.end() == "made"
    assert is_whole(target)


def foreign_lease(target, beat=0, done=3):
    """What a process on another machine would have written beside the target."""
    target.parent.mkdir(exist_ok=True)
    said = {"owner": "o", "process": "elsewhere-7", "machine": "elsewhere", "beat": beat,
            "done": done, "total": 9}  # fmt: skip
    storage.write_text_atomically(lease._file(epath.Path(target), 1), json.dumps(said))


def make(target, **options):
    def write(directory, count):
        (directory / "part0").write_text("0")

    return made_once.make_once(
        epath.Path(target), making.MADE_FROM, write, what="thing", **options
    )  # fmt: skip


class Clock:
    """Time that passes only while somebody sleeps, and what happens in each of those sleeps."""

    def __init__(self, step, during):
        self.now, self.step, self.during = 0.0, step, during

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += self.step
        self.during(int(self.now // self.step))


@pytest.fixture
def clock(monkeypatch):
    def start(step, during=lambda number: None):
        running = Clock(step, during)
        for module in (lease, made_once):
            monkeypatch.setattr(module, "time", running)
        return running

    return start


def test_silent_maker_of_another_machine_is_given_up_with_its_parts(tmp_path, clock):
    running = clock(step=10.0)
    target = tmp_path / "store"
    foreign_lease(target)
    part = storage.partial_directory(epath.Path(target), "elsewhere-7")
    part.mkdir()
    (part / "part0").write_text("?")
    assert make(target)
    assert lease.EXPIRY_SECONDS < running.now < lease.EXPIRY_SECONDS + 20
    assert is_whole(target, parts=1)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_maker_of_another_machine_that_stands_still_is_named(tmp_path, clock):
    running = clock(step=30.0, during=lambda n: foreign_lease(tmp_path / "store", beat=n))
    foreign_lease(tmp_path / "store")
    with pytest.raises(UserError, match=r"elsewhere \(elsewhere-7\) has been making the thing"):
        make(tmp_path / "store")
    assert running.now > made_once.PATIENCE_SECONDS


def test_maker_of_another_machine_that_gets_on_is_waited_for(tmp_path, clock, capsys):
    target = tmp_path / "store"

    def elsewhere(number):
        foreign_lease(target, beat=number, done=number // 10)
        if number == 150:
            with storage.stage_directory(target, making.MADE_FROM) as partial:
                (partial / "part0").write_text("0")

    running = clock(step=30.0, during=elsewhere)
    foreign_lease(target)
    assert not make(target)
    assert running.now == 4500 > made_once.PATIENCE_SECONDS


def test_damaged_lease_expires(tmp_path, clock):
    clock(step=10.0)
    target = tmp_path / "store"
    lease._file(epath.Path(target), 3).write_text("{")
    assert make(target)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_lease_without_links(tmp_path, monkeypatch):
    def no_links(*arguments):
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", no_links)
    target = epath.Path(tmp_path) / "store"
    held = lease.take(target, 0)
    assert held is not None
    assert lease.take(target, 0) is None
    with held:
        pass
    assert list(tmp_path.iterdir()) == []


def test_complete_directory_costs_no_lease(tmp_path, monkeypatch):
    target = tmp_path / "store"
    assert make(target)
    monkeypatch.setattr(lease, "take", None)
    assert not make(target)


def test_bucket_is_filled_by_one_and_marked_last(tmp_path, monkeypatch):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    target = bucket / "store"
    options = (f"--bucket={bucket}", "--upload_pause=0.1")
    first, second = makers(2, "gs://bucket/store", *options)
    first.go()
    wait_for(lambda: (target / "part2").exists() or (target / "part3").exists(), first)
    assert not storage.is_complete(target)
    first.kill()  # in the middle of its upload
    second.go()
    assert second.end() == "made"
    assert is_whole(target)
    assert nothing_else(target)
    assert writers(target) == 1  # what was on this machine's disk already was not made again
