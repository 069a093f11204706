"""The examples of a benchmark: those that every other system is scored on, and their raw fields.

The registered SeqIO task says which examples a split has, their ids, units and gold, and how
de-identified spans are written; its data set has the fields (premise and hypothesis, context and
offsets, the sentences around a sentence) that the task's one input text no longer shows. Both are
read by a process of its own, which imports TensorFlow; texts come back through a pipe and are
written nowhere.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clinical_t5x.console import UserError
from clinical_t5x.data.home import tfds_directory
from clinical_t5x.data.loader import Examples
from clinical_t5x.data.subsets import Subset
from clinical_t5x.evaluation.evaluator import TaskSpec
from clinical_t5x.evaluation.metrics import clip_metrics, mednli_metrics, radqa_metrics
from clinical_t5x.evaluation.metrics.components import family_of

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SCORED_SPLITS = (VALIDATION, TEST)

Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Kind:
    """What fine-tuning knows of one of the three benchmarks.

    Attributes:
      name: "mednli", "radqa" or "clip".
      fields: what is kept of a raw record, next to its id.
      metric_fn: its metrics.
      metric: the one that chooses epoch and learning rate on validation (Appendix B of the paper).
      postprocess: as the task's own.
    """

    name: str
    fields: tuple[str, ...]
    metric_fn: Callable[[Sequence[Any], Sequence[Any]], dict[str, float]]
    metric: str
    postprocess: Callable[..., Any]

    @property
    def module(self) -> str:
        """The module that registers the task."""
        return f"tasks.{self.name}"


def _as_it_is(text: str, example: Record | None = None, *, is_target: bool = False) -> Any:
    return text


def _all_answers(text: str, example: Record | None = None, *, is_target: bool = False) -> Any:
    """All gold answers of a target; the text of a prediction without blanks around it."""
    return list(example["answers"]) if is_target else text.strip()


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("mednli", ("premise", "hypothesis", "label"), mednli_metrics, "accuracy", _as_it_is),
        Kind(
            "radqa",
            ("question", "context", "answers", "answer_starts"),
            radqa_metrics,
            "f1",
            _all_answers,
        ),
        Kind(
            "clip",
            ("context_before", "sentence", "context_after", "labels"),
            clip_metrics,
            "macro_f1",
            _as_it_is,
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class Split:
    """One split: raw records in the order of the task's examples.

    Attributes:
      records: id and the fields of `Kind.fields`, de-identified spans written as the task does.
      examples: what evaluation reads; None for the training split.
    """

    records: list[dict[str, Any]]
    examples: Examples | None = None


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A benchmark as it was read.

    Attributes:
      kind: which one.
      task_name: the registered task that is scored.
      train: the part of the training split that is trained on.
      scored: validation and test.
      subset: which part that is.
    """

    kind: Kind
    task_name: str
    train: Split
    scored: Mapping[str, Split]
    subset: Subset

    @property
    def task(self) -> TaskSpec:
        """The task as the evaluator takes it; equal to `TaskSpec.of` of the registered one."""
        family = family_of(self.kind.metric_fn)
        return TaskSpec(
            self.task_name,
            (self.kind.metric_fn,),
            self.kind.postprocess,
            unit=family.unit,
            encode=lambda text: [],  # candidates are known by their text
        )

    @property
    def synthetic(self) -> bool:
        """Whether it was made from the synthetic PhysioNet."""
        return self.scored[VALIDATION].examples.synthetic


def kind_of(task: str) -> Kind:
    """The benchmark of a name, with or without the version: "mednli", "mednli_v1".

    Raises:
      UserError: there is no such benchmark.
    """
    name = task.removesuffix("_v1")
    if name not in KINDS:
        raise UserError(f"--task is {task!r}; it must be one of {', '.join(KINDS)}")
    return KINDS[name]


def check_data_set(task: str, data_dir: str | os.PathLike | None = None) -> None:
    """Refuse a benchmark that was not prepared, at once: before a model or a server is asked.

    Raises:
      UserError: unknown benchmark, or no data set in the data home; with the command that makes it.
    """
    name, tfds = kind_of(task).name, tfds_directory(data_dir)
    if not any((tfds / name).glob("*/dataset_info.json")):
        raise UserError(
            f"there is no data set {name} in {tfds}; make it with: python -m clinical_t5x.prepare"
            f" --physionet DIR --data_dir {tfds.parent}"
        )


def read_benchmark(
    task: str, *, subset: Subset | None = None, data_dir: str | os.PathLike | None = None
) -> Benchmark:
    """Read a benchmark from the data home, in a process of its own.

    Args:
      task: "mednli", "radqa" or "clip".
      subset: the part of the training data that is wanted; by default all of it.
      data_dir: the data home, when not the default one.

    Raises:
      UserError: unknown benchmark, missing data set or vocabulary, nothing left of the training
        data.
    """
    check_data_set(task, data_dir)
    kind, subset = kind_of(task), subset or Subset()
    place = None if data_dir is None else os.fspath(data_dir)
    arguments = (kind.name, subset, place)
    if "tensorflow" in sys.modules:
        task_name, splits = _read(*arguments)
    else:
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as process:
            task_name, splits = process.submit(_read, *arguments).result()
    return Benchmark(kind, task_name, splits.pop(TRAIN), splits, subset)


def _read(kind_name: str, subset: Subset, data_dir: str | None) -> tuple[str, dict[str, Split]]:
    """The scored task's name and all splits; what the process of its own does."""
    from clinical_t5x.console import quiet_third_parties

    quiet_third_parties()
    from clinical_t5x.data.home import reading_from
    from clinical_t5x.data.loader import open_examples
    from clinical_t5x.data.materialise import load_task

    kind = KINDS[kind_name]
    whole = load_task(f"{kind.name}_v1", kind.module)
    scored, trained = whole.name, whole.name
    if not subset.is_whole:
        trained = importlib.import_module(kind.module).register(
            fraction=subset.fraction,
            subset_seed=subset.seed,
            folds=subset.folds,
            fold=subset.fold,
        )
    if subset.folds is not None:
        scored = trained  # its validation split is another one
    with reading_from(data_dir):
        splits = {TRAIN: Split(_raw_records(kind, load_task(trained), TRAIN))}
        for name in SCORED_SPLITS:
            examples = open_examples(scored, split=name, module=kind.module)
            raw = {record["id"]: record for record in _raw_records(kind, load_task(scored), name)}
            records = [raw[record["id"]] for record in examples.records]
            splits[name] = Split(records, examples)
    return scored, splits


def _raw_records(kind: Kind, task: Any, split: str) -> list[dict[str, Any]]:
    """The data set's records after the task's steps that rewrite de-identified spans."""
    from clinical_t5x.data.preprocessors import RewriteText, retag_questions

    dataset = task.source.get_dataset(split, shuffle=False)
    for step in task.preprocessors:
        if not (isinstance(step, RewriteText) or step is retag_questions):
            break
        dataset = step(dataset)
    wanted = ("id", *kind.fields)
    return [
        {name: _plain(record[name]) for name in wanted} for record in dataset.as_numpy_iterator()
    ]


def _plain(value: Any) -> Any:
    """A value of a tf.data record as text, numbers and lists of them."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return [_plain(item) for item in value] if isinstance(value, list) else value
