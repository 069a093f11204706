"""The shorter kinds of notes: tracings, echo reports and the allied professions."""

from __future__ import annotations

from clinical_t5x.synthetic.grammar import Draw, Grammar, expand, several
from clinical_t5x.synthetic.lexicon import SHARED, other_phrases
from clinical_t5x.synthetic.notes.nursing_other import joined
from clinical_t5x.synthetic.style import Style, articles, wrapped

_GRAMMAR = Grammar(other_phrases.RULES, base=SHARED)

# category -> (description, rule, fewest and most sentences)
KINDS = {
    "Echo": ("Report", "echo", 7, 12),
    "Respiratory ": ("Respiratory Care Shift Note", "rt", 3, 6),
    "Nutrition": ("Clinical Nutrition Note", "nutrition", 3, 6),
    "Rehab Services": ("Physical Therapy Evaluation Note", "rehab", 4, 8),
    "Social Work": ("Social Work Admission Note", "social", 4, 8),
    "Case Management ": ("Case Management Initial Patient Assessment", "case", 3, 5),
    "Pharmacy": ("Pharmacy Progress Note", "pharmacy", 2, 4),
    "Consult": ("Physician Surgical Consult Note", "consult", 4, 7),
    "General": ("Generic Note", "general", 2, 6),
}


def write(category: str, context: dict, style: Style, draw: Draw) -> tuple[str, str]:
    """Description and text of a note of one of KINDS or of an ECG."""
    if category == "ECG":
        parts = [expand(_GRAMMAR[rule], draw, context) for rule in ("ecg", "ecg2", "ecg3")]
        return "Report", articles(joined(parts)) + "\n"
    description, rule, fewest, most = KINDS[category]
    count = fewest + int(draw() * (most - fewest + 1))
    alternatives = _GRAMMAR[rule]
    places = sorted(several(list(range(len(alternatives))) * 3, count, draw))
    parts = [expand((alternatives[place],), draw, context) for place in places]
    lines = [joined(parts[at : at + 2]) for at in range(0, count, 2)]
    return description, wrapped(articles("\n".join(lines)), style.width) + "\n"
