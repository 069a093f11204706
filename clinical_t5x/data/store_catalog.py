"""Which token store belongs to a task: found and judged fresh without TensorFlow or SeqIO.

A store's completion mark names what it was made from: task, split, data set, vocabularies and the
source files of the task's functions, each with a hash. While all of them still are what they were,
the store is used as it is; else it is made anew (clinical_t5x.data.materialise).
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Iterator, Mapping
from typing import Any

from etils import epath

from clinical_t5x.data.home import current_home, token_store_directory
from clinical_t5x.data.vocabulary import content_hash_of
from clinical_t5x.storage import completion, fingerprint, read_json, sha256_file


def store_path(made_from: Mapping[str, Any]) -> epath.Path:
    """Where the store made from this belongs: token_store/<task>/<split>-<key>."""
    key = fingerprint(made_from)[:16]
    return token_store_directory() / made_from["task"] / f"{made_from['split']}-{key}"


def stores_of(task_name: str, split: str) -> Iterator[tuple[epath.Path, dict[str, Any]]]:
    """Completed stores of a split of a task, and what each was made from."""
    folder = token_store_directory() / task_name
    if not folder.exists():
        return
    for directory in sorted(folder.glob(f"{split}-*")):
        mark = completion(directory)
        if mark is not None:
            yield directory, mark["made_from"]


def fresh_store(
    task_name: str, split: str, feature_lengths: Mapping[str, int] | None
) -> epath.Path | None:
    """The one store of the task that is still fresh; None when there is none, or more than one."""
    found = [
        directory
        for directory, made_from in stores_of(task_name, split)
        if made_from["lengths"] in (None, feature_lengths) and is_fresh(made_from)
    ]
    return found[0] if len(found) == 1 else None


def subset_of(directory: epath.Path) -> dict[str, Any] | None:
    """Which part of a data set a store holds, as its task says; None for the whole."""
    mark = completion(directory) or {}
    return (mark.get("made_from", {}).get("dataset") or {}).get("subset")


def is_fresh(made_from: Mapping[str, Any]) -> bool:
    """Whether data set, vocabularies and source files still are what a store was made from."""
    dataset = made_from["dataset"]
    if dataset is not None and "files" in dataset:
        places = {path_from_home(path): sha256 for path, sha256 in dataset["files"].items()}
        if not all(path.exists() and sha256_file(path) == sha for path, sha in places.items()):
            return False
    elif dataset is not None:
        place = path_from_home(dataset["directory"])
        if not (place / "dataset_info.json").exists():
            return False
        if dataset_fingerprint(place) != dataset["fingerprint"]:
            return False
    for vocabulary in made_from["vocabularies"].values():
        if vocabulary_hash(vocabulary) != vocabulary["content_sha256"]:
            return False
    return all(module_hash(name) == sha256 for name, sha256 in made_from["modules"].items())


def dataset_fingerprint(directory: epath.Path) -> str:
    """SHA-256 that changes with a TFDS data set: of what it was made from, else of its own info."""
    mark = completion(directory)
    if mark is not None:
        return mark["fingerprint"]
    info = read_json(directory / "dataset_info.json")
    return fingerprint({key: info[key] for key in ("name", "version", "splits") if key in info})


def is_synthetic(directory: epath.Path) -> bool:
    """Whether a TFDS data set says that it was made from the synthetic PhysioNet."""
    mark = completion(directory)
    return bool(mark and mark["made_from"].get("synthetic", False))


def path_in_home(path: str | os.PathLike) -> str:
    """A path below the data home as relative to it, so that the data home can be moved."""
    home, path = os.fspath(current_home()), os.fspath(path)
    return path[len(home) + 1 :] if path.startswith(home + "/") else path


def path_from_home(path: str) -> epath.Path:
    """Undo `path_in_home`."""
    return current_home() / path


def vocabulary_hash(description: Mapping[str, Any]) -> str | None:
    """Content hash of the vocabulary now at the described place; None when it is gone."""
    if description["file"] is None:
        return description["content_sha256"]
    file = path_from_home(description["file"])
    if not file.exists():
        return None
    return content_hash_of(file.read_bytes(), description["extra_ids"])


@functools.lru_cache(maxsize=64)
def module_hash(name: str) -> str | None:
    """SHA-256 of a module's source file; None when it cannot be found."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin or not os.path.exists(spec.origin):
        return None
    return sha256_file(spec.origin)
