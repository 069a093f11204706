"""McNemar's test: are two systems right equally often?

The classical test takes examples as independent. Where both systems tend to err together on a
whole unit it only loses a little power; where one system wins whole units and loses others, its
p-values are too small (docs/evaluation.md has by how much). `mcnemar_by_unit` flips whole units.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class McNemar:
    """McNemar's exact test on paired right/wrong answers: the discordant counts and p."""

    only_first: int
    only_second: int
    n: int
    p_value: float


@dataclasses.dataclass(frozen=True)
class UnitMcNemar(McNemar):
    """The same for examples in units; `n_decisive` units favour one of the systems."""

    n_units: int
    n_decisive: int


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> McNemar:
    """McNemar's exact two-sided test that two systems are right equally often.

    It takes examples as independent; where they come in units, use `mcnemar_by_unit`.

    Args:
      first_right: [N] booleans, whether the first system is right.
      second_right: [N] booleans for the second system, same examples in the same order.
    """
    from scipy.stats import binomtest

    first_right, second_right = _paired(first_right, second_right)
    only_first = int(np.count_nonzero(first_right & ~second_right))
    only_second = int(np.count_nonzero(second_right & ~first_right))
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return McNemar(only_first, only_second, len(first_right), p_value)


def mcnemar_by_unit(
    first_right: np.ndarray, second_right: np.ndarray, units: Sequence[Hashable]
) -> UnitMcNemar:
    """The exact sign-flip test that two systems are right equally often, by unit.

    In each unit the systems' numbers of right answers differ by some d. If the systems are
    exchangeable, -d was as likely as d, independently for each unit, whatever the examples of a
    unit have in common. The p-value is the exact probability, over all signs, of a total as far
    from 0 as the one seen; no random numbers are drawn. With one example a unit it is `mcnemar`.

    Args:
      first_right: [N] booleans, whether the first system is right.
      second_right: [N] booleans for the second system, same examples in the same order.
      units: [N] what each example belongs to (premise group, context, discharge summary).
    """
    first_right, second_right = _paired(first_right, second_right)
    if len(units) != len(first_right):
        raise ValueError(f"{len(first_right)} examples but {len(units)} units")
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(unit, len(numbers)) for unit in units], dtype=np.int64)
    gains = first_right.astype(np.int64) - second_right
    of_unit = np.zeros(len(numbers), dtype=np.int64)
    np.add.at(of_unit, index, gains)
    return UnitMcNemar(
        only_first=int(np.count_nonzero(gains > 0)),
        only_second=int(np.count_nonzero(gains < 0)),
        n=len(first_right),
        p_value=_sign_flip_p(of_unit),
        n_units=len(numbers),
        n_decisive=int(np.count_nonzero(of_unit)),
    )


def _sign_flip_p(differences: np.ndarray) -> float:
    """P(|sum of +-d| >= |sum of d|) over all signs of the whole numbers d, by convolution."""
    sizes = np.abs(differences[differences != 0])
    total = int(sizes.sum())
    chances = np.zeros(total + 1)  # of each sum of the sizes with sign +
    chances[0] = 1.0
    for size in sizes:
        chances *= 0.5
        chances[size:] += chances[:-size].copy()
    sums = 2 * np.arange(total + 1) - total
    return min(1.0, float(chances[np.abs(sums) >= abs(int(differences.sum()))].sum()))


def _paired(first_right: np.ndarray, second_right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first_right = np.asarray(first_right, dtype=bool)
    second_right = np.asarray(second_right, dtype=bool)
    if first_right.shape != second_right.shape:
        raise ValueError(
            f"paired samples differ in shape: {first_right.shape}, {second_right.shape}"
        )
    return first_right, second_right
