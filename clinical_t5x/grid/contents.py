"""What a grid's inputs contain, as short hashes: paths alone do not tell one input from another.

Nothing here raises for an input that is gone or damaged: that is a value like any other, and so
unlike the one that a run was begun with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.grid.recipes import KNOWN_TASKS, Recipe, known_task

GONE = "missing or damaged"
UNKNOWN = "not known"

_DIGITS = 16  # of a hash
_BLOCK = 1 << 20
_BLOCKS = 64  # of a file: a smaller one is read as a whole


class Contents:
    """Fingerprints of what a grid's runs are made from, each computed once and when it is asked.

    Args:
      data_dir: The data home; None: the default one.
    """

    def __init__(self, data_dir: str | None):
        self._data_dir = data_dir
        self._known: dict[tuple[str, str], Any] = {}

    def data(self, recipe: Recipe) -> dict[str, str]:
        """Of the data set and the vocabulary of a task."""
        return self._once("data", recipe.task, lambda: _data(recipe, self._data_dir))

    def gin(self, name: str) -> str:
        """Of what a gin file says, with the files that it includes; comments do not count."""
        return self._once("gin", name, lambda: _gin(name))

    def checkpoint(self, path: str) -> str:
        """Of a checkpoint; the newest one where the path is a MODEL_DIR, with its name."""
        return self._once("checkpoint", path, lambda: _checkpoint(storage.absolute(path)))

    def _once(self, kind: str, name: str, compute: Callable[[], Any]) -> Any:
        if (kind, name) not in self._known:
            self._known[kind, name] = compute()
        return self._known[kind, name]


def _data(recipe: Recipe, data_dir: str | None) -> dict[str, str]:
    from clinical_t5x.launch.environment import data_home_of

    with data_home_of(data_dir):
        return _own_data(recipe.task) if _is_own(recipe) else _others_data(recipe)


def _is_own(recipe: Recipe) -> bool:
    """Whether it is this project's task of that name; a grid's file may say otherwise."""
    if recipe.task not in KNOWN_TASKS:
        return False
    own = known_task(recipe.task)
    return (recipe.name, recipe.module) == (own["name"], own["module"])


def _own_data(task: str) -> dict[str, str]:
    """Of this project's tasks, without TensorFlow, which takes seconds to import."""
    from clinical_t5x.data.builders.versions import BENCHMARKS
    from clinical_t5x.data.home import tfds_directory, vocabulary_directory
    from clinical_t5x.data.vocabulary import MODEL_FILE

    vocabulary = vocabulary_directory("clinical") / MODEL_FILE
    return {
        "data_set": _data_set(tfds_directory() / task / BENCHMARKS[task]),
        "vocabulary": _short(storage.sha256_file(vocabulary)) if vocabulary.exists() else GONE,
    }


def _others_data(recipe: Recipe) -> dict[str, str]:
    """Of a task of another module, as far as its source and its vocabularies say."""
    from clinical_t5x.data.materialise import describe_vocabulary, load_task

    try:
        task = load_task(recipe.name, recipe.module)
        features = task.output_features.values()
        vocabularies = [describe_vocabulary(feature.vocabulary) for feature in features]
        data_set = _of_source(task.source)
    except (UserError, OSError, ImportError):
        return {"data_set": GONE, "vocabulary": GONE}
    hashes = [vocabulary["content_sha256"] for vocabulary in vocabularies]
    return {"data_set": data_set, "vocabulary": _short(storage.fingerprint(hashes))}


def _of_source(source: Any) -> str:
    if hasattr(source, "files_of"):
        files = {str(path) for split in source.splits for path in source.files_of(split)}
        return _short(storage.fingerprint([storage.sha256_file(path) for path in sorted(files)]))
    return _data_set(epath.Path(source.directory)) if hasattr(source, "directory") else UNKNOWN


def _data_set(directory: epath.Path) -> str:
    from clinical_t5x.data.store_catalog import dataset_fingerprint

    if not (directory / "dataset_info.json").exists():
        return GONE
    try:
        return _short(dataset_fingerprint(directory))
    except (OSError, ValueError, KeyError):
        return GONE


def _gin(name: str) -> str:
    from clinical_t5x.launch.gin_reading import read_configuration
    from clinical_t5x.launch.search_path import SearchPath

    try:
        found = read_configuration([name], [], SearchPath())
    except (UserError, OSError, UnicodeDecodeError):
        return GONE
    said = [repr((b.scope, b.selector, b.parameter, b.value)) for b in found.bindings]
    imported = [f"{one.module} as {one.name}" for one in found.imports]
    return _short(storage.fingerprint([said, imported]))


def _checkpoint(place: epath.Path) -> str:
    from clinical_t5x.interop import layouts

    if place.exists() and layouts.layout_of(place) is None:
        steps = layouts.steps(place)
        place = place / f"checkpoint_{steps[-1]}" if steps else place
    layout = layouts.layout_of(place) if place.exists() else None
    if layout is None:
        return GONE
    digest = _position(place) if layout == layouts.NATIVE else _files(place, layout)
    return f"{place.name} {digest}"


def _position(place: epath.Path) -> str:
    """Of one of our own checkpoints, which keeps a checksum of every array."""
    from clinical_t5x.interop.native import read_position
    from clinical_t5x.interop.source import CheckpointError

    try:
        position = read_position(place)
    except (CheckpointError, OSError):
        return GONE
    return _short(storage.fingerprint([position["step"], position["checksums"]]))


def _files(place: epath.Path, layout: str) -> str:
    """Of a checkpoint of another layout, which has no checksums: of samples of its files."""
    paths = sorted(_files_that_count(place, layout)) if place.is_dir() else [place]
    sampled = {str(path.relative_to(place)): _sampled(path) for path in paths}
    return _short(storage.fingerprint(sampled))


def _files_that_count(place: epath.Path, layout: str) -> Iterable[epath.Path]:
    """All of T5X's; of a Hugging Face directory, which may hold anything, weights and network."""
    from clinical_t5x.interop import layouts

    if layout == layouts.T5X:
        return _files_below(place)
    entries = (path for path in place.iterdir() if path.is_file())
    return [p for p in entries if p.name == "config.json" or layouts.layout_of(p) is not None]


def _files_below(place: epath.Path) -> Iterator[epath.Path]:
    for path in place.iterdir():
        if path.is_dir():
            yield from _files_below(path)
        else:
            yield path


def _sampled(path: epath.Path) -> str:
    """SHA-256 of a file's size and of blocks evenly spread over it: seconds where all of it would
    take minutes, and training leaves no block of a model's weights as it was."""
    size = path.stat().length
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in _starts(size):
            file.seek(start)
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def _starts(size: int) -> Iterable[int]:
    """Where the blocks of a file begin: one after the other where so many cover it."""
    if size <= _BLOCKS * _BLOCK:
        return range(0, size, _BLOCK)
    return [number * (size - _BLOCK) // (_BLOCKS - 1) for number in range(_BLOCKS)]


def _short(digest: str) -> str:
    return digest[:_DIGITS]
