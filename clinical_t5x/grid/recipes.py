"""How a model is fine-tuned on a task and scored, and the presets that say so for all three.

Two ways to compare fractions of the training data fairly:

* `epochs` (preset paper): every run sees its training data equally often, as the paper's appendix
  has it. 1 % of the data is then 1 % of the updates.
* `steps` (presets laptop and curve): every run makes equally many updates, so that a small fraction
  is not also a short training. It sees its examples more often, and may learn them by heart; that
  costs nothing, because the checkpoint that is best on validation is the one that is scored.

Both keep the best checkpoint on validation, and both can stop early (`patience`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

CONSTANT, RISE_AND_FALL = "constant", "rise_and_fall"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How runs on one task are made, the same for every model, fraction and seed.

    Attributes:
      task: What the grid calls it, such as "mednli".
      name: The registered task on which everything is scored; its training split is what is cut.
      module: The module that registers it; its `register` makes the subsets.
      train_gin: gin file of fine-tuning, included before what the grid says.
      eval_gin: gin file of evaluation.
      metric: Chooses checkpoint and learning rate on validation: a metric of the task, or "loss".
      steps: Updates; None where `epochs` says it.
      epochs: Passes over the fraction of the training data; None where `steps` says it.
      evaluations: How often a run is scored on validation, evenly spaced; None: after each epoch.
      patience: Evaluations without improvement after which a run ends; None: never.
      batch_size: Rows of a batch.
      pack: Whether a row holds several examples where they fit.
      inputs: Tokens of a row's inputs; longer ones are cut, and counted.
      targets: Tokens of a row's targets; None: the longest of the task. None is ever cut.
      learning_rates: Each is trained with; the best on validation is scored.
      schedule: "constant", or "rise_and_fall": a sixteenth of warm-up, then a cosine to nothing.
      beams: Of decoding, on validation and test.
      eval_batch_size: Examples decoded together.
      validation_examples: A fixed random sample of the validation split; None: all of it.
      test_units: A fixed random sample of whole units of the test split (premises, contexts,
        discharge summaries), the same for every system; None: all of it.
      options: Further arguments of `register`, such as CLIP's `window_tokens`.
    """

    task: str
    name: str
    module: str
    train_gin: str
    eval_gin: str
    metric: str
    batch_size: int
    inputs: int
    steps: int | None = None
    epochs: float | None = None
    evaluations: int | None = None
    patience: int | None = None
    pack: bool = False
    targets: int | None = None
    learning_rates: tuple[float, ...] = (1e-4,)
    schedule: str = CONSTANT
    beams: int = 1
    eval_batch_size: int = 64
    validation_examples: int | None = None
    test_units: int | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def scored_name(self) -> str:
        """The task that is evaluated: `name`, and its options where there are any."""
        parts = [f"{option}_{value}" for option, value in sorted(self.options.items())]
        return "_".join([self.name, *parts])

    @property
    def watched(self) -> str:
        """The metric that chooses, as metrics.jsonl names it."""
        kind = "eval" if self.metric == "loss" else "inference_eval"
        return f"{kind}/{self.scored_name}/{self.metric}"

    @property
    def lower_is_better(self) -> bool:
        """Of the metric that chooses."""
        return self.metric == "loss"


@dataclasses.dataclass(frozen=True)
class Preset:
    """A recipe for each task, and what else a grid takes unless it is told otherwise."""

    description: str
    model_gin: str
    tasks: tuple[str, ...]
    fractions: tuple[float, ...]
    seeds: tuple[int, ...]
    recipes: Mapping[str, Mapping[str, Any]]


def known_task(task: str) -> dict[str, Any]:
    """What this project's own tasks are called."""
    return {
        "name": f"{task}_v1",
        "module": f"tasks.{task}",
        "train_gin": f"gin/finetune_{task}.gin",
        "eval_gin": f"gin/eval_{task}.gin",
        "metric": {"mednli": "accuracy", "radqa": "f1", "clip": "macro_f1"}[task],
    }


KNOWN_TASKS = ("mednli", "radqa", "clip")

# Lehman et al. 2023, Appendix B: batch 64, Adafactor at a constant 1e-4, the best epoch on
# validation by accuracy, F1 and macro F1.
_PAPER = {"batch_size": 64, "learning_rates": (1e-4,), "schedule": CONSTANT, "pack": False}
_PAPER_TASKS = {
    "mednli": {**_PAPER, "epochs": 40, "beams": 3, "inputs": 256},
    "radqa": {**_PAPER, "epochs": 50, "beams": 1, "inputs": 1024},
    "clip": {**_PAPER, "epochs": 40, "beams": 5, "inputs": 256},
}

# For a tiny model on two CPU cores: rows that hold several examples, small batches, greedy.
_LAPTOP = {
    "batch_size": 2,
    "pack": True,
    "learning_rates": (0.02,),
    "schedule": RISE_AND_FALL,
    "beams": 1,
    "evaluations": 4,
    "validation_examples": 400,
}
_LAPTOP_TASKS = {
    "mednli": {**_LAPTOP, "steps": 2400, "inputs": 256},
    "radqa": {**_LAPTOP, "steps": 3000, "inputs": 384},
    # a model this small gives hardly a label at first: macro F1 is 0 for all checkpoints alike
    "clip": {
        **_LAPTOP,
        "steps": 2000,
        "inputs": 256,
        "metric": "loss",
        "validation_examples": 640,
    },
}

# For 36 runs (MedNLI and CLIP) in less than an hour on two cores: 57 minutes measured.
_CURVE_TASKS = {
    "mednli": {**_LAPTOP_TASKS["mednli"], "steps": 1000, "evaluations": 3},
    "radqa": {**_LAPTOP_TASKS["radqa"], "steps": 600, "evaluations": 3},
    "clip": {**_LAPTOP_TASKS["clip"], "steps": 600, "evaluations": 2, "test_units": 30},
}

PRESETS = {
    "paper": Preset(
        description="epochs, batch, rate, beams and lengths of the paper's appendix",
        model_gin="gin/models/clinical_base.gin",
        tasks=KNOWN_TASKS,
        fractions=(0.01, 0.05, 0.1, 0.25, 1.0),
        seeds=(1, 2, 3),
        recipes=_PAPER_TASKS,
    ),
    "laptop": Preset(
        description="a tiny model on two CPU cores, equally many steps for every fraction",
        model_gin="gin/models/tiny.gin",
        tasks=KNOWN_TASKS,
        fractions=(0.01, 0.1, 1.0),
        seeds=(1, 2, 3),
        recipes=_LAPTOP_TASKS,
    ),
    "curve": Preset(
        description="a low-resource curve of MedNLI and CLIP in an hour on two CPU cores",
        model_gin="gin/models/tiny.gin",
        tasks=("mednli", "clip"),
        fractions=(0.01, 0.1, 1.0),
        seeds=(1, 2, 3),
        recipes=_CURVE_TASKS,
    ),
}
