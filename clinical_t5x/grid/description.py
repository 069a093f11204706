"""What a grid is asked for: a preset, over it a file (TOML or JSON), over it the flags.

A file has the flags' names, and a table for each task that is to be treated otherwise:

    preset = "laptop"
    fractions = [0.01, 0.1, 1.0]
    [models]
    scratch = "none"
    pretrained = "runs/pretrain"
    [clip]
    steps = 600
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.grid.contents import Contents
from clinical_t5x.grid.recipes import (
    CONSTANT,
    KNOWN_TASKS,
    PRESETS,
    RISE_AND_FALL,
    Preset,
    Recipe,
    known_task,
)
from clinical_t5x.training.settings import rate_name

NO_CHECKPOINT = "none"
MAJORITY = "majority"

_LARGEST = sys.float_info.max / 100  # of any number, so that it can be a percentage
_LARGEST_SEED = 2**31 - 1  # JAX's and TensorFlow's seeds are 32-bit numbers with a sign

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*")
_GRID_FIELDS = ("preset", "models", "model_gin", "tasks", "fractions", "seeds", "subset_seed")
_OWN_FIELDS = ("task", "name", "module", "train_gin", "eval_gin", "metric")
RECIPE_FIELDS = tuple(f.name for f in dataclasses.fields(Recipe) if f.name not in _OWN_FIELDS)


@dataclasses.dataclass(frozen=True)
class Model:
    """What fine-tuning begins from.

    Attributes:
      name: The row of a report, such as "scratch" or "pretrained".
      checkpoint: A MODEL_DIR, a checkpoint in it, a T5X checkpoint or a Hugging Face directory;
        None begins from random parameters.
    """

    name: str
    checkpoint: str | None


@dataclasses.dataclass(frozen=True)
class Grid:
    """All runs that are asked for, as their four dimensions.

    Attributes:
      out: Directory of the runs, which is also the results store.
      models: What fine-tuning begins from.
      model_gin: gin file of the network.
      recipes: How runs on each task are made.
      fractions: Of the training split, 0 to 1.
      seeds: Of parameters, dropout and order; also of the subset, unless `subset_seed` is set.
      subset_seed: One subset for all seeds; None: every seed has its own, the same for all models.
      data_dir: The data home; None: the default one.
    """

    out: epath.Path
    models: tuple[Model, ...]
    model_gin: str
    recipes: tuple[Recipe, ...]
    fractions: tuple[float, ...]
    seeds: tuple[int, ...]
    subset_seed: int | None = None
    data_dir: str | None = None

    @cached_property
    def contents(self) -> Contents:
        """Fingerprints of what the grid's inputs contain, computed once for all its runs."""
        return Contents(self.data_dir)


def percentage(fraction: float) -> str:
    """A fraction as part of a name: 0.01 is '1pct', in six digits and without an exponent."""
    return f"{Decimal(f'{100 * fraction:g}'):f}pct"


def make_grid(
    out: str | os.PathLike,
    flags: Mapping[str, Any],
    *,
    file: str | os.PathLike | None = None,
    preset: str | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Grid:
    """Put preset, file and flags together, each over the one before, and check the outcome.

    Args:
      out: Directory of the runs.
      flags: As a file would have them; what is None was not given.
      file: TOML, or JSON when it is called so.
      preset: Goes before the file's.
      data_dir: The data home.

    Raises:
      UserError: an unknown name, a value that makes no sense, a missing model.
    """
    said = {} if file is None else read_file(file)
    chosen = _preset(preset or said.pop("preset", None) or "laptop")
    said.pop("preset", None)
    for name, value in flags.items():
        if value is not None:
            both = isinstance(value, Mapping) and isinstance(said.get(name), Mapping)
            said[name] = {**said[name], **value} if both and name != "models" else value
    tasks = _names("tasks", said.get("tasks", chosen.tasks))
    _refuse_unknown(said, tasks)
    return Grid(
        out=epath.Path(out),
        models=_models(said.get("models")),
        model_gin=str(said.get("model_gin", chosen.model_gin)),
        recipes=tuple(_recipe(task, chosen, said) for task in tasks),
        fractions=_fractions(said.get("fractions", chosen.fractions)),
        seeds=_seeds(said.get("seeds", chosen.seeds)),
        subset_seed=_subset_seed(said.get("subset_seed")),
        data_dir=None if data_dir is None else os.fspath(data_dir),
    )


def read_file(path: str | os.PathLike) -> dict[str, Any]:
    """A grid's description as a file has it.

    Raises:
      UserError: no such file, or not TOML or JSON.
    """
    place = epath.Path(path)
    try:
        text = place.read_text()
        found = json.loads(text) if place.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UserError(f"the grid {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        kind = "JSON" if place.suffix == ".json" else "TOML"
        raise UserError(f"the grid {path} is not {kind}: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"the grid {path} must be a table of names and values")
    return found


def _preset(name: Any) -> Preset:
    if not isinstance(name, str) or name not in PRESETS:
        raise UserError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def _refuse_unknown(said: Mapping[str, Any], tasks: Sequence[str]) -> None:
    tables = {name for name, value in said.items() if isinstance(value, Mapping)} - {
        "models",
        "options",
    }
    for name in sorted(tables - set(tasks)):
        raise UserError(f"the grid has settings for {name!r}, but its tasks are {', '.join(tasks)}")
    for name in said.keys() - tables - {*_GRID_FIELDS, *RECIPE_FIELDS}:
        raise UserError(_unknown(name, "a grid", (*_GRID_FIELDS, *RECIPE_FIELDS)))
    for task in tables:
        for name in said[task].keys() - {*_OWN_FIELDS[1:], *RECIPE_FIELDS}:
            raise UserError(_unknown(name, f"the task {task}", (*_OWN_FIELDS[1:], *RECIPE_FIELDS)))


def _unknown(name: str, owner: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{owner} has no setting {name!r}; " + (
        f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    )


def _models(given: Any) -> tuple[Model, ...]:
    if not given:
        raise UserError(
            "the grid has no model; name what fine-tuning begins from, as in --model scratch=none"
            " --model pretrained=runs/pretrain"
        )
    if not isinstance(given, Mapping):
        raise UserError("models must be a table of names and checkpoints")
    found = []
    for name, checkpoint in given.items():
        _check_name("model", name)
        none = checkpoint is None or str(checkpoint).lower() in (NO_CHECKPOINT, "")
        found.append(Model(name, None if none else str(checkpoint)))
        if name == MAJORITY:
            raise UserError(f"{MAJORITY} is the name of the baseline; call the model otherwise")
    return tuple(found)


def _check_name(kind: str, name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot be the name of a {kind}: it becomes part of a directory's name;"
            " take letters, digits, '_' and '.'"
        )


def _names(what: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise UserError(f"{what} must be a list of names")
    for name in given:
        _check_name("task", name)
    return _once(what, tuple(given))


def _once(what: str, values: tuple, name_of: Callable[[Any], str] = repr) -> tuple:
    """Refuse what is there twice, or has the name of another: both would be one directory."""
    named: dict[str, Any] = {}
    for value in values:
        name = name_of(value)
        other = named.setdefault(name, value)
        if values.count(value) > 1:
            raise UserError(f"{what} has {value!r} twice")
        if other is not value:
            raise UserError(
                f"{what} has {other!r} and {value!r}, which would both be called {name!r} in the"
                " names of directories; leave one of them out"
            )
    return values


def _fractions(given: Any) -> tuple[float, ...]:
    values = _numbers("fractions", given, percentage)
    if any(not 0 < value <= 1 for value in values):
        raise UserError(f"fractions are parts of the training split, above 0 to 1; not {given}")
    return tuple(sorted(values))


def _seeds(given: Any) -> tuple[int, ...]:
    values = _numbers("seeds", given)
    if any(value != int(value) or not 0 <= value <= _LARGEST_SEED for value in values):
        raise UserError(f"seeds are whole numbers from 0 to {_LARGEST_SEED}; not {given}")
    return tuple(int(value) for value in values)


def _numbers(what: str, given: Any, name_of: Callable[[Any], str] = repr) -> tuple[float, ...]:
    given = [given] if isinstance(given, int | float) else given
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise UserError(f"{what} must be a list of numbers")
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in given):
        raise UserError(f"{what} must be numbers, not {given}")
    if any(not abs(v) <= _LARGEST for v in given):
        raise UserError(f"{what} must be finite, not {given}")
    return _once(what, tuple(given), name_of)


def _subset_seed(value: Any) -> int | None:
    if value is None:
        return None
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value <= _LARGEST_SEED:
        raise UserError(
            f"subset_seed must be a whole number from 0 to {_LARGEST_SEED}, not {value!r}"
        )
    return value


def _recipe(task: str, preset: Preset, said: Mapping[str, Any]) -> Recipe:
    """The recipe of one task: the preset's, then what is said of all tasks, then of this one."""
    own = dict(said.get(task, {}))
    for_all = {name: said[name] for name in RECIPE_FIELDS if name in said}
    values = {
        **(known_task(task) if task in KNOWN_TASKS else {}),
        **preset.recipes.get(task, {}),
    }
    for given in (for_all, own):
        if {"steps", "epochs"} <= {name for name, value in given.items() if value is not None}:
            raise UserError(f"{task}: name steps or epochs, not both")
        if "steps" in given or "epochs" in given:
            values.update(steps=None, epochs=None)
        values.update(given)
    if "learning_rates" in values:
        values["learning_rates"] = _numbers("learning_rates", values["learning_rates"], rate_name)
    try:
        recipe = Recipe(task=task, **values)
    except TypeError:
        needed = [
            field.name
            for field in dataclasses.fields(Recipe)
            if field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
            and field.name not in ("task", *values)
        ]
        raise UserError(
            f"the preset does not know the task {task!r}: its table in the grid's file must say"
            f" {', '.join(needed)}"
        ) from None
    check_recipe(recipe)
    return recipe


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe that cannot be meant.

    Raises:
      UserError: naming the setting.
    """
    where = f"{recipe.task}: "
    if (recipe.steps is None) == (recipe.epochs is None):
        raise UserError(f"{where}name steps or epochs")
    counts = ("steps", "evaluations", "patience", "batch_size", "inputs", "targets", "beams")
    for name in (*counts, "eval_batch_size", "validation_examples", "test_units"):
        value = getattr(recipe, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise UserError(f"{where}{name} must be a whole number from 1, not {value!r}")
    if recipe.epochs is not None and not (
        isinstance(recipe.epochs, int | float) and 0 < recipe.epochs < math.inf
    ):
        raise UserError(f"{where}epochs must be a number above 0, not {recipe.epochs!r}")
    if any(rate <= 0 for rate in recipe.learning_rates):
        raise UserError(f"{where}learning_rates must be above 0, not {recipe.learning_rates}")
    if recipe.schedule not in (CONSTANT, RISE_AND_FALL):
        raise UserError(
            f"{where}schedule {recipe.schedule!r}: choose {CONSTANT!r} or {RISE_AND_FALL!r}"
        )
    if not isinstance(recipe.options, Mapping) or {"fraction", "subset_seed", "name"} & {
        *recipe.options
    }:
        raise UserError(f"{where}options are arguments of register besides name and fraction")
