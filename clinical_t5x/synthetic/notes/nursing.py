"""Nursing: the later charting system's notes, problem by problem."""

from __future__ import annotations

from clinical_t5x.synthetic.grammar import Draw, expand, pick, several
from clinical_t5x.synthetic.notes.nursing_other import GRAMMAR, capital, joined
from clinical_t5x.synthetic.style import Style, articles, wrapped

# Titles of problems and the systems whose phrases belong under them.
_PROBLEMS = (
    (
        ("Altered mental status (not Delirium)", "Delirium / confusion", "Intracerebral issue"),
        "neuro",
    ),
    (("Hypotension (not Shock)", "Atrial fibrillation (Afib)", "Hypertension, benign"), "cv"),
    (("Respiratory failure, acute", "Pneumonia, other", "Airway, inability to clear"), "resp"),
    (("Gastrointestinal bleed", "Nausea / vomiting", "Nutrition, alteration in"), "gi"),
    (("Renal failure, acute", "Electrolyte & fluid disorder", "Oliguria/anuria"), "gu"),
    (("Impaired Skin Integrity", "Wound infection", "Decubitus ulcer"), "skin"),
    (("Sepsis without organ dysfunction", "Fever, unknown origin", "Infection"), "id"),
    (("Hyperglycemia", "Diabetes Mellitus (DM), Type II"), "endo"),
    (("Pain control (acute pain, chronic pain)", "Acute Pain"), "pain"),
    (("Anxiety", "Ineffective Coping", "Family issues"), "social"),
    (("Activity Intolerance", "Muscle weakness"), "activity"),
)
_LABELS = (("Assessment:", "Action:", "Response:", "Plan:"), ("A:", "Act:", "Resp:", "P:"))


def write(context: dict, style: Style, draw: Draw) -> str:
    """A summary, then two to four problems with assessment, action, response and plan."""
    lines = [capital(expand(GRAMMAR["summary"], draw, context)), ""]
    labels = _LABELS[style.variant % 5 == 0]
    for titles, rule in several(_PROBLEMS, 2 + int(draw() * 3), draw):
        lines.append(pick(titles, draw))
        for label, name, most in zip(
            labels, (rule, rule, "response", "plan"), (2, 1, 1, 2), strict=True
        ):
            said = [expand(GRAMMAR[name], draw, context) for _ in range(1 + int(draw() * most))]
            lines += [f"   {label}", joined(said)]
    return wrapped(articles("\n".join(lines)), style.width) + "\n"
