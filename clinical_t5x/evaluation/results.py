"""The results store: one schema for every number, and the unit sums that intervals come from.

A run directory holds `results/TASK-SPLIT[-step_N]/` for each evaluation: `results.json` (the
results and counts), `units.npz` (hashed unit ids and component sums, so that two runs can be
compared unit by unit) and the mark of a completed stage. No text and no plain unit id is written.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import os
import subprocess
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath

import clinical_t5x
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.metrics import FAMILIES
from clinical_t5x.storage import (
    COMPLETE_MARK,
    fingerprint,
    is_complete,
    read_json,
    sha256_file,
    stage_directory,
    write_json_atomically,
)

SCHEMA = 1
RESULTS_FILE = "results.json"
UNITS_FILE = "units.npz"
_DEEPEST_RUN = 5  # levels below what the user names
_NOT_MEASURING = frozenset({"browser", "cost", "registry", "report"})  # packages beside this file
_NOT_RUNS = frozenset(
    {"results", "predictions", "inference_eval", "training_eval", "train", "token_store", "tfds"}
)


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What was evaluated: everything a result must say besides the task and the number.

    Attributes:
      model: which network, such as "t5-tiny"; systems that are not models have a name as well.
      initialisation: "majority", "scratch", "pretrained" or another word; the row of a report.
      seed: the training seed; None where nothing was trained.
      checkpoint: path of the checkpoint; empty where there is none.
      checkpoint_step: its step.
      config_hash: SHA-256 of the operative configuration, or empty.
      synthetic: whether the data are the synthetic PhysioNet.
      commit: of the code; found out when empty.
      fraction: of the training split that it was trained on.
      subset_seed: which subset of that size it was; None for the whole split.
    """

    model: str
    initialisation: str
    seed: int | None = None
    checkpoint: str = ""
    checkpoint_step: int | None = None
    config_hash: str = ""
    synthetic: bool = False
    commit: str = dataclasses.field(default_factory=lambda: code_version())
    fraction: float = 1.0
    subset_seed: int | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """One metric of one system on one split, with its interval.

    `value`, `low` and `high` are on the metric's own scale (fractions, 0 to 1, for the benchmarks);
    `low` and `high` are None where a metric has no components to resample. `n` counts examples,
    `n_units` the units (`unit`) that were resampled. `created` is UTC. `fraction` and `subset_seed`
    say on which part of the training split the system was trained (`Provenance`).
    """

    model: str
    initialisation: str
    task: str
    task_version: str
    split: str
    metric: str
    value: float
    low: float | None
    high: float | None
    level: float
    method: str
    resamples: int
    n: int
    n_units: int
    unit: str
    seed: int | None
    checkpoint: str
    checkpoint_step: int | None
    config_hash: str
    commit: str
    higher_is_better: bool
    synthetic: bool
    created: str
    fraction: float = 1.0
    subset_seed: int | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """All results of one evaluation and the unit sums behind them.

    Attributes:
      results: one for each metric; they share everything but metric, value and interval.
      counts: whole numbers worth knowing: predictions at the length limit, inputs cut, and so on.
      units: hashed unit ids [U], 16 hexadecimal digits each.
      sums: for each metric family its component sums [U, K].
      directory: where it was read from; None before it is saved.
    """

    results: tuple[Result, ...]
    counts: Mapping[str, int]
    units: np.ndarray
    sums: Mapping[str, np.ndarray]
    directory: str | None = None

    def result(self, metric: str) -> Result:
        """The result of one metric."""
        for result in self.results:
            if result.metric == metric:
                return result
        known = ", ".join(result.metric for result in self.results)
        raise UserError(f"{self.place} has no metric {metric!r}; it has {known}")

    def headline(self) -> dict[str, float]:
        """The metrics that a line of output should show: those of the tables, else all."""
        names = {name for family in self.sums for name in _headline_metrics(family)}
        shown = {result.metric: result.value for result in self.results if result.metric in names}
        return shown or {result.metric: result.value for result in self.results}

    @property
    def place(self) -> str:
        """Where it lies, or what it is, for messages."""
        first = self.results[0]
        return self.directory or f"the evaluation of {first.task} on {first.split}"


def _headline_metrics(family: str) -> tuple[str, ...]:
    return FAMILIES[family].headline if family in FAMILIES else ()


def hash_units(kind: str, units: Iterable[str]) -> np.ndarray:
    """Unit ids as 16 hexadecimal digits, equal for equal ids of one kind of task: [U]."""
    digests = [hashlib.sha256(f"{kind}\0{unit}".encode()).hexdigest()[:16] for unit in units]
    return np.array(digests, dtype="S16")


def evaluation_name(task: str, split: str, step: int | None) -> str:
    """What files about one task, split and checkpoint step are called."""
    name = f"{task}-{split}" + ("" if step is None else f"-step_{step}")
    return name.replace("/", "_")


def evaluation_directory(
    run_directory: str | os.PathLike, task: str, split: str, step: int | None
) -> epath.Path:
    """Where the evaluation of one task, split and checkpoint step belongs in a run directory."""
    return epath.Path(run_directory) / "results" / evaluation_name(task, split, step)


def save_evaluation(
    run_directory: str | os.PathLike,
    evaluation: Evaluation,
    made_from: Mapping[str, Any] | None = None,
    documents: Mapping[str, Any] | None = None,
) -> epath.Path:
    """Write an evaluation into its place in `run_directory`, whole or not at all.

    Args:
      run_directory: the run's directory.
      evaluation: what to write.
      made_from: what it was made from, in JSON values, so that it need not be made again.
      documents: what else lies beside it, in JSON values, by file name.
    """
    first = evaluation.results[0]
    target = evaluation_directory(run_directory, first.task, first.split, first.checkpoint_step)
    with stage_directory(target, dict(made_from or {})) as directory:
        with (directory / UNITS_FILE).open("wb") as file:
            arrays = {f"sums/{family}": sums for family, sums in evaluation.sums.items()}
            np.savez_compressed(file, units=evaluation.units, **arrays)
        document = {
            "schema": SCHEMA,
            "results": [dataclasses.asdict(result) for result in evaluation.results],
            "counts": dict(evaluation.counts),
        }
        for name, content in {**(documents or {}), RESULTS_FILE: document}.items():
            write_json_atomically(directory / name, content)
    return target


def load_evaluation(directory: str | os.PathLike) -> Evaluation:
    """Read an evaluation that `save_evaluation` wrote.

    Raises:
      UserError: when it is not whole, of another schema, or damaged.
    """
    directory = epath.Path(directory)
    if not is_complete(directory):
        raise UserError(
            f"{directory} is not a complete evaluation ({COMPLETE_MARK} is missing);"
            " run the evaluation again"
        )
    try:
        results, counts = _read_results(directory / RESULTS_FILE)
        units, sums = _read_units(directory / UNITS_FILE, results[0].n_units)
    except UserError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy have many for what is cut or altered
        raise UserError(
            f"{directory} is damaged ({type(error).__name__}); run the evaluation again"
        ) from error
    return Evaluation(results, counts, units, sums, os.fspath(directory))


def _read_results(path: epath.Path) -> tuple[tuple[Result, ...], dict[str, int]]:
    """Results and counts as they were saved; any error when the file is damaged."""
    document = read_json(path)
    if document["schema"] != SCHEMA:
        raise UserError(
            f"{path} has schema {document['schema']}, this version reads {SCHEMA};"
            " run the evaluation again"
        )
    results = tuple(_result(fields) for fields in document["results"])
    if not results:
        raise ValueError("no results")
    counts = document["counts"]
    if not all(isinstance(count, int) for count in counts.values()):
        raise TypeError("a count is no whole number")
    return results, counts


def _result(fields: Mapping[str, Any]) -> Result:
    """A result whose fields have the types that they were saved with."""
    result = Result(**fields)
    for name, kind in typing.get_type_hints(Result).items():
        value = getattr(result, name)
        # JSON may write a float as a whole number.
        if not isinstance(value, kind) and not (type(value) is int and isinstance(0.0, kind)):
            raise TypeError(name)
    return result


def _read_units(path: epath.Path, n_units: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Units and sums as they were saved; any error when the file is damaged."""
    with path.open("rb") as file, np.load(file) as arrays:
        sums = {
            name.removeprefix("sums/"): arrays[name] for name in arrays.files if name != "units"
        }
        units = arrays["units"]
    if units.shape != (n_units,) or any(
        array.ndim != 2 or len(array) != n_units for array in sums.values()
    ):
        raise ValueError("not one row for every unit")
    return units, sums


def find_evaluations(run_directories: Sequence[str | os.PathLike]) -> list[Evaluation]:
    """All complete evaluations in and below the given directories, each once, in order of path."""
    found: dict[str, Evaluation] = {}
    for run in walk_runs(run_directories):
        if not (run / "results").is_dir():
            continue
        for directory in sorted((run / "results").iterdir(), key=os.fspath):
            if is_complete(directory) and not directory.name.startswith("."):
                found.setdefault(os.fspath(directory), load_evaluation(directory))
    return list(found.values())


def walk_runs(roots: Sequence[str | os.PathLike]) -> Iterator[epath.Path]:
    """The given directories and those below them where runs may lie, in order of path.

    Checkpoints, results, predictions and hidden directories are not entered.

    Raises:
      UserError: when a root does not exist.
    """
    for root in map(epath.Path, roots):
        if not root.is_dir():
            raise UserError(f"{root} does not exist; name a run directory or a parent of several")
        yield from _walk(root, depth=0)


def _walk(directory: epath.Path, *, depth: int) -> Iterator[epath.Path]:
    yield directory
    if depth == _DEEPEST_RUN:
        return
    for child in sorted(directory.iterdir(), key=os.fspath):
        inner = child.name.startswith((".", "checkpoint_")) or child.name in _NOT_RUNS
        if not inner and child.is_dir():
            yield from _walk(child, depth=depth + 1)


def check_comparable(evaluations: Sequence[Evaluation]) -> None:
    """Refuse to put results side by side that were not measured on the same examples.

    Raises:
      UserError: when two evaluations of a task and split differ in task version or in units.
    """
    reference: dict[tuple[str, str], Evaluation] = {}
    for evaluation in evaluations:
        first = evaluation.results[0]
        other = reference.setdefault((first.task, first.split), evaluation)
        known = other.results[0]
        if first.task_version != known.task_version:
            raise UserError(
                f"{evaluation.place} was made with version {first.task_version} of {first.task},"
                f" but {other.place} with {known.task_version}: they are not comparable;"
                " evaluate both with the same version, or leave one out of --runs"
            )
        if first.n != known.n or not np.array_equal(
            np.sort(evaluation.units), np.sort(other.units)
        ):
            raise UserError(
                f"{evaluation.place} ({first.n} examples, {first.n_units} units) and {other.place}"
                f" ({known.n} examples, {known.n_units} units) were not measured on the same"
                f" examples of {first.task} {first.split}; evaluate both on the same data"
            )


def check_one_system(evaluations: Sequence[Evaluation]) -> None:
    """Refuse to average over runs that differ in more than their seeds.

    Raises:
      UserError: when two differ in model, initialisation or fraction of the training split.
    """
    systems = {_system(evaluation.results[0]): evaluation for evaluation in evaluations}
    if len(systems) > 1:
        (one, first), (other, second) = list(systems.items())[:2]
        raise UserError(
            f"{first.place} ({one}) and {second.place} ({other}) are not runs of one system: only"
            " runs that differ in nothing but their seeds can be averaged"
        )


def _system(result: Result) -> str:
    return f"{result.initialisation}, {result.model}, {100 * result.fraction:g} % of training"


def aligned_sums(first: Evaluation, second: Evaluation, family: str) -> tuple[np.ndarray, ...]:
    """Component sums [U, K] of both evaluations, in the order of `first`'s units."""
    check_comparable([first, second])
    order_first, order_second = np.argsort(first.units), np.argsort(second.units)
    position = np.empty_like(order_first)
    position[order_first] = order_second
    return first.sums[family], second.sums[family][position]


def utc_now() -> str:
    """The time now in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@functools.cache
def evaluation_code() -> str:
    """SHA-256 over the sources of this package: results of other code are made again.

    What only shows results, or says what is known of models, is not part of it.
    """
    package = Path(__file__).parent
    sources = [path.relative_to(package) for path in sorted(package.rglob("*.py"))]
    measuring = [path for path in sources if path.parts[0] not in _NOT_MEASURING]
    return fingerprint({str(path): sha256_file(package / path) for path in measuring})


@functools.cache
def code_version() -> str:
    """The commit of the checkout this code runs from (+ when changed), else the version."""
    place = Path(clinical_t5x.__file__).parent.parent
    fallback = f"version {clinical_t5x.__version__}"
    if not (place / ".git").exists():
        return fallback

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(place), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return fallback
