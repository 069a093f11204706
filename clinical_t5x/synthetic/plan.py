"""Which notes a patient has, before a word of them is written.

The plan is cheap and has its own random stream, so that the rows of all earlier patients can be
counted first and ROW_IDs come out dense however many processes write. Frequencies follow the real
tables; the unit of `_PER_PATIENT` is notes a patient that could have them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from clinical_t5x.synthetic import ids
from clinical_t5x.synthetic.sizes import Part

# Share of patients whose stays fall into the earlier charting system (CareVue); only the later
# one (MetaVision) has the structured note kinds, and its patients are also in MIMIC-IV.
_EARLIER_SHARE = 0.60
# Earlier patients who came back later and so are in MIMIC-IV too.
_RETURNED_SHARE = 0.06

_BOTH = {"Radiology": 11.23, "ECG": 4.49, "Echo": 0.984}
_EARLIER = {"Nursing/other": 29.47}
_LATER = {
    "Nursing": 12.01,
    "Physician ": 7.61,
    "Respiratory ": 1.706,
    "Nutrition": 0.506,
    "General": 0.446,
    "Rehab Services": 0.292,
    "Social Work": 0.1435,
    "Case Management ": 0.052,
    "Pharmacy": 0.0055,
    "Consult": 0.0053,
}
CATEGORIES = ("Discharge summary", *_BOTH, *_EARLIER, *_LATER)

# How often a saved note is an earlier state of the next one of its kind.
_DRAFT_SHARE = {"Nursing/other": 0.05, "Nursing": 0.33, "Physician ": 0.36, "Respiratory ": 0.2}
_DRAFT_SHARE |= dict.fromkeys(("Nutrition", "General", "Rehab Services", "Social Work"), 0.15)
_ERROR_SHARE = 0.0012
_ADDENDUM_SHARE = 0.012
_SPREAD = 0.85  # of the log-normal factor between patients: a few stay for months
_TOP_FACTOR = 40.0

# MIMIC-IV: persons that are not in MIMIC-III, per MIMIC-III patient, and their notes.
IV_PERSONS_PER_HUNDRED = 485
_IV_DISCHARGED_SHARE, _IV_MORE_DISCHARGES = 0.59, 0.566
_IV_RADIOLOGY = 9.35


@dataclass(slots=True)
class Slot:
    """One row of NOTEEVENTS to be.

    Attributes:
        category: with its trailing space, where the real name has one.
        visit: which of the patient's admissions it belongs to.
        draft: an earlier save of the next slot's note.
        error: charted in error (ISERROR 1).
        addendum: a discharge summary's addendum.
    """

    category: str
    visit: int
    draft: bool = False
    error: bool = False
    addendum: bool = False


@dataclass(slots=True)
class PatientPlan:
    """A patient's rows, in the order in which they are written."""

    later: bool
    in_iv: bool
    visits: int
    slots: list[Slot]


def plan_patient(seed: int, index: int, part: Part | None) -> PatientPlan:
    """The plan of MIMIC-III patient `index`; `part` makes sure of what a benchmark needs."""
    random = ids.stream(seed, "plan", index)
    draw = random.random
    later = index == 0 or draw() >= _EARLIER_SHARE
    in_iv = later or draw() < _RETURNED_SHARE
    visits = 1
    while draw() < 0.212 and visits < 12:
        visits += 1
    # Patients with more admissions have more notes; 0.79 + 0.165 * visits has mean 1.
    factor = min(_TOP_FACTOR, math.exp(random.gauss(-(_SPREAD**2) / 2, _SPREAD)))
    factor *= 0.79 + 0.165 * visits
    counts = {name: _whole(mean * factor, draw) for name, mean in _BOTH.items()}
    kinds = _LATER if later else _EARLIER
    counts |= {name: _whole(mean * factor, draw) for name, mean in kinds.items()}
    if part is not None and part.benchmark == "radqa":
        counts["Radiology"] = max(counts["Radiology"], part.count)
    if index == 0:  # the first patient shows every kind of note
        counts = {name: max(1, counts.get(name, 0)) for name in CATEGORIES[1:]}
        counts["Nursing"] = max(counts["Nursing"], 4)
        counts["Physician "] = max(counts["Physician "], 3)
    return PatientPlan(later, in_iv, visits, _slots(counts, visits, draw))


def _whole(mean: float, draw) -> int:
    """A whole number with the given mean: jittered, then rounded at random."""
    return int(mean * (0.5 + draw()) + draw())


def _slots(counts: dict[str, int], visits: int, draw) -> list[Slot]:
    """Spread the notes over the visits, in rows whose drafts stand just before their finals."""
    by_visit: list[list[Slot]] = [[] for _ in range(visits)]
    for category, count in counts.items():
        draft_share = _DRAFT_SHARE.get(category, 0.0)
        for place in range(count):
            visit = place * visits // count
            last = place == count - 1 or (place + 1) * visits // count != visit
            draft = not last and draw() < draft_share
            error = not draft and draw() < _ERROR_SHARE
            by_visit[visit].append(Slot(category, visit, draft, error))
    slots = []
    for visit, members in enumerate(by_visit):
        slots += members
        slots.append(Slot("Discharge summary", visit))
        if draw() < _ADDENDUM_SHARE:
            slots.append(Slot("Discharge summary", visit, addendum=True))
    return slots


@dataclass(slots=True)
class IvPlan:
    """Notes of a person who is in MIMIC-IV only: radiology reports of each admission."""

    radiology: list[int]
    discharges: int


def iv_persons_before(index: int) -> int:
    """How many MIMIC-IV-only persons stand before those of MIMIC-III patient `index`."""
    return index * IV_PERSONS_PER_HUNDRED // 100


def plan_iv_person(seed: int, index: int) -> IvPlan:
    """The plan of MIMIC-IV-only person `index`."""
    random = ids.stream(seed, "iv", index)
    draw = random.random
    discharges = 0
    if draw() < _IV_DISCHARGED_SHARE:
        discharges = 1
        while draw() < _IV_MORE_DISCHARGES and discharges < 30:
            discharges += 1
    factor = math.exp(random.gauss(-0.5, 1.0))
    radiology = max(_whole(_IV_RADIOLOGY * factor, draw), 0 if discharges else 1)
    visits = max(1, discharges)
    per_visit = [radiology * (v + 1) // visits - radiology * v // visits for v in range(visits)]
    return IvPlan(per_visit, discharges)
