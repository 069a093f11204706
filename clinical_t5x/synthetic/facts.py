"""Facts of a patient's past, and the sentences of Past Medical History that state them.

The premises of the synthetic MedNLI are such sentences; mednli.py holds the rules by which a fact
makes a hypothesis true, false or undecided.
"""

from __future__ import annotations

from dataclasses import dataclass

from clinical_t5x.synthetic.grammar import Draw, Grammar, expand, pick, several
from clinical_t5x.synthetic.lexicon import SHARED
from clinical_t5x.synthetic.lexicon.problems import CHRONIC, Problem
from clinical_t5x.synthetic.patient import Patient
from clinical_t5x.synthetic.style import articles


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a sentence of history says.

    Attributes:
        kind: "has", "treated" (only a drug names it), "not", "family", "possible", "sided", "dated".
        problem: what it is about.
        detail: the side ("left", "right"), "recent" or "remote", or "".
        operation: what was done on that side, or "".
    """

    kind: str
    problem: Problem
    detail: str = ""
    operation: str = ""


_BY_KEY = {problem.key: problem for problem in CHRONIC}
# Problems whose side is told, with what is told of them.
SIDED = {
    key: tuple(operations.split("|"))
    for key, operations in {
        "stroke": "hemiparesis|arm weakness|facial weakness|neglect|leg weakness",
        "oa": "knee replacement|hip replacement|shoulder replacement|knee arthroscopy",
        "breast_ca": "mastectomy|lumpectomy|breast radiation",
        "carotid": "carotid endarterectomy|carotid stent",
        "kidney_stones": "ureteral stent|lithotripsy|nephrostomy",
        "pvd": "femoral bypass|toe amputation|below knee amputation|iliac stent",
        "glaucoma": "cataract surgery|trabeculectomy|eye laser treatment",
        "lung_ca": "lobectomy|wedge resection|lung radiation",
    }.items()
}
_PLAIN = ("has", "treated", "sided", "dated")
DATED = ("mi", "stroke", "pe", "dvt", "tia", "pancreatitis", "ulcer")

_RULES = {
    "named": "{name}|{name}|{hx} of {name}|known {name}|longstanding {name}|chronic {name}|prior {name}",
    "has": """
        {named} [diagnosed|found|discovered|first noted] {ago}
        {named}, [followed by|followed in|seen in|managed by] [the|] {clinic} clinic
        {named} [on|treated with|managed with|controlled on|maintained on] {treatment} [{#1-900} mg|at a low dose|at full dose|daily|for years|with good effect|since {#1984-2009}]
        {named} [with|and] {mild} {own_symptom}
        {named}, [last flare|last seen|last admission|last evaluated|stable as of] {ago}
        {name}
        {named} [complicated by|associated with|marked by] {own_symptom}
        {name} [since|from|dating from] {his} [twenties|thirties|forties|fifties|sixties]
        """,
    "treated": """
        [takes|on|maintained on|prescribed|has been taking|is receiving|started on] {treatment} [{ago}|by {pcp}|by the clinic|every day|faithfully|for years|at home|as an outpatient|since {#1984-2009}]
        """,
    "not": """
        [no|no known|no prior|no personal] [{hx} of|] {name}
        [denies|denied] [any {hx} of|ever having had|having|] {name}
        [never|not] [diagnosed with|treated for|known to have|found to have] {name}
        [workup|evaluation|testing|screening] {ago} [negative|unrevealing] for {name}
        {name} was [ruled out|excluded|considered but excluded|not confirmed] [by testing|on biopsy|on imaging|at a second opinion|] {ago}
        [without|free of|negative for] {name}
        """,
    "family": """
        {his} {kin_word} [has|had|suffered from|was treated for|died of|was diagnosed with] {name}
        family {hx} of {name} in {his} {kin_word}
        {name} in [{his}|a] {kin_word} [and {his} {kin_word2}|]
        {kin_word} [with|with known|with early|living with] {name}
        """,
    "possible": """
        [possible|questionable|suspected] {name} [under evaluation|never fully worked up|awaiting workup|with testing pending|per an outside note]
        [being evaluated|awaiting testing|screened recently|referred to the {clinic} clinic] for {name}, [results pending|no results yet|outcome unknown|report not available]
        """,
    "sided": """
        [s/p|status post|underwent|had a] {told_side} {operation} {ago}
        {told_side} {operation} {ago}, [uncomplicated|without sequelae|with slow recovery|at {hospital}|by {doctor}]
        {operation} on the {told_side} {ago}
        """,
    "recent": "{name} [last month|three weeks ago|two weeks ago|last week|a month ago|ten days ago|earlier this month|six weeks ago]",
    "remote": "{name} [twenty years ago|in {his} youth|decades ago|fifteen years ago|in the {#1960-1989}s|thirty years ago|many years ago|as a young adult]",
    "noun_opening": "|||significant for |notable for |remarkable for |includes |pmh notable for |"
    "past history of |per records, |known to us for |per {pcp}, ",
    "opening": "||||per records, |per the chart, |hx: |by {his} account, |of note, |per {pcp}, |reportedly ",
    "join": ", |, |; |; | and |, also |, as well as |, plus |. | - ",
    # Where one clause denies, doubts or speaks of a relative, no join may carry that over.
    "firm_join": "; |; |. |. | - |; also, |; separately, |. In addition, |; otherwise, ",
    "kin_word": "mother|father|brother|sister|maternal aunt|paternal uncle|grandmother|grandfather|cousin|half-brother|older sister|younger brother|son|daughter|twin sister|paternal grandfather",
    "kin_word2": "mother|father|brother|sister|aunt|uncle|grandmother|grandfather|cousin|son|niece",
}
_GRAMMAR = Grammar(_RULES, base=SHARED)


def facts_of(patient: Patient, draw: Draw) -> list[Fact]:
    """What there is to say about a patient's past; no two facts about one problem."""
    facts, used = [], {problem.key for problem in patient.problems}
    for problem in patient.problems:
        chance = draw()
        if problem.key in SIDED and chance < 0.35:
            side = "left" if draw() < 0.5 else "right"
            facts.append(Fact("sided", problem, side, pick(SIDED[problem.key], draw)))
        elif problem.key in DATED and chance < 0.5:
            facts.append(Fact("dated", problem, "recent" if draw() < 0.5 else "remote"))
        elif chance > 0.82:
            facts.append(Fact("treated", problem))
        else:
            facts.append(Fact("has", problem))
    absent = [p for p in several(CHRONIC, 14, draw) if p.key not in used]
    for kind, share in (("not", 0.45), ("family", 0.34), ("possible", 0.14)):
        for _ in range(int(len(patient.problems) * share + draw())):
            if absent:
                facts.append(Fact(kind, absent.pop()))
    return several(facts, len(facts), draw)


def history_sentences(
    patient: Patient, facts: list[Fact], context: dict, draw: Draw
) -> list[tuple[str, tuple[Fact, ...]]]:
    """Sentences that state the facts, one to three in each, with the facts that each states."""
    sentences, waiting = [], list(facts)
    while waiting:
        count = min(len(waiting), 1 + (draw() < 0.75) + (draw() < 0.45))
        stated = tuple(waiting[:count])
        del waiting[:count]
        clauses = [_clause(fact, context, draw) for fact in stated]
        opening = "opening" if stated[0].kind in ("treated", "not", "family") else "noun_opening"
        text = expand(_GRAMMAR[opening], draw, context) + clauses[0]
        plain = all(fact.kind in _PLAIN for fact in stated)
        for clause in clauses[1:]:
            join = expand(_GRAMMAR["join" if plain else "firm_join"], draw, context)
            text += join + (clause[:1].upper() + clause[1:] if join == ". " else clause)
        text = articles(" ".join(text.replace(" ,", ",").split()))
        sentences.append((text[:1].upper() + text[1:] + ".", stated))
    return sentences


def _clause(fact: Fact, context: dict, draw: Draw) -> str:
    problem = fact.problem
    words = {
        **context,
        "name": pick(problem.names, draw),
        "clinic": problem.clinic,
        "own_symptom": problem.symptoms,
        "treatment": pick(problem.drugs, draw),
    }
    rule = fact.kind
    if rule == "sided":
        words["told_side"] = fact.detail
        words["operation"] = fact.operation
    elif rule == "dated":
        rule = fact.detail
    return expand(_GRAMMAR[rule], draw, words)
