"""The command: same bytes whatever the processes, all or nothing, and clear refusals."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.synthetic import __main__ as command
from clinical_t5x.synthetic import build

_COMMAND = [sys.executable, "-m", "clinical_t5x.synthetic"]
_ROOT = Path(__file__).parents[2]


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_same_seed_same_bytes_however_many_workers(tmp_path, physionet):
    build.build(tmp_path / "two", 40, 11, workers=2)
    assert _digests(tmp_path / "two" / "physionet.org") == _digests(physionet)


def test_another_seed_is_another_world(tmp_path, physionet):
    build.build(tmp_path, 20, 12, workers=1)
    ours, other = _digests(physionet), _digests(tmp_path / "physionet.org")
    name = "files/mimiciii/1.4/NOTEEVENTS.csv.gz"
    assert ours.keys() == other.keys()
    assert ours[name] != other[name]


def test_says_what_it_made_and_skips_when_it_is_there(tmp_path, capsys):
    options = ["--out", str(tmp_path), "--patients", "20", "--workers", "1", "--json"]
    assert command.main(options) == 0
    said = capsys.readouterr().out
    assert f"python -m clinical_t5x.prepare --physionet {tmp_path}" in said
    summary = json.loads(said.splitlines()[-1])
    assert summary["made"] and summary["patients"] == 20 and summary["notes"] > 500
    before = _digests(tmp_path)
    assert command.main(options) == 0
    said = capsys.readouterr().out
    assert "already there" in said
    assert not json.loads(said.splitlines()[-1])["made"]
    assert _digests(tmp_path) == before


def test_killed_in_the_middle_leaves_nothing_whole_and_a_rerun_finishes(tmp_path):
    options = ["--out", str(tmp_path), "--patients", "60", "--workers", "2"]
    process = subprocess.Popen(
        [*_COMMAND, *options], cwd=_ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        parts = list(tmp_path.glob(".physionet.org.partial-*/files/mimiciii/1.4/*.gz"))
        if parts and parts[0].stat().st_size > 300:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "physionet.org").exists()
    assert not build.is_there(tmp_path, 60, 0)
    assert command.main(options) == 0
    assert build.is_there(tmp_path, 60, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["physionet.org"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--patients", "-5"], "--patients"),
        (["--patients", "3"], "--patients"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_bad_numbers_are_refused(tmp_path, options, word):
    with pytest.raises(UserError, match=word):
        command.main(["--out", str(tmp_path), *options])
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        command.main(["--out", str(tmp_path / "file"), "--patients", "20", "--workers", "1"])


def test_a_physionet_that_was_not_made_here_is_left_alone(tmp_path):
    real = tmp_path / "physionet.org" / "files"
    real.mkdir(parents=True)
    (real / "NOTEEVENTS.csv").write_text("precious")
    with pytest.raises(UserError, match="real data"):
        command.main(["--out", str(tmp_path), "--patients", "20", "--workers", "1"])
    assert (real / "NOTEEVENTS.csv").read_text() == "precious"


def test_wrong_use_ends_in_one_line_and_code_two(tmp_path):
    ended = subprocess.run(
        [*_COMMAND, "--out", str(tmp_path), "--patients", "-1"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: --patients is -1")
    assert "Traceback" not in ended.stderr
