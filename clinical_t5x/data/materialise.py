"""From a SeqIO task to a token store: the one step of training that imports SeqIO and TensorFlow.

A task with span corruption after its cache placeholder becomes a stream of documents, each followed
by the end-of-sequence id; any other task is run once, in order and untrimmed, into examples.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath

import clinical_t5x
from clinical_t5x.console import Progress, UserError
from clinical_t5x.data import store_catalog
from clinical_t5x.data.made_once import make_once
from clinical_t5x.data.quiet_import import import_tensorflow
from clinical_t5x.data.span_corruption import SpanCorruption
from clinical_t5x.data.token_store import EXAMPLES, STREAM, TokenStoreWriter
from clinical_t5x.data.vocabulary import content_hash_of, read_model, sentinel_ids_of
from clinical_t5x.storage import fingerprint, sha256_file

# Gold and pass-through features that an evaluation needs; whole contexts stay in the data set.
_TOKEN_FEATURES = ("inputs", "targets")
_NEVER_IN_RECORDS = (*_TOKEN_FEATURES, "context", "context_before", "context_after")


def load_task(task_name: str, module: str | None = None) -> Any:
    """The SeqIO task (or mixture) of that name, after importing the module that registers it."""
    import_tensorflow()
    import seqio

    if module:
        _import_task_module(module)
    try:
        return seqio.get_mixture_or_task(task_name)
    except ValueError as error:
        known = sorted({*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()})
        near = difflib.get_close_matches(task_name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"there is no task {task_name!r} among {', '.join(known) or 'no registered tasks'}"
            f"{hint} (MIXTURE_OR_TASK_NAME; MIXTURE_OR_TASK_MODULE is {module!r})"
        ) from error


def _import_task_module(module: str) -> None:
    if os.getcwd() not in sys.path:  # a user's own task module lies where the command is typed
        sys.path.append(os.getcwd())
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")):
            raise UserError(
                f"MIXTURE_OR_TASK_MODULE names the module {module!r}, which cannot be found from"
                f" {os.getcwd()}"
            ) from error
        raise


def materialise(
    task_name: str,
    *,
    split: str,
    feature_lengths: Mapping[str, int] | None = None,
    module: str | None = None,
) -> epath.Path:
    """The finished token store of a task's split, written now unless it is already there.

    Of the processes that share its place, one writes it and the others wait.

    Args:
      task_name: name of a SeqIO task.
      split: one of its splits.
      feature_lengths: only for tasks whose own preprocessors ask for lengths.
      module: module that registers the task when imported.

    Returns:
      The store's directory.

    Raises:
      UserError: unknown task or split, missing data set or vocabulary.
    """
    task = load_task(task_name, module)
    if split not in task.splits:
        raise UserError(
            f"the task {task_name} has no split {split!r}; it has {', '.join(task.splits)}"
        )
    lengths = dict(feature_lengths) if feature_lengths and _asks_for_lengths(task) else None
    made_from = _made_from(task, split, lengths)
    directory = store_catalog.store_path(made_from)
    made_here = make_once(
        directory,
        made_from,
        functools.partial(_write_store, task, split, lengths, made_from),
        what=f"token store of {task_name} {split}",
        total=_number_of_examples(task, split),
    )
    if made_here:
        _remove_stale_stores(task_name, split, keep=directory)
    return directory


def _number_of_examples(task: Any, split: str) -> int | None:
    """None where a step makes several examples of a record: how many is known in the end."""
    if any(getattr(step, "changes_number", False) for step in task.preprocessors):
        return None
    total = task.source.num_input_examples(split)
    return None if total in (None, float("inf")) else int(total)


def _write_store(
    task: Any,
    split: str,
    lengths: dict | None,
    made_from: dict,
    directory: epath.Path,
    count: Callable[[int], None],
) -> None:
    corruption = span_corruption_of(task)
    features = ("tokens",) if corruption else _TOKEN_FEATURES
    vocabulary = task.output_features["targets"].vocabulary
    sentinels = sentinel_ids_of(vocabulary)
    items = _documents(task, split) if corruption else _examples(task, split, lengths)
    total = _number_of_examples(task, split)
    with (
        TokenStoreWriter(directory, features, _largest_vocabulary(task)) as writer,
        Progress(f"tokens of {task.name} {split}", total, unit="examples") as progress,
    ):
        for number, (tokens, record) in enumerate(items, start=1):
            writer.add(tokens, record)
            progress.advance()
            count(number)
    description = {
        "task": task.name,
        "split": split,
        "kind": STREAM if corruption else EXAMPLES,
        "created_by": f"clinical_t5x {clinical_t5x.__version__}",
        "content": {
            "kind": STREAM if corruption else EXAMPLES,
            "vocabularies": {
                name: description["content_sha256"]
                for name, description in made_from["vocabularies"].items()
            },
            "span_corruption": _corruption_description(corruption),
        },
        "definition": fingerprint(made_from["preprocessors"]),
        "synthetic": bool((made_from["dataset"] or {}).get("synthetic", False)),
        "eos_id": int(vocabulary.eos_id),
        "vocab_size": int(vocabulary.vocab_size),
        "extra_ids": len(sentinels),
        **({"sentinel_start": int(sentinels[0])} if sentinels else {}),
    }
    writer.finish(description)


def span_corruption_of(task: Any) -> SpanCorruption | None:
    """The task's span corruption, when it is the one preprocessor after the cache placeholder."""
    import seqio

    steps = list(task.preprocessors)
    places = [i for i, step in enumerate(steps) if isinstance(step, seqio.CacheDatasetPlaceholder)]
    after = steps[places[0] + 1 :] if places else []
    return after[0] if len(after) == 1 and isinstance(after[0], SpanCorruption) else None


def _documents(task: Any, split: str) -> Iterator[tuple[dict[str, np.ndarray], None]]:
    """Token ids of every document with the end-of-sequence id, in the data set's order."""
    eos_id = task.output_features["targets"].vocabulary.eos_id
    dataset = task.source.get_dataset(split, shuffle=False)
    for example in task.preprocess_precache(dataset, seed=0).as_numpy_iterator():
        yield {"tokens": np.append(example["targets"], eos_id)}, None


def _examples(
    task: Any, split: str, lengths: dict | None
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, Any]]]:
    dataset = task.get_dataset(
        sequence_length=lengths, split=split, shuffle=False, num_epochs=1, seed=0,
        try_in_mem_cache=False,
    )  # fmt: skip
    for position, example in enumerate(dataset.as_numpy_iterator()):
        tokens = {name: example[name] for name in _TOKEN_FEATURES}
        # other people's tasks have no ids; evaluation tells examples apart by them
        yield tokens, {"id": str(position), **_record(example)}


def _record(example: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in example.items() if name not in _NEVER_IN_RECORDS}


def _plain(value: Any) -> Any:
    """A numpy value of a tf.data example as JSON can hold it."""
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _made_from(task: Any, split: str, lengths: dict | None) -> dict[str, Any]:
    """Everything whose change makes the store stale."""
    return {
        "task": task.name,
        "split": split,
        "lengths": lengths,
        "dataset": _dataset_description(task.source, split),
        "vocabularies": {
            name: describe_vocabulary(feature.vocabulary)
            for name, feature in task.output_features.items()
        },
        "preprocessors": [describe_step(step) for step in task.preprocessors],
        "modules": {
            name: store_catalog.module_hash(name)
            for name in sorted(
                _modules_of(task.preprocessors).union(getattr(task.source, "RELIES_ON", ()))
            )
        },
    }


def _dataset_description(source: Any, split: str) -> dict[str, Any] | None:
    check = getattr(source, "check", None)
    if check is None:
        return None
    check()
    if hasattr(source, "files_of"):
        files = {store_catalog.path_in_home(p): sha256_file(p) for p in source.files_of(split)}
        return {"files": files}
    subset = getattr(source, "subset", None)
    return {
        "directory": store_catalog.path_in_home(source.directory),
        "fingerprint": store_catalog.dataset_fingerprint(source.directory),
        "synthetic": store_catalog.is_synthetic(source.directory),
        **({} if subset is None else {"subset": subset.description()}),
    }


def describe_vocabulary(vocabulary: Any) -> dict[str, Any]:
    """Where a vocabulary lies and what it holds; any with SeqIO's interface."""
    file = getattr(vocabulary, "sentencepiece_model_file", None)
    extra_ids = int(vocabulary.extra_ids)
    if file is None:
        content = getattr(vocabulary, "content_hash", None) or _plain_name(vocabulary)
    else:
        content = content_hash_of(read_model(file), extra_ids)
    return {
        "file": None if file is None else store_catalog.path_in_home(file),
        "extra_ids": extra_ids,
        "content_sha256": content,
    }


def _plain_name(vocabulary: Any) -> str:
    """A vocabulary without a file, such as SeqIO's of bytes, the same in every process."""
    if " at 0x" not in repr(vocabulary):
        return repr(vocabulary)
    kind = type(vocabulary)
    return f"{kind.__module__}.{kind.__qualname__}({vocabulary.vocab_size} ids)"


def describe_step(step: Any) -> str:
    """A preprocessor by name and arguments, the same in every process."""
    if hasattr(step, "func"):  # functools.partial
        arguments = [*map(repr, step.args), *(f"{k}={v!r}" for k, v in step.keywords.items())]
        return f"{describe_step(step.func)}({', '.join(arguments)})"
    if hasattr(step, "__qualname__"):
        return f"{step.__module__}.{step.__qualname__}"
    return repr(step) if " at 0x" not in repr(step) else type(step).__qualname__


def _modules_of(steps: Any) -> set[str]:
    """Modules whose source decides what the steps do, SeqIO and TensorFlow left out."""
    functions = [getattr(step, "func", step) for step in steps]
    modules = {getattr(function, "__module__", "") or "" for function in functions}
    modules = {name for name in modules if name and not name.startswith(("seqio", "tensorflow"))}
    return modules.union(*(getattr(sys.modules.get(name), "RELIES_ON", ()) for name in modules))


def _asks_for_lengths(task: Any) -> bool:
    """Whether a preprocessor other than SeqIO's end-of-sequence step depends on the lengths."""
    import inspect

    import seqio

    own = (seqio.CacheDatasetPlaceholder, SpanCorruption)
    steps = [step for step in task.preprocessors if not isinstance(step, own)]
    steps = [step for step in steps if step is not seqio.preprocessors.append_eos_after_trim]
    return any("sequence_length" in inspect.signature(step).parameters for step in steps)


def _corruption_description(corruption: SpanCorruption | None) -> dict[str, float] | None:
    if corruption is None:
        return None
    return {
        "noise_density": corruption.noise_density,
        "mean_span_length": corruption.mean_span_length,
    }


def _largest_vocabulary(task: Any) -> int:
    return max(feature.vocabulary.vocab_size for feature in task.output_features.values())


def _remove_stale_stores(task_name: str, split: str, keep: epath.Path) -> None:
    for directory, made_from in store_catalog.stores_of(task_name, split):
        if directory.name != keep.name and not store_catalog.is_fresh(made_from):
            with contextlib.suppress(FileNotFoundError):  # another process removes it too
                directory.rmtree()
