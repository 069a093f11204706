"""Physician notes: daily progress and admission notes of the later charting system."""

from __future__ import annotations

from clinical_t5x.synthetic.grammar import Draw, Grammar, expand, pick, several
from clinical_t5x.synthetic.lexicon import SHARED, physician_phrases
from clinical_t5x.synthetic.lexicon.labs import TESTS
from clinical_t5x.synthetic.notes.nursing_other import capital, joined
from clinical_t5x.synthetic.style import Style, articles, wrapped

GRAMMAR = Grammar(physician_phrases.RULES, base=SHARED)


_PLANS = ("assess", "assess", "assess", "assess_problem", "assess_problem")


def history_of_illness(context: dict, draw: Draw, count: int) -> list[str]:
    """The present illness in order: who and why, the story, the emergency room, the admission."""
    story = [
        expand((chosen,), draw, context) for chosen in several(GRAMMAR["hpi_story"], count, draw)
    ]
    story += [expand(GRAMMAR["hpi_story"], draw, context) for _ in range(count - len(story))]
    return [
        expand(GRAMMAR["hpi_intro"], draw, context),
        *story,
        expand(GRAMMAR["hpi_ed"], draw, context),
        expand(GRAMMAR["hpi_admit"], draw, context),
    ]


def lab_lines(context: dict, draw: Draw, count: int) -> list[str]:
    """Laboratory values of the patient, each jittered, in the patient's random order."""
    parts = []
    for key in several(tuple(TESTS), count, draw):
        test = TESTS[key]
        value = context["labs"][key] * (0.9 + 0.2 * draw())
        flag = " (H)" if value > test.high else " (L)" if value < test.low else ""
        parts.append(f"{pick(test.names, draw)} {value:.{test.digits}f}{flag}")
    return parts


def write(context: dict, style: Style, draw: Draw) -> str:
    """Chief complaint, events, medications, exam, labs, assessment and plan."""
    admission = draw() < 0.2
    lines = [f"Chief Complaint:  {pick(context['presenting'], draw)}"]
    if admission:
        lines += ["HPI:", joined(history_of_illness(context, draw, 2 + int(draw() * 3)))]
    else:
        lines.append("24 Hour Events:")
        lines += [
            capital(expand(GRAMMAR["event24"], draw, context)) for _ in range(1 + int(draw() * 3))
        ]
    lines.append(f"Allergies: {capital(context['allergy'])}")
    lines += ["Current medications:", ", ".join(several(context["dosed"], 4, draw))]
    lines += ["Physical Examination", *map(capital, _exam(context, draw))]
    lines += ["Labs / Radiology", ", ".join(lab_lines(context, draw, 8 + int(draw() * 6)))]
    lines.append("Assessment and Plan")
    for rule in ("assess_acute", *several(_PLANS, 2 + int(draw() * 3), draw)):
        said = [expand(GRAMMAR[rule], draw, context)]
        if draw() < 0.5:
            said.append(expand(GRAMMAR["assess"], draw, context))
        lines.append("- " + joined(said))
    return wrapped(articles("\n".join(lines)), style.width) + "\n"


def _exam(context: dict, draw: Draw) -> list[str]:
    rule = GRAMMAR["exam_line"]
    return [expand((alternative,), draw, context) for alternative in several(rule, 5, draw)]
