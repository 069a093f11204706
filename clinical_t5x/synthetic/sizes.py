"""How large each benchmark is for N patients, and which patients it is made from.

From 5,000 patients on the benchmarks have their real sizes; below that they
shrink in proportion, with minima for validation and test that a score can still be read from.
A patient plays at most one part, so splits are disjoint by patient.
"""

from __future__ import annotations

import math
from typing import NamedTuple

FULL_SIZE_PATIENTS = 5_000
MINIMUM_PATIENTS = 20
SPLITS = ("train", "validation", "test")

_PREMISES = (3_744, 465, 474)  # three pairs each: 11,232 / 1,395 / 1,422
_REPORTS = (803, 102, 104)  # two contexts each
_QUESTIONS = (2_439, 328, 307)  # asked of both contexts: 4,878 / 656 / 614
_SUMMARIES = (518, 100, 100)
_SHARED_TASK_PREMISES = 135  # BioNLP 2019: three pairs each, 405, all for testing
_PREMISES_A_PATIENT = 3
_REPORTS_A_PATIENT = 5
# Some histories state nothing that could be contradicted: more patients are asked than needed.
_SHARED_TASK_SPARE = 3
# The least for validation and test, given patients enough.
_LEAST_PREMISES, _LEAST_REPORTS, _LEAST_SUMMARIES = 20, 8, 6


class Part(NamedTuple):
    """What a patient contributes to a benchmark.

    Attributes:
        benchmark: "mednli", "radqa", "clip" or "bionlp19".
        split: one of SPLITS.
        rank: position among the split's patients, from 0.
        first: running number of the patient's first premise or report in the split.
        count: how many premises, reports or summaries the patient gives.
    """

    benchmark: str
    split: str
    rank: int
    first: int
    count: int


class Plan(NamedTuple):
    """Sizes of the benchmarks for one number of patients, each a triple over SPLITS.

    `shared_premises` are those of the test set of BioNLP 2019.
    """

    patients: int
    premises: tuple[int, int, int]
    reports: tuple[int, int, int]
    questions: tuple[int, int, int]
    summaries: tuple[int, int, int]
    shared_premises: int


def plan(patients: int) -> Plan:
    """Sizes for `patients` MIMIC-III patients."""
    scale = min(1.0, patients / FULL_SIZE_PATIENTS)
    # At very small N the minima may not take more than a share of the patients.
    share = max(1, patients // 20)
    premises = _scaled(_PREMISES, scale, min(_LEAST_PREMISES, 3 * share))
    reports = _scaled(_REPORTS, scale, min(_LEAST_REPORTS, 3 * share))
    summaries = _scaled(_SUMMARIES, scale, min(_LEAST_SUMMARIES, share))
    questions = tuple(
        round(full * made / real)
        for full, made, real in zip(_QUESTIONS, reports, _REPORTS, strict=True)
    )
    shared = max(round(_SHARED_TASK_PREMISES * scale), min(_LEAST_PREMISES, 3 * share))
    return Plan(patients, premises, reports, questions, summaries, shared)


def _scaled(full: tuple[int, int, int], scale: float, least: int) -> tuple[int, int, int]:
    return tuple(max(round(size * scale), least) for size in full)


def questions_of_report(sizes: Plan, split: str, report: int) -> int:
    """How many questions the running `report` of a split gets: the split's total comes out even."""
    place = SPLITS.index(split)
    total, reports = sizes.questions[place], sizes.reports[place]
    return total * (report + 1) // reports - total * report // reports


def part_of(index: int, sizes: Plan) -> Part | None:
    """The part that patient `index` plays in a benchmark, or None."""
    place = _shuffled(index, sizes.patients)
    for benchmark, totals, each in (
        ("clip", sizes.summaries, 1),
        ("radqa", sizes.reports, _REPORTS_A_PATIENT),
        ("mednli", sizes.premises, _PREMISES_A_PATIENT),
        ("bionlp19", (0, 0, sizes.shared_premises * _SHARED_TASK_SPARE), _PREMISES_A_PATIENT),
    ):
        for split, total in zip(SPLITS, totals, strict=True):
            members = math.ceil(total / each)
            if place < members:
                first = place * each
                return Part(benchmark, split, place, first, min(each, total - first))
            place -= members
    return None


def _shuffled(index: int, patients: int) -> int:
    """A permutation of range(patients), so that neighbours play different parts."""
    multiplier = int(patients * 0.618) | 1
    while math.gcd(multiplier, patients) != 1:
        multiplier += 2
    return index * multiplier % patients
