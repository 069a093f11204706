"""The state of a patient, from which all of a patient's notes are written.

Notes of one patient agree with each other because they are drawn from one state: problems with
their drugs, laboratory values that the problems move, relatives, the side that is affected, the
way that each admission takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clinical_t5x.synthetic import tags
from clinical_t5x.synthetic.grammar import Draw, pick, several
from clinical_t5x.synthetic.lexicon.drugs import DRUGS, GENERAL, Drug
from clinical_t5x.synthetic.lexicon.labs import ABNORMAL, TESTS
from clinical_t5x.synthetic.lexicon.life import HOBBIES, LIVING, OCCUPATIONS, RELATIVES
from clinical_t5x.synthetic.lexicon.problems import ACUTE, BY_KEY, CHRONIC, Problem

_MALE_ONLY = {"bph", "prostate_ca"}
_MINUTES_A_DAY = 1_440
# Chronic problems with the weight by which they are drawn: common diseases are common.
_COMMON = dict(
    hypertension=7, diabetes=5, hyperlipidemia=6, cad=5, afib=4, chf=4, copd=4, ckd=4, gerd=4,
    depression=4, anemia=3, hypothyroid=3, oa=3, asthma=2, stroke=2, osa=2, anxiety=2, alcohol=2,
)  # fmt: skip
_WEIGHTED = tuple(problem for problem in CHRONIC for _ in range(_COMMON.get(problem.key, 1)))


@dataclass(slots=True)
class Visit:
    """An admission.

    Attributes:
        acute: what brought the patient in.
        second: what happened on top of it.
        start: admission, in minutes since the patient's day zero.
        days: length of stay.
        died: whether it ended in death.
        drugs: what was given in hospital.
    """

    acute: Problem
    second: Problem
    start: int
    days: int
    died: bool
    drugs: list[str]


@dataclass(slots=True)
class Patient:
    """A patient's state.

    Attributes:
        female: sex; age: in years at the first admission.
        problems: chronic problems, the most important first.
        home: drugs taken at home, as (drug, dose and frequency, problem or None).
        labs: typical value of every test.
        visits: the admissions in order.
        deceased: died, in hospital or later.
        context: values for the grammars' slots.
    """

    female: bool
    age: int
    problems: list[Problem]
    home: list[tuple[Drug, str, Problem | None]]
    labs: dict[str, float]
    visits: list[Visit]
    deceased: bool
    context: dict[str, Any] = field(default_factory=dict)


def make_patient(draw: Draw, gauss, visits: int, *, deceased: bool) -> Patient:
    """Draw a patient.

    Args:
        draw: uniform numbers of the patient's stream.
        gauss: normal numbers of the same stream.
        visits: number of admissions.
        deceased: whether the patient must have died.
    """
    female = draw() < 0.45
    age = min(97, max(18, int(gauss(65, 16))))
    deceased = deceased or draw() < 0.2
    problems = _problems(female, draw)
    home = [entry for problem in problems for entry in _home_drugs(problem, draw)]
    home += [
        (drug, order(drug, draw), None) for drug in several(GENERAL, 1 + int(draw() * 4), draw)
    ]
    stays = _visits(visits, problems, draw, died=deceased and draw() < 0.4)
    labs = _labs([*problems, stays[0].acute], draw)
    patient = Patient(female, age, problems, home, labs, stays, deceased)
    patient.context = _context(patient, draw)
    return patient


def _problems(female: bool, draw: Draw) -> list[Problem]:
    chosen: dict[str, Problem] = {}
    for _ in range(3 + int(draw() * 7)):
        problem = _WEIGHTED[int(draw() * len(_WEIGHTED))]
        if problem.key in _MALE_ONLY and female:
            continue
        if problem.key == "breast_ca" and not female:
            continue
        chosen[problem.key] = problem
    if "diabetes" in chosen:
        chosen.pop("type1", None)
    if "hypothyroid" in chosen:
        chosen.pop("hyperthyroid", None)
    if "esrd" in chosen:
        chosen.pop("ckd", None)
    return list(chosen.values()) or [BY_KEY["hypertension"]]


def order(drug: Drug, draw: Draw) -> str:
    """Dose, route and frequency of an order: `40 mg PO daily`."""
    return f"{pick(drug.doses, draw)} {drug.route} {pick(drug.frequencies, draw)}"


def _home_drugs(problem: Problem, draw: Draw) -> list[tuple[Drug, str, Problem]]:
    count = 1 if draw() < 0.7 else 2
    if draw() < 0.15:
        count = 0
    drugs = [DRUGS[name] for name in several(problem.drugs, count, draw)]
    return [(drug, order(drug, draw), problem) for drug in drugs]


def _visits(count: int, problems: list[Problem], draw: Draw, *, died: bool) -> list[Visit]:
    visits, start = [], int(draw() * 200) * _MINUTES_A_DAY + int(draw() * _MINUTES_A_DAY)
    for number in range(count):
        acute, second = several(ACUTE, 2, draw)
        days = 2 + int(draw() * draw() * 26)
        drugs = list(acute.drugs) + several(second.drugs, 1, draw)
        drugs += several(problems[0].drugs, 1, draw)
        drugs += several(_HOSPITAL_DRUGS, 4, draw)
        ended = died and number == count - 1
        visits.append(Visit(acute, second, start, days, ended, drugs))
        start += (days + 9 + int(draw() * 400)) * _MINUTES_A_DAY + int(draw() * 900)
    return visits


_HOSPITAL_DRUGS = [
    "docusate",
    "senna",
    "pantoprazole",
    "heparin",
    "acetaminophen",
    "ondansetron",
    "fentanyl",
    "propofol",
    "midazolam",
    "chlorhexidine",
    "potassium chloride",
    "albuterol",
    "insulin regular",
    "lorazepam",
    "haloperidol",
    "furosemide",
    "metoprolol tartrate",
    "morphine",
    "oxycodone",
    "bisacodyl",
    "vancomycin",
    "magnesium oxide",
    "famotidine",
]


def _labs(problems: list[Problem], draw: Draw) -> dict[str, float]:
    values = {
        key: test.low + (test.high - test.low) * (0.15 + 0.7 * draw())
        for key, test in TESTS.items()
    }
    for problem in problems:
        for key, typical in ABNORMAL.get(problem.key, {}).items():
            values[key] = typical * (0.88 + 0.24 * draw())
    return values


def _context(patient: Patient, draw: Draw) -> dict[str, Any]:
    """Values of the grammars' slots that hold for all of the patient's notes."""
    female = patient.female
    relatives = several(RELATIVES, 3, draw)
    names = tuple(pick(problem.names, draw) for problem in patient.problems)
    drug_names = tuple(drug.name for drug, _, _ in patient.home)
    return {
        "he": "she" if female else "he",
        "him": "her" if female else "him",
        "his": "her" if female else "his",
        "man": ("woman", "female", "lady") if female else ("man", "male", "gentleman"),
        "mr": "Ms." if female else "Mr.",
        "sex": "F" if female else "M",
        "age": "[**Age over 90 **]" if patient.age > 89 else str(patient.age),
        "problem": names,
        "lay": tuple(name for problem in patient.problems for name in problem.lay),
        "chronic_symptom": tuple(s for problem in patient.problems for s in problem.symptoms),
        "home_drug": tuple(f"{drug.name} {how}" for drug, how, _ in patient.home),
        "home_name": drug_names,
        "problem_drug": _problem_drugs(patient, draw),
        "clinic": tuple({problem.clinic: None for problem in patient.problems}),
        "kin": tuple(relatives),
        "kin1": relatives[0],
        "occupation": pick(OCCUPATIONS, draw),
        "hobby": pick(HOBBIES, draw),
        "living": pick(LIVING, draw),
        "bad_side": "right" if draw() < 0.5 else "left",
        "pcp": "Dr. " + tags.FUNCTIONS["last_name"](draw),
        "attending": "Dr. " + tags.FUNCTIONS["name"](draw),
        "hospital": tags.FUNCTIONS["hospital"](draw),
        "last_name": tags.FUNCTIONS["known_last"](draw),
        "first_name": tags.FUNCTIONS["known_first"](draw),
        "allergy": pick(_ALLERGIES, draw),
        "labs": patient.labs,
    }


def _problem_drugs(patient: Patient, draw: Draw) -> tuple[str, ...]:
    """`hyperlipidemia: home atorvastatin`, for every drug that is taken for a problem."""
    said = [
        f"{name}: {pick(('home', 'outpatient', 'chronic', 'usual'), draw)} {drug.name}"
        for drug, _, problem in patient.home
        if problem is not None
        for name in problem.names
    ]
    return tuple(said) or (f"{patient.problems[0].names[0]}: diet alone",)


_ALLERGIES = [
    "penicillins",
    "sulfa drugs",
    "codeine",
    "morphine sulfate",
    "latex",
    "iodine containing agents",
    "erythromycin",
    "shellfish",
    "aspirin",
    "ciprofloxacin",
    "lisinopril",
    "vancomycin",
    "adhesive tape",
    "demerol",
    "tetracycline",
    "no known drug allergies",
    "nkda",
    "patient recorded as having no known allergies to drugs",
    "no allergies known",
    "none on record",
    "cephalosporins",
    "percocet",
    "compazine",
    "bee stings",
    "strawberries",
    "levofloxacin",
    "haldol",
    "statins",
    "heparin agents",
    "ibuprofen",
    "gadolinium",
    "oxycodone",
    "reglan",
    "neurontin",
]


def visit_context(patient: Patient, visit: Visit, draw: Draw) -> dict[str, Any]:
    """The patient's slot values, and those of one admission."""
    acute, second = visit.acute, visit.second
    context = dict(patient.context)
    context.update(
        acute=acute.names,
        acute_lay=acute.lay,
        second=second.names,
        presenting=acute.symptoms,
        acute_symptom=(*acute.symptoms, *second.symptoms),
        drug=tuple(visit.drugs) + patient.context["home_name"],
        hospital_drug=tuple(visit.drugs),
        dosed=tuple(f"{name} {order(DRUGS[name], draw)}" for name in visit.drugs),
        treatment=acute.drugs,
        service_clinic=acute.clinic,
        bug=pick(_BUGS, draw),
    )
    return context


_BUGS = [
    "E. coli",
    "Klebsiella",
    "MRSA",
    "MSSA",
    "Pseudomonas",
    "Enterococcus",
    "VRE",
    "Candida",
    "coag negative staph",
    "Proteus",
    "Enterobacter",
    "pneumococcus",
    "H. flu",
    "Serratia",
    "group B strep",
    "Acinetobacter",
    "Stenotrophomonas",
    "Citrobacter",
    "strep viridans",
    "yeast",
    "Bacteroides",
    "Morganella",
    "Moraxella",
    "Legionella",
]

__all__ = ["BY_KEY", "Patient", "Visit", "make_patient", "order", "visit_context"]
