"""Runs several programs against each other: each in a process of its own, in turns.

A machine's speed drifts over minutes (other work, clock rates). So nobody is measured alone: all
are started and warmed up, and then they take turns, A B C A B C, while the others wait without
computing. A round is one turn of each; figures are medians over rounds, and ratios are formed
within a round first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
PAUSE_SECONDS = 0.5  # for the threads of the one before to go to sleep


@dataclasses.dataclass(frozen=True)
class Entrant:
    """A program that takes part.

    Attributes:
      name: as it stands in tables.
      module: beside this one; imported in the entrant's process, it has the function asked for.
      python: the interpreter of its process.
      folder: its working directory.
      options: what its function is told besides the task.
    """

    name: str
    module: str
    python: str = sys.executable
    folder: pathlib.Path = PROJECT
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


class Process:
    """An entrant's process: started, warmed up, and then waiting for its turns."""

    def __init__(self, entrant: Entrant, function: str, task: pathlib.Path, device: str):
        self.entrant = entrant
        told = json.dumps({"task": str(task), **entrant.options})
        command = [entrant.python, str(HERE / "entrant.py"), entrant.module, function, told]
        variables = dict(os.environ) | {"TF_CPP_MIN_LOG_LEVEL": "3", "TOKENIZERS_PARALLELISM": "0"}
        variables.pop("PYTHONPATH", None)
        if device == "cpu":
            variables |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        else:
            # several programs have the device at once: nobody may take all of its memory
            variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        self.log = task / f"{entrant.module}_{function}.log"
        self._log_file = self.log.open("w")
        self._process = subprocess.Popen(
            command,
            cwd=entrant.folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            text=True,
        )
        self.about = self._answer()

    def turn(self, request: dict[str, Any]) -> dict[str, Any]:
        """Let it do a piece of work; its answer, with `seconds`."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            tail = "".join(self.log.read_text().splitlines(keepends=True)[-20:])
            raise SystemExit(f"{self.entrant.name} failed ({code}):\n{tail}\nsee {self.log}")
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._log_file.close()


@contextlib.contextmanager
def started(
    entrants: Sequence[Entrant], function: str, task: pathlib.Path, device: str
) -> Iterator[list[Process]]:
    """All entrants' processes, started one after the other, each warmed up before the next."""
    processes = []
    try:
        for entrant in entrants:
            processes.append(Process(entrant, function, task, device))
            first = processes[-1].about["first_seconds"]
            print(f"{entrant.name}: ready, first call {first:.1f} s", file=sys.stderr, flush=True)
        yield processes
    finally:
        for process in processes:
            process.close()


def rounds(processes: Sequence[Process], number: int, request: dict) -> dict[str, list[dict]]:
    """Everyone's answers to the request in each of so many rounds, by name."""
    answers: dict[str, list[dict]] = {process.entrant.name: [] for process in processes}
    for done in range(1, number + 1):
        for process in processes:
            time.sleep(PAUSE_SECONDS)
            answers[process.entrant.name].append(process.turn(request))
        told = ", ".join(f"{name} {found[-1]['seconds']:.2f} s" for name, found in answers.items())
        print(f"round {done}: {told}", file=sys.stderr, flush=True)
    return answers


@dataclasses.dataclass(frozen=True)
class Figure:
    """A median over rounds with the least and the largest."""

    median: float
    least: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0) -> str:
        low, high = (f"{value:,.{digits}f}" for value in (self.least, self.largest))
        return f"{self.median:,.{digits}f} ({low} to {high})"


def rates(answers: dict[str, list[dict]], amount: float) -> dict[str, Figure]:
    """Amount of work a second, by name."""
    return {
        name: Figure.of([amount / answer["seconds"] for answer in found])
        for name, found in answers.items()
    }


def times_faster(answers: dict[str, list[dict]], name: str) -> dict[str, Figure]:
    """How many times the rate of each other one `name` has, round by round."""
    own = [answer["seconds"] for answer in answers[name]]
    return {
        other: Figure.of([b["seconds"] / a for a, b in zip(own, found, strict=True)])
        for other, found in answers.items()
        if other != name
    }


def processor_seconds(answers: dict[str, list[dict]], pieces: int) -> dict[str, Figure]:
    """What a piece of work takes of all cores together, by name; waiting for a core not included."""
    return {
        name: Figure.of([answer["processor_seconds"] / pieces for answer in found])
        for name, found in answers.items()
    }


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
