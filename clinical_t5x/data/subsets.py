"""Parts of a benchmark's training data by whole units: fractions and folds.

A unit is what must not be torn apart: MedNLI's premise with its hypotheses, a RadQA context with
its questions, a discharge summary with its sentences. Which units a part holds depends on their
names, their labels and the seed alone: neither on the order in which records come, nor on machine,
model, vocabulary or Python version (hashes are SHA-256, sums are of whole numbers).

`stratified_order` puts all units into one order of which every beginning resembles the whole;
fractions are beginnings of it, so that a smaller one lies inside every larger one of its seed.
"""

from __future__ import annotations

import collections
import dataclasses
import fractions
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np

from clinical_t5x.console import UserError

# What a share is counted in: MedNLI's and RadQA's in examples, CLIP's in units (summaries).
EXAMPLES, UNITS = "examples", "units"

# The next unit of an order is the best of so many that chance put next: enough to keep labels in
# proportion, few enough that different seeds choose different units.
_CANDIDATES = 16
# Strata count alike, however rare: deviations are weighted by this over the stratum's total.
_WEIGHT = 1 << 32


@dataclasses.dataclass(frozen=True)
class Unit:
    """What stays together.

    Attributes:
      name: its id.
      examples: how many examples it has.
      strata: how many of them belong to each stratum, such as a label; one example may belong to
        several strata, or to none.
    """

    name: str
    examples: int
    strata: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Subset:
    """Which part of the training data a task has.

    Attributes:
      fraction: share of the training units, above 0 and at most 1.
      seed: of the choice, and of the folds.
      folds: number of parts that train and validation together are cut into; None keeps the
        splits as they were published.
      fold: which of the parts, from 0, is the validation split; the others are the train split, of
        which `fraction` is taken.
    """

    fraction: float = 1.0
    seed: int = 0
    folds: int | None = None
    fold: int | None = None

    def __post_init__(self) -> None:
        self._check_fraction()
        if not _is_whole_number(self.seed):
            raise UserError(f"subset_seed is {self.seed!r}; it must be a whole number, such as 0")
        self._check_folds()

    def _check_fraction(self) -> None:
        given = self.fraction
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        if not is_number or not 0 < given <= 1:
            percent = is_number and 1 < given <= 100
            cure = f"{given:g} % is {given / 100:g}" if percent else "1 % is 0.01, 1.0 is all"
            raise UserError(f"fraction is {given!r}; it must be above 0 and at most 1: {cure}")

    def _check_folds(self) -> None:
        if self.folds is None and self.fold is None:
            return
        if self.folds is None:
            raise UserError(f"fold is {self.fold!r} but folds is not given; bind folds = 5, say")
        if not _is_whole_number(self.folds) or self.folds < 2:
            raise UserError(f"folds is {self.folds!r}; it must be a whole number from 2 on")
        range_of_folds = f"0 to {self.folds - 1}"
        if self.fold is None:
            raise UserError(
                f"folds is {self.folds} but fold is not given; bind fold = {range_of_folds}"
            )
        if not _is_whole_number(self.fold) or not 0 <= self.fold < self.folds:
            raise UserError(
                f"fold is {self.fold!r}; the {self.folds} folds are numbered {range_of_folds}"
            )

    @property
    def is_whole(self) -> bool:
        """Whether it leaves everything as published."""
        return self.fraction == 1 and self.folds is None

    def named(self, task_name: str) -> str:
        """The task's name with what is taken of it: mednli_v1_train_1pct_seed0."""
        if self.is_whole:
            return task_name
        fold = "" if self.folds is None else f"_fold_{self.fold}_of_{self.folds}"
        percent = (Decimal(str(self.fraction)) * 100).normalize()
        train = "" if self.fraction == 1 else f"_train_{percent:f}pct"
        return f"{task_name}{fold}{train}_seed{self.seed}"

    def description(self) -> dict[str, float | int | None]:
        """Its values for JSON."""
        return dataclasses.asdict(self)


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def tally(examples: Iterable[tuple[str, Iterable[str]]]) -> list[Unit]:
    """Units out of examples, each given as its unit's name and the strata it belongs to."""
    sizes: collections.Counter[str] = collections.Counter()
    strata: dict[str, collections.Counter[str]] = {}
    for unit, found in examples:
        sizes[unit] += 1
        strata.setdefault(unit, collections.Counter()).update(found)
    return [Unit(name, size, dict(strata[name])) for name, size in sizes.items()]


def joined(*parts: Sequence[Unit]) -> list[Unit]:
    """The units of several splits, a unit that occurs in several of them once."""
    sizes: collections.Counter[str] = collections.Counter()
    strata: dict[str, collections.Counter[str]] = {}
    for unit in (unit for part in parts for unit in part):
        sizes[unit.name] += unit.examples
        strata.setdefault(unit.name, collections.Counter()).update(unit.strata)
    return [Unit(name, size, dict(strata[name])) for name, size in sizes.items()]


def choose(
    subset: Subset, train: Sequence[Unit], validation: Sequence[Unit], counted: str
) -> dict[str, list[Unit]]:
    """The units of the train and the validation split, and which of them `subset` keeps.

    Args:
      subset: what is wanted.
      train, validation: the published splits.
      counted: what the share is counted in, EXAMPLES or UNITS.

    Returns:
      Units by split. Those of a fold may come from either published split.

    Raises:
      UserError: nothing is left, or there are more folds than units.
    """
    chosen = {"train": list(train), "validation": list(validation)}
    if subset.folds is not None:
        parts = folds_of(joined(train, validation), subset.folds, subset.seed, counted)
        chosen["validation"] = parts.pop(subset.fold)
        chosen["train"] = [unit for part in parts for unit in part]
    chosen["train"] = beginning(chosen["train"], subset.fraction, subset.seed, counted)
    return chosen


def beginning(units: Sequence[Unit], fraction: float, seed: int, counted: str) -> list[Unit]:
    """A share of the units: a beginning of their `stratified_order`.

    Counted in units the share is rounded down, as the paper's 5, 25, 51 and 129 of 518 summaries
    are; counted in examples it is the number of whole units that comes nearest, 111 or 114 pairs
    for 1 % of 11,232.

    Raises:
      UserError: not one unit is left.
    """
    if fraction == 1:
        return list(units)
    share = fractions.Fraction(str(fraction))
    order = stratified_order(units, seed, counted)
    if counted == UNITS:
        number = math.floor(share * len(order))
    else:
        ends = np.cumsum([0, *(unit.examples for unit in order)]).tolist()
        wanted = share * ends[-1]
        number = min(range(len(ends)), key=lambda k: abs(ends[k] - wanted))
    if number == 0:
        total = sum(unit.examples for unit in order)
        least = _share_of_first(order, counted)
        raise UserError(
            f"the fraction {fraction} of {total:,} training examples in {len(order):,} units"
            f" leaves no unit; the smallest that leaves one is about {least:.2g}"
        )
    return order[:number]


def _share_of_first(order: Sequence[Unit], counted: str) -> float:
    if not order:
        return 1.0
    if counted == UNITS:
        return 1 / len(order)
    return order[0].examples / sum(unit.examples for unit in order)


def stratified_order(units: Sequence[Unit], seed: int, counted: str = EXAMPLES) -> list[Unit]:
    """All units in an order of which every beginning has each stratum in proportion.

    Chance (a hash of seed and name) puts the units into a queue. The next of the order is, of the
    first few in the queue, the one after which the strata are nearest to their shares of the
    whole. A stratum of which a beginning should hold one example or more by its share, and holds
    none, goes before: then the queue is searched for it.

    Args:
      units: in any order.
      seed: of the chance.
      counted: what the length of a beginning is counted in.
    """
    queue = sorted(units, key=lambda unit: _rank(seed, unit.name))
    if len({unit.name for unit in queue}) < len(queue):
        raise ValueError("a unit occurs twice")
    table = _Table(queue, counted)
    waiting = list(range(len(queue)))
    order = []
    while waiting:
        place = table.best(waiting)
        number = waiting.pop(place)
        table.take(number)
        order.append(queue[number])
    return order


class _Table:
    """Counts of strata by unit [N, S], and what a beginning holds of them so far [S]."""

    def __init__(self, units: Sequence[Unit], counted: str):
        self._counts, self._lengths = _counts(units, counted)
        self._totals, self._length = self._counts.sum(axis=0), int(self._lengths.sum())
        self._weights = _WEIGHT // np.maximum(self._totals, 1)
        self._taken, self._taken_length = np.zeros_like(self._totals), 0

    def best(self, waiting: Sequence[int]) -> int:
        """The place in `waiting` of the unit that should come next."""
        first = np.array(waiting[:_CANDIDATES])
        missing, deviation = self._after(first)
        if missing.min() > 0:
            lacked = (self._taken == 0) & self._is_due(self._taken_length + self._lengths[first[0]])
            holders = np.flatnonzero(self._counts[np.array(waiting)][:, lacked].any(axis=1))
            if len(holders):
                places = holders[:_CANDIDATES]
                missing, deviation = self._after(np.array(waiting)[places])
                return int(places[_least(missing, deviation)])
        return _least(missing, deviation)

    def take(self, number: int) -> None:
        """Add a unit to the beginning."""
        self._taken = self._taken + self._counts[number]
        self._taken_length += int(self._lengths[number])

    def _after(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each unit, if it came next: strata that are missing, and how far all are off."""
        taken = self._taken + self._counts[numbers]
        lengths = self._taken_length + self._lengths[numbers]
        missing = ((taken == 0) & self._is_due(lengths[:, None])).sum(axis=1)
        off = np.abs(taken * self._length - self._totals * lengths[:, None])
        return missing, off @ self._weights

    def _is_due(self, length: np.ndarray) -> np.ndarray:
        """Strata of which a beginning of that length has one example or more by its share."""
        return self._totals * length >= self._length


def _counts(units: Sequence[Unit], counted: str) -> tuple[np.ndarray, np.ndarray]:
    """Examples of each unit in each stratum and in all [N, S + 1]; lengths of the units [N]."""
    names = sorted({name for unit in units for name in unit.strata})
    counts = [[*(unit.strata.get(name, 0) for name in names), unit.examples] for unit in units]
    lengths = [1 if counted == UNITS else unit.examples for unit in units]
    table = np.array(counts, np.int64).reshape(len(units), len(names) + 1)
    return table, np.array(lengths, np.int64)


def _least(*keys: np.ndarray) -> int:
    """The first place with the least first key, of these the least second one."""
    return int(np.lexsort(keys[::-1])[0])


def folds_of(units: Sequence[Unit], folds: int, seed: int, counted: str) -> list[list[Unit]]:
    """Cut units into parts of like length and like strata.

    Counted in units, parts differ by one at most. Counted in examples, large units are dealt first
    and small ones even the parts out, so that parts differ by less than two of the largest units.

    Args:
      units: in any order.
      folds: number of parts.
      seed: of the chance by which units of one size are dealt.
      counted: what lengths are counted in.

    Raises:
      UserError: there are fewer units than parts.
    """
    if len(units) < folds:
        raise UserError(f"folds is {folds}, but there are only {len(units)} units to share out")
    queue = sorted(units, key=lambda unit: _rank(seed, unit.name))
    counts, lengths = _counts(queue, counted)
    totals = counts.sum(axis=0)
    weights = _WEIGHT // np.maximum(totals, 1)
    held = np.zeros((folds, counts.shape[1]), np.int64)
    loads = np.zeros(folds, np.int64)
    parts: list[list[Unit]] = [[] for _ in range(folds)]
    for number in np.argsort(-lengths, kind="stable").tolist():
        open_folds = np.flatnonzero(loads < loads.min() + lengths[number])
        before = np.abs(held[open_folds] * folds - totals)
        after = np.abs((held[open_folds] + counts[number]) * folds - totals)
        fold = int(open_folds[_least((after - before) @ weights, loads[open_folds])])
        parts[fold].append(queue[number])
        held[fold] += counts[number]
        loads[fold] += lengths[number]
    return parts


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()
