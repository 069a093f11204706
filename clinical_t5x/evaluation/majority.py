"""The floor: the answer that is most frequent in training, given to every question.

MedNLI: the most frequent label. RadQA: no answer. CLIP: no label. They go through the same
evaluator and the same results store as models do.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.evaluator import Evaluator, TaskSpec
from clinical_t5x.evaluation.metrics.components import as_text
from clinical_t5x.evaluation.predictor import Generation, Request
from clinical_t5x.evaluation.results import Evaluation, Provenance

INITIALISATION = "majority"


class ConstantPredictor:
    """Answers every request with the same text."""

    def __init__(self, text: str):
        self.text = text

    def identity(self) -> str:
        """The constant text: it is a label or empty."""
        return f"constant {self.text!r}"

    def generate(
        self, requests: Sequence[Request], *, max_target_tokens: int
    ) -> Iterator[tuple[int, Generation]]:
        """The same answer for each position."""
        for position in range(len(requests)):
            yield position, Generation(self.text)

    def score(self, requests: Sequence[Request], targets: Sequence[np.ndarray]) -> np.ndarray:
        """A constant assigns no probabilities."""
        raise UserError("the majority baseline has no likelihoods to score with")


def most_frequent_label(targets: Sequence[str]) -> str:
    """The most frequent target text; of equally frequent ones the first in the alphabet."""
    counts = collections.Counter(targets)
    if not counts:
        raise UserError("the training split is empty: there is no most frequent label")
    return min(counts, key=lambda label: (-counts[label], label))


def no_answer(targets: Sequence[str]) -> str:
    """The empty answer, whatever the training split says."""
    return ""


# What the floor is for each metric family, from the target texts of the training split.
FLOORS: dict[str, tuple[str, Callable[[Sequence[str]], str]]] = {
    "mednli": ("most frequent label", most_frequent_label),
    "radqa": ("empty answer", no_answer),
    "clip": ("no label", no_answer),
}


def evaluate_majority(
    task: TaskSpec,
    train_examples: Any,
    examples: Any,
    *,
    split: str,
    output_dir: str | os.PathLike,
) -> Evaluation:
    """Evaluate the floor of a benchmark and write it into the results store.

    Args:
      task: the task, of one of the metric families in `FLOORS`.
      train_examples: the training split; only its target texts are read.
      examples: the split to evaluate on.
      split: its name.
      output_dir: a run directory of its own.
    """
    kinds = [family.name for family in task.families if family.name in FLOORS]
    if not kinds:
        raise UserError(f"{task.name} has no majority baseline; there is one for {list(FLOORS)}")
    name, choose = FLOORS[kinds[0]]
    text = choose([as_text(record["targets_pretokenized"]) for record in train_examples.records])
    evaluator = Evaluator(task, examples, split=split, output_dir=output_dir)
    provenance = Provenance(name, INITIALISATION)
    return evaluator.run(ConstantPredictor(text), provenance)


def majority_of_task(
    task_name: str,
    *,
    output_dir: str | os.PathLike,
    split: str = "test",
    module: str | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Evaluation:
    """Evaluate the floor of a registered task, its data read from the data home."""
    from clinical_t5x.data.loader import open_examples
    from clinical_t5x.data.materialise import load_task

    task = TaskSpec.of(load_task(task_name, module))
    train, chosen = (
        open_examples(task_name, split=name, data_dir=data_dir, module=module)
        for name in ("train", split)
    )
    return evaluate_majority(task, train, chosen, split=split, output_dir=output_dir)
