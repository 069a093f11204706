"""Everything that a run of patients adds to the files: the unit that processes share out."""

from __future__ import annotations

from dataclasses import dataclass

from clinical_t5x.synthetic import deflate, iii, iv, rows, sizes
from clinical_t5x.synthetic.plan import iv_persons_before, plan_patient

PATIENTS_A_BLOCK = 20


@dataclass(frozen=True, slots=True)
class Job:
    """A block to make: patients `first` to `last` (exclusive), and what stands before them."""

    seed: int
    sizes: sizes.Plan
    first: int
    last: int
    rows_before: int = 0
    visits_before: int = 0
    visits_in_all: int = 0


@dataclass(slots=True)
class Made:
    """What a block adds.

    Attributes:
        files: path of a csv.gz file -> its compressed part.
        records: (benchmark, split, rank, record) for the benchmarks.
        notes: notes written, drafts and both databases included.
    """

    files: dict[str, deflate.Block]
    records: list[tuple[str, str, int, tuple]]
    notes: int


def count(job: Job) -> tuple[int, int]:
    """Rows of NOTEEVENTS and admissions in a block, without writing any."""
    plans = [
        plan_patient(job.seed, index, sizes.part_of(index, job.sizes))
        for index in range(job.first, job.last)
    ]
    return sum(len(plan.slots) for plan in plans), sum(plan.visits for plan in plans)


def make(job: Job) -> Made:
    """Write a block."""
    sink = rows.Sink()
    row, visit = job.rows_before, job.visits_before
    for index in range(job.first, job.last):
        part = sizes.part_of(index, job.sizes)
        plan = plan_patient(job.seed, index, part)
        place = iii.Place(job.seed, index, job.sizes, row, visit, job.visits_in_all)
        iii.PatientWriter(place, part, plan, sink).write()
        row += len(plan.slots)
        visit += plan.visits
    for index in range(iv_persons_before(job.first), iv_persons_before(job.last)):
        iv.write_person(job.seed, index, job.sizes.patients, sink)
    files = {
        name: deflate.compress("".join(lines).encode())
        for name, lines in sink.lines.items()
        if lines
    }
    return Made(files, sink.records, sink.notes)
