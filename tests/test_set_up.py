"""`make`'s set-up: cut off at any moment, the next one ends with whole packages."""

import importlib.metadata
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEEDED = ("Makefile", "setup.py", "README.md", "constraints-3.11.txt", "clinical_t5x", "t5x")
COMMAND = ["make", ".venv/.installed-base"]


def missing_files(environment):
    """What the packages' own lists name and is not there; bytecode is made anew when needed."""
    (site,) = environment.glob("lib/python*/site-packages")
    for package in importlib.metadata.distributions(path=[str(site)]):
        for file in package.files or ():
            if file.suffix != ".pyc" and not package.locate_file(file).exists():
                yield f"{package.name}: {file}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_killed_at_many_moments_it_ends_with_whole_packages(tmp_path):
    """The long check: `pytest tests/test_set_up.py -m slow`; about four minutes, downloads too."""
    for name in NEEDED:
        source, target = ROOT / name, tmp_path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    chance = random.Random(time.time_ns())
    for longest in (4, 20, 45, 70):
        process = subprocess.Popen(
            COMMAND,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(longest / 3, longest))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
    last = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True)
    assert last.returncode == 0, last.stderr[-2000:]
    assert not list(missing_files(tmp_path / ".venv"))
    python = tmp_path / ".venv" / "bin" / "python"
    for arguments in (["-m", "pip", "check"], ["-c", "import jax, seqio, clinical_t5x.demo"]):
        done = subprocess.run([python, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
