"""One run of a grid: its name, its place, and what its result depends on."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from typing import Any

from etils import epath

from clinical_t5x import storage
from clinical_t5x.grid.description import MAJORITY, Grid, Model, percentage
from clinical_t5x.grid.recipes import Recipe
from clinical_t5x.training.settings import rate_name

RUNS = "runs"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A model, fine-tuned on a fraction of one task's training split with one seed, and scored.

    Attributes:
      grid: What it is part of.
      recipe: How it is made.
      model: What it begins from; None for the majority baseline, which trains nothing.
      fraction: Of the training split.
      seed: Of parameters, dropout and order; None for the baseline.
    """

    grid: Grid
    recipe: Recipe
    model: Model | None
    fraction: float = 1.0
    seed: int | None = None

    @property
    def name(self) -> str:
        """The run's name, which is also its directory's."""
        if self.model is None:
            return f"{MAJORITY}-{self.recipe.task}"
        return f"{self.model.name}-{self.recipe.task}-{percentage(self.fraction)}-seed{self.seed}"

    @property
    def title(self) -> str:
        """The run in words."""
        if self.model is None:
            return f"{self.recipe.task}, majority answer"
        part = f"{percentage(self.fraction).removesuffix('pct')} % of training"
        return f"{self.recipe.task}, {self.model.name}, {part}, seed {self.seed}"

    @property
    def directory(self) -> epath.Path:
        """Where everything of the run lies."""
        return self.grid.out / RUNS / self.name

    def model_dir(self, rate: float) -> epath.Path:
        """MODEL_DIR of the training with one learning rate."""
        return self.directory / f"rate_{rate_name(rate)}"

    @property
    def test_dir(self) -> epath.Path:
        """EVAL_OUTPUT_DIR of the test split."""
        return self.directory / "test"

    @property
    def subset_seed(self) -> int | None:
        """Which subset of the training split it is; None for all of it."""
        if self.model is None or self.fraction == 1.0:
            return None
        return self.seed if self.grid.subset_seed is None else self.grid.subset_seed

    @property
    def training_name(self) -> str:
        """The task that is trained on: of the whole training split, or of a part of it."""
        if self.subset_seed is None:
            return self.recipe.scored_name
        part = f"train_{percentage(self.fraction)}_seed{self.subset_seed}"
        return f"{self.recipe.scored_name}_{part}"

    @property
    def made_from(self) -> dict[str, Any]:
        """What the result depends on; a run that was begun from anything else is another run."""
        described: dict[str, Any] = {
            "recipe": dataclasses.asdict(self.recipe),
            "model": None if self.model is None else self.model.name,
            "fraction": self.fraction,
            "seed": self.seed,
            "subset_seed": self.subset_seed,
        }
        if self.model is not None:
            checkpoint = self.model.checkpoint
            described["checkpoint"] = (
                None if checkpoint is None else str(storage.absolute(checkpoint))
            )
            described["model_gin"] = self.grid.model_gin
        described["contents"] = self._contents()
        return json.loads(json.dumps(described))

    def _contents(self) -> dict[str, Any]:
        """What was in the places that are named, so that other contents are another run too."""
        contents = self.grid.contents
        found: dict[str, Any] = contents.data(self.recipe)
        if self.model is None:
            return found
        gin_files = {
            "model_gin": self.grid.model_gin,
            "train_gin": self.recipe.train_gin,
            "eval_gin": self.recipe.eval_gin,
        }
        found = found | {name: contents.gin(path) for name, path in gin_files.items()}
        if self.model.checkpoint is not None:
            found["checkpoint"] = contents.checkpoint(self.model.checkpoint)
        return found


def cells_of(grid: Grid) -> Iterator[Cell]:
    """All runs of a grid: the baselines, then seed by seed, so that early results are pairs.

    Models come next to each other for the same task and fraction: what is compiled and opened for
    one serves the others.
    """
    for recipe in grid.recipes:
        yield Cell(grid, recipe, None)
    for seed, recipe, fraction, model in itertools.product(
        grid.seeds, grid.recipes, grid.fractions, grid.models
    ):
        yield Cell(grid, recipe, model, fraction, seed)
