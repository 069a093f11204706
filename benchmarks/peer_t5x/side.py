"""One side of the comparison in a process of its own: `python side.py SIDE JOBS.json`.

Runs under either interpreter: SIDE is `ours` (clinical_t5x) or `theirs` (Google's T5X), a module
beside this one with a function for each kind of job. A job's gin file is read by the side's own
gin names, and what it binds to `train` is handed to that function.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys

import numpy as np

import gin


def train(**bound):
    """Stands where both programs have their entry function: gives back what gin binds to it."""
    return bound


def configure(folder: pathlib.Path, bindings: list[str]) -> dict:
    """The objects that `run.gin` in `folder` makes: model, trainer class, partitioner, configs."""
    gin.clear_config()
    with gin.unlock_config():
        gin.parse_config_files_and_bindings(
            [str(folder / "run.gin")], bindings, finalize_config=False
        )
    return gin.get_configurable(train)()


def read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def read_batches(path: pathlib.Path) -> list[dict[str, np.ndarray]]:
    """Batches were written as one array a feature, the step its first dim."""
    stacked = read_arrays(path)
    steps = len(next(iter(stacked.values())))
    return [{name: array[i] for name, array in stacked.items()} for i in range(steps)]


def halves(batches: list) -> tuple[list, list]:
    """What is trained before a checkpoint, and after it."""
    middle = len(batches) // 2
    return batches[:middle], batches[middle:]


def main() -> None:
    name, jobs_file = sys.argv[1:]
    implementation = importlib.import_module(name)
    jobs = json.loads(pathlib.Path(jobs_file).read_text())
    implementation.prepare(jobs["checkout"])
    for job in jobs["jobs"]:
        folder = pathlib.Path(job["folder"])
        bound = configure(folder, job.get("bindings", []))
        results = getattr(implementation, job["do"])(bound, folder, **job.get("options", {}))
        output = folder / f"{job['output']}.npz"
        np.savez(output.with_name(f"unfinished_{output.name}"), **results)
        output.with_name(f"unfinished_{output.name}").rename(output)
        print(f"{name}: {job['do']} {folder.name} done", flush=True)


if __name__ == "__main__":
    main()
