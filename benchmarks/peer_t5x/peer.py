"""Starts the two sides, and says what was found."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[1]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One comparison: a figure beside the bound that it must keep."""

    part: str
    what: str
    figure: float
    bound: float
    note: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.figure <= self.bound)

    def line(self) -> str:
        verdict = "pass" if self.passed else "FAIL"
        note = f"  ({self.note})" if self.note else ""
        return f"{verdict}  {self.part}: {self.what}: {self.figure:.3g} <= {self.bound:g}{note}"


@dataclasses.dataclass(frozen=True)
class Peer:
    """Google's T5X: its checkout, the interpreter of its environment, and where files go."""

    checkout: pathlib.Path
    python: str
    work: pathlib.Path

    def run(self, side: str, jobs: list[dict], name: str) -> None:
        """Do the jobs in a process of that side.

        Raises:
          SystemExit: the process failed; its last lines are shown.
        """
        checkout = self.checkout if side == "theirs" else PROJECT
        jobs_file = self.work / f"{name}_{side}.json"
        jobs_file.write_text(json.dumps({"checkout": str(checkout), "jobs": jobs}, indent=1))
        python = self.python if side == "theirs" else sys.executable
        command = [python, str(HERE / "side.py"), side, str(jobs_file)]
        # gin looks for included files in the working directory
        self.call(command, checkout, jobs_file.with_suffix(".log"))

    def call(
        self, command: list[str], folder: pathlib.Path, log: pathlib.Path, **environment: str
    ) -> str:
        """Run a command in `folder`; its output goes to `log` and is given back."""
        # runs that differ in weights alone share their compiled programs
        variables = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "JAX_COMPILATION_CACHE_DIR": str(self.work / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1",
        }
        variables.pop("PYTHONPATH", None)
        done = subprocess.run(
            command,
            cwd=folder,
            env=variables | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        log.write_text(done.stdout)
        if done.returncode:
            tail = "\n".join(done.stdout.splitlines()[-25:])
            raise SystemExit(f"{' '.join(command)} failed ({done.returncode}):\n{tail}\nsee {log}")
        return done.stdout


def distance(found, expected) -> float:
    """Norm of the difference over the norm of what is expected; infinite where one is NaN."""
    found, expected = np.float64(found), np.float64(expected)
    difference = np.linalg.norm(found - expected)
    norm = np.linalg.norm(expected)
    if not np.isfinite(difference):
        return float("inf")
    return float(difference / norm) if norm else float(difference)


def worst(found: dict, expected: dict, prefix: str) -> tuple[float, str]:
    """The largest distance among arrays under `prefix`, and whose it is; both have the same names."""
    names = {name for name in expected if name.startswith(prefix)}
    assert names == {name for name in found if name.startswith(prefix)}
    assert all(found[name].shape == expected[name].shape for name in names)
    name = max(names, key=lambda name: distance(found[name], expected[name]))
    return distance(found[name], expected[name]), name.removeprefix(prefix)
