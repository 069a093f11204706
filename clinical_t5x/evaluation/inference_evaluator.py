"""Decoded evaluation under T5X's name for it: what `inference_evaluator_cls` makes.

T5X's run files bind `@seqio.Evaluator`; `evaluator_factory` keeps what they bind (`num_examples`,
`logger_cls`) and puts this evaluator in its place, which reads token stores instead of a tf.data
pipeline, resamples units and writes the results store. Google's T5X uses the same tasks and
metric functions with its own `seqio.Evaluator`.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.evaluator import Evaluator, TaskSpec
from clinical_t5x.evaluation.metrics.groups import positions_of_groups
from clinical_t5x.evaluation.predictor import Predictor
from clinical_t5x.evaluation.results import Evaluation, Provenance

# Parameters of seqio.Evaluator that steer its tf.data pipeline, which does not run here.
_IGNORED = (
    "feature_converter",
    "use_cached",
    "shuffle",
    "use_memory_cache",
    "async_compute_metrics",
    "target_field_name",
)


class InferenceEvaluator:
    """Evaluates a predictor on every task of a mixture that has the split and metrics.

    Args:
      mixture_or_task_name: a SeqIO task or mixture.
      eval_split: the split.
      seed: of the sample when `num_examples` is given.
      sequence_length: tokens a feature, {'inputs': 512, 'targets': 62}; None cuts nothing.
      num_examples: evaluate a random sample of this many examples, the same every time (T5X takes
        the first ones); None takes all.
      num_units: instead of single examples, a random sample of this many whole units (premises,
        contexts, discharge summaries), so that intervals by unit stay valid; None takes all.
      logger_cls: classes of SeqIO loggers, made with `output_dir=log_dir`. They receive the metrics
        and never the texts; SeqIO's JSONLogger is left out, since
        `inference_eval/TASK-metrics.jsonl` is written in any case.
      log_dir: MODEL_DIR/inference_eval; results and predictions go beside it. None writes nothing.
      module: module that registers the task.
      data_dir: the data home, when not the default one.
      with_text: also keep texts in the predictions file.
      with_scores: also score answers by likelihood: probabilities, calibration, thresholds. Costs
        about one more forward pass over the inputs and all candidate targets (docs/evaluation.md).
      thresholds: a run directory that holds thresholds tuned on validation; default: this one.
      ignored: the other parameters of seqio.Evaluator; they have no meaning here.
    """

    def __init__(
        self,
        mixture_or_task_name: str,
        *,
        eval_split: str = "validation",
        seed: int = 42,
        sequence_length: Mapping[str, int | None] | None = None,
        num_examples: int | None = None,
        num_units: int | None = None,
        logger_cls: Sequence[Callable[..., Any]] = (),
        log_dir: str | os.PathLike | None = None,
        module: str | None = None,
        data_dir: str | os.PathLike | None = None,
        with_text: bool = False,
        with_scores: bool = False,
        thresholds: str | os.PathLike | None = None,
        **ignored: Any,
    ):
        if num_examples is not None and num_units is not None:
            raise UserError("InferenceEvaluator: name num_examples or num_units, not both")
        unknown = sorted(set(ignored) - set(_IGNORED))
        if unknown:
            raise UserError(f"the evaluator has no parameter {', '.join(unknown)}")
        self.eval_split = eval_split
        self._log_dir = None if log_dir is None else epath.Path(log_dir)
        self._loggers = _loggers(logger_cls, self._log_dir)
        self._evaluators = [
            Evaluator(
                TaskSpec.of(task),
                _sample(
                    _open(task.name, eval_split, sequence_length, module, data_dir),
                    num_examples,
                    num_units,
                    seed,
                ),
                split=eval_split,
                output_dir=None if self._log_dir is None else self._log_dir.parent,
                with_text=with_text,
                with_scores=with_scores,
                thresholds=thresholds,
            )
            for task in _tasks(mixture_or_task_name, eval_split, module)
        ]

    @property
    def eval_tasks(self) -> tuple[str, ...]:
        """Names of the tasks that are evaluated."""
        return tuple(evaluator.task.name for evaluator in self._evaluators)

    @property
    def vocabularies(self) -> dict[str, dict[str, str]]:
        """By task: content hash of the vocabulary of its inputs and of its targets."""
        return {e.task.name: e.examples.vocabularies for e in self._evaluators}

    def evaluate(self, predictor: Predictor, provenance: Provenance) -> dict[str, Evaluation]:
        """Evaluate one predictor, by task name; `provenance` says what it is."""
        found = {}
        for evaluator in self._evaluators:
            evaluation = evaluator.run(predictor, provenance)
            found[evaluator.task.name] = evaluation
            if evaluation.directory is None:  # not one that was there already
                self._log(evaluator.task.name, evaluation, provenance.checkpoint_step)
        return found

    def _log(self, task_name: str, evaluation: Evaluation, step: int | None) -> None:
        if not self._loggers:
            return
        from seqio.metrics import Scalar

        metrics = {result.metric: Scalar(result.value) for result in evaluation.results}
        for logger in self._loggers:
            logger(task_name, step, metrics, dataset=None, inferences=None, targets=None)


@dataclasses.dataclass(frozen=True)
class ExampleSubset:
    """Some examples of a split, in order, with the interface of the whole."""

    whole: Any
    positions: tuple[int, ...]

    @property
    def records(self) -> list[dict[str, Any]]:
        """Records of the chosen examples."""
        return [self.whole.records[k] for k in self.positions]

    @property
    def inputs(self) -> list[np.ndarray]:
        """Input tokens of the chosen examples."""
        return [self.whole.inputs[k] for k in self.positions]

    @property
    def targets(self) -> list[np.ndarray]:
        """Target tokens of the chosen examples."""
        return [self.whole.targets[k] for k in self.positions]

    @property
    def task_version(self) -> str:
        """The task's version, marked as a sample, since it is comparable to equal samples only."""
        return f"{self.whole.task_version}/sample-{len(self.positions)}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)


def random_subset(examples: Any, size: int, seed: int) -> Any:
    """A random sample of examples, in order; a function of the seed and the number of examples.

    Examples that share a question (their records have the same `group`) are one: `size` counts
    questions, and a question comes with all its examples or not at all.
    """
    groups = [str(record.get("group", k)) for k, record in enumerate(examples.records)]
    positions = list(positions_of_groups(groups).values())
    if size >= len(positions):
        return examples
    chosen = np.random.default_rng(seed).choice(len(positions), size=size, replace=False)
    return ExampleSubset(examples, tuple(sorted(p for k in chosen for p in positions[k])))


def random_units(examples: Any, size: int, seed: int) -> Any:
    """All examples of a random sample of units, in order; a function of the seed and the units.

    Which units are taken does not depend on the order of the examples.
    """
    of_example = [str(record.get("unit", record["id"])) for record in examples.records]
    units = sorted(set(of_example))
    if size >= len(units):
        return examples
    chosen = {units[k] for k in np.random.default_rng(seed).choice(len(units), size, replace=False)}
    return ExampleSubset(examples, tuple(k for k, u in enumerate(of_example) if u in chosen))


def evaluator_factory(evaluator_cls: Any) -> Callable[..., InferenceEvaluator]:
    """A maker of our evaluator from what a configuration gives as `inference_evaluator_cls`.

    Args:
      evaluator_cls: `InferenceEvaluator` or a configured form of it; or `seqio.Evaluator` as a gin
        file binds it, whose bound parameters are kept; or None.
    """
    if evaluator_cls is None:
        return InferenceEvaluator
    if not any(base.__module__.startswith("seqio.") for base in _bases(evaluator_cls)):
        return evaluator_cls
    bound = _gin_bindings(evaluator_cls)

    def make(*args: Any, **kwargs: Any) -> InferenceEvaluator:
        return InferenceEvaluator(*args, **{**bound, **kwargs})

    return make


def _bases(evaluator_cls: Any) -> tuple[type, ...]:
    return inspect.getmro(evaluator_cls) if inspect.isclass(evaluator_cls) else ()


def _gin_bindings(evaluator_cls: Any) -> dict[str, Any]:
    """What gin binds to the class; gin hands over a subclass of the one that it registered."""
    import gin

    for base in _bases(evaluator_cls):
        try:
            return dict(gin.get_bindings(base))
        except ValueError:  # gin does not know this one
            continue
    return {}


def _tasks(name: str, split: str, module: str | None) -> list[Any]:
    from clinical_t5x.data.materialise import load_task

    provider = load_task(name, module)
    tasks = list(getattr(provider, "tasks", [provider]))
    chosen = [task for task in tasks if task.metric_fns and split in task.splits]
    if not chosen:
        raise UserError(
            f"{name} has no task with metrics and a split {split!r}; name a benchmark task, or"
            " another split (DatasetConfig.split)"
        )
    return chosen


def _open(
    task_name: str,
    split: str,
    lengths: Mapping[str, int | None] | None,
    module: str | None,
    data_dir: str | os.PathLike | None,
) -> Any:
    from clinical_t5x.data.loader import open_examples

    given = {name: length for name, length in (lengths or {}).items() if length}
    return open_examples(
        task_name, split=split, feature_lengths=given or None, data_dir=data_dir, module=module
    )


def _sample(examples: Any, num_examples: int | None, num_units: int | None, seed: int) -> Any:
    if num_units is not None:
        return random_units(examples, num_units, seed)
    return examples if num_examples is None else random_subset(examples, num_examples, seed)


def _loggers(classes: Sequence[Callable[..., Any]], log_dir: epath.Path | None) -> list[Any]:
    if log_dir is None:
        return []
    json_names = ("JSONLogger",)
    wanted = [cls for cls in classes if not any(b.__name__ in json_names for b in _bases(cls))]
    return [cls(output_dir=os.fspath(log_dir)) for cls in wanted]
