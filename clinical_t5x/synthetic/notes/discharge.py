"""Discharge summaries: the longest notes, made of sentences with CLIP labels (clip.py)."""

from __future__ import annotations

from clinical_t5x.synthetic import tags
from clinical_t5x.synthetic.clip import followup_sentence, past_sentence
from clinical_t5x.synthetic.document import Document
from clinical_t5x.synthetic.facts import Fact
from clinical_t5x.synthetic.grammar import Draw, Grammar, expand, pick, several
from clinical_t5x.synthetic.lexicon import SHARED, discharge_phrases
from clinical_t5x.synthetic.notes.physician import GRAMMAR as PHYSICIAN
from clinical_t5x.synthetic.notes.physician import history_of_illness, lab_lines
from clinical_t5x.synthetic.patient import Visit
from clinical_t5x.synthetic.style import Style

_GRAMMAR = Grammar(discharge_phrases.RULES, base=SHARED)
_SERVICES = [
    "MEDICINE",
    "SURGERY",
    "NEUROLOGY",
    "CARDIOTHORACIC",
    "ORTHOPAEDICS",
    "CSU",
    "NSU",
    "TRA",
    "VSU",
    "OMED",
    "ACOVE",
]
_HEADS = {
    "complaint": ("Chief Complaint:", "CHIEF COMPLAINT:", "CC:"),
    "procedure": ("Major Surgical or Invasive Procedure:", "PROCEDURES:", "Procedures performed:"),
    "hpi": ("History of Present Illness:", "HISTORY OF PRESENT ILLNESS:", "HPI:"),
    "pmh": ("Past Medical History:", "PAST MEDICAL HISTORY:", "PMH:"),
    "social": ("Social History:", "SOCIAL HISTORY:", "SH:"),
    "family": ("Family History:", "FAMILY HISTORY:", "FH:"),
    "exam": ("Physical Exam:", "PHYSICAL EXAMINATION ON ADMISSION:", "PE on arrival:"),
    "results": ("Pertinent Results:", "LABORATORY DATA:", "Labs:"),
    "course": ("Brief Hospital Course:", "HOSPITAL COURSE:", "Course by problem:"),
    "home": ("Medications on Admission:", "MEDICATIONS AT HOME:", "Outpatient meds:"),
    "out": ("Discharge Medications:", "DISCHARGE MEDICATIONS:", "Meds on discharge:"),
    "disposition": ("Discharge Disposition:", "DISPOSITION:", "Dispo:"),
    "diagnosis": ("Discharge Diagnosis:", "DISCHARGE DIAGNOSES:", "Diagnoses:"),
    "condition": ("Discharge Condition:", "CONDITION ON DISCHARGE:", "Condition:"),
    "instructions": (
        "Discharge Instructions:",
        "DISCHARGE INSTRUCTIONS:",
        "Instructions to patient:",
    ),
    "followup": ("Followup Instructions:", "FOLLOW-UP PLANS:", "F/U:"),
}


def write(
    context: dict, visit: Visit, history: list[tuple[str, tuple[Fact, ...]]], style: Style, draw: Draw,
    *, full: bool = False,
) -> Document:  # fmt: skip
    """A discharge summary.

    Args:
        context: slot values of the visit, with the author's words.
        visit: the admission.
        history: sentences of Past Medical History, with their facts.
        style: of the author.
        draw: uniform numbers.
        full: as long as CLIP's summaries are (about 150 sentences); shorter and varied otherwise.
    """
    document = Document()
    size = 1.0 if full else 0.25 + 0.55 * draw()
    layout = style.variant % 3

    def head(name: str) -> None:
        document.head(_HEADS[name][layout])

    _front_matter(document, context, draw)
    head("complaint")
    document.line(pick(context["presenting"], draw))
    head("procedure")
    for _ in range(1 + int(draw() * 2)):
        document.line(expand(_GRAMMAR["procedure_done"], draw, context))
    head("hpi")
    for text in history_of_illness(context, draw, max(1, int((4 + draw() * 6) * size))):
        document.say(text + ".")
    head("pmh")
    for text, _ in history:
        document.line(text)
    head("social")
    document.line(expand(_GRAMMAR["social"], draw, context) + ".")
    head("family")
    document.line(expand(_GRAMMAR["family_line"], draw, context) + ".")
    head("exam")
    for alternative in several(PHYSICIAN["exam_line"], int(9 * size) + 1, draw):
        document.line(expand((alternative,), draw, context))
    head("results")
    for part in lab_lines(context, draw, int(20 * size)):
        document.item(part)
    head("course")
    _course(document, context, draw, size)
    head("home")
    for number, drug in enumerate(context["home_drug"], 1):
        document.item(_drug_line(number, drug, context, draw, layout))
    if visit.died:
        head("disposition")
        document.line("Expired")
        return document
    head("out")
    drugs = (*context["home_drug"], *several(context["dosed"], 3, draw))
    for number, drug in enumerate(drugs, 1):
        document.item(_drug_line(number, drug, context, draw, layout))
    head("disposition")
    document.line(pick(("Home", "Home With Service", "Extended Care", "Rehab facility"), draw))
    head("diagnosis")
    document.line(", ".join((pick(context["acute"], draw), *several(context["problem"], 2, draw))))
    head("condition")
    document.line(expand(_GRAMMAR["condition"], draw, context) + ".")
    head("instructions")
    document.line(expand(_GRAMMAR["greeting"], draw, context) + ".")
    for _ in range(int((8 + draw() * 12) * size) + 1):
        document.say(*followup_sentence(context, draw))
    head("followup")
    for _ in range(int((4 + draw() * 8) * size) + 1):
        document.line(*followup_sentence(context, draw))
    return document


def _front_matter(document: Document, context: dict, draw: Draw) -> None:
    """The lines above the first section; some authors leave some out, or put them elsewhere."""
    admitted, left, born = tags.date(draw), tags.date(draw), tags.date(draw)
    named = f"Name: {context['last_name']},{context['first_name']}"
    document.head(f"{pick(('Admission Date:', 'Admitted:'), draw)}  {admitted}", before="")
    document.item(f"Discharge Date:   {left}")
    lines = [
        f"Date of Birth:  {born}       Sex:  {context['sex']}",
        f"Service: {pick(_SERVICES, draw)}",
        f"Allergies: {context['allergy'].capitalize()}{expand(_GRAMMAR['reaction'], draw, context)}",
        f"Attending: {context['attending']}",
        f"{named}    Unit No: {tags.FUNCTIONS['number_id'](draw)}",
        f"Primary care: {context['pcp']}, {pick(context['clinic'], draw)}",
        f"Contact: {context['kin1']} {tags.FUNCTIONS['phone'](draw)}",
        f"Reason for admission: {pick(context['acute'], draw)}",
    ]
    for line in several(lines, 3 + int(draw() * 4), draw):
        document.item(line)


def _course(document: Document, context: dict, draw: Draw, size: float) -> None:
    """The hospital course, with things done and things left to do."""
    document.say(expand(_GRAMMAR["course_open"], draw, context) + ".")
    for _ in range(int((24 + draw() * 22) * size) + 1):
        chance = draw()
        if chance < 0.72:
            document.say(expand(_GRAMMAR["course"], draw, context) + ".")
        elif chance < 0.92:
            document.say(past_sentence(context, draw))
        else:
            document.say(*followup_sentence(context, draw))
    document.say(expand(_GRAMMAR["course_close"], draw, context) + ".")


def _drug_line(number: int, drug: str, context: dict, draw: Draw, layout: int) -> str:
    tail = expand(_GRAMMAR["med_tail"], draw, context)
    if layout == 0:
        return f"{number}. {drug} {tail}".rstrip()
    return f"{drug}; {tail}".rstrip(" ;") if layout == 1 else f"- {drug}, {tail}".rstrip(" ,")


def addendum(context: dict, style: Style, draw: Draw) -> Document:
    """A short addendum to an earlier summary."""
    document = Document()
    _front_matter(document, context, draw)
    document.head(("Addendum:", "ADDENDUM:", "Addendum to summary:")[style.variant % 3])
    for _ in range(2 + int(draw() * 4)):
        document.say(*followup_sentence(context, draw))
    return document
