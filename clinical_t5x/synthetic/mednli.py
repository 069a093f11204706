"""MedNLI: hypotheses about sentences of Past Medical History, labelled by rules.

A premise states facts (facts.py). A hypothesis claims one thing about one problem:

    claim      entailed by                     contradicted by       undecided by
    has        has, treated, sided, dated      not                   family, possible, silence
    not        not                             has, treated, ...     family, possible, silence
    family     family                          -                     has, treated, not, silence
    side       sided, the same side            sided, the other      has without a side, silence
    recent     dated, recent                   dated, remote         has without a date, silence
    remote     dated, remote                   dated, recent         has without a date, silence

The problem is named as the premise names it, by another clinical name, or in lay words. Every claim
about every problem occurs under all labels, so that a hypothesis alone tells little; a premise has
one hypothesis of each label.
"""

from __future__ import annotations

import hashlib
import json
import re

from clinical_t5x.synthetic.facts import DATED, SIDED, Fact
from clinical_t5x.synthetic.grammar import Draw, Grammar, expand, pick
from clinical_t5x.synthetic.lexicon.problems import CHRONIC, Problem

LABELS = ("entailment", "neutral", "contradiction")
_AFFIRMING = ("has", "treated", "sided", "dated")
_FACTUAL = (*_AFFIRMING, "not")

_RULES = {
    "has": """
        [the patient|patient|pt] has {c}
        [the patient|patient|pt] has a history of {c}
        the patient [suffers from|has had|has been diagnosed with] {c}
        {c} is [part of the history|in the past medical history|a known problem]
        """,
    "not": """
        [the patient|patient|pt] does not have {c}
        [the patient|patient|pt] has no history of {c}
        the patient [does not suffer from|has never had|has not been diagnosed with] {c}
        {c} is [not part of the history|not in the past medical history|not a known problem]
        """,
    "family": """
        [the patient has|there is] a family history of {c}
        a relative [has|had] {c}
        {c} [runs in the family|has occurred in the family]
        """,
    "side": """
        [the patient|patient] had a {operation} on the {told_side}
        the {operation} was on the {told_side} side
        the {told_side} side was the site of the {operation}
        """,
    "recent": "[the patient|patient] had a recent {c}|the {c} was recent|the patient recently had {c}",
    "remote": "[the patient|patient] had {c} long ago|the {c} was long ago|the {c} was not recent",
}
_GRAMMAR = Grammar(_RULES)
# Silence about one of these is not silence when another is named.
_GROUPS = (
    "ckd esrd", "cad mi", "diabetes type1", "stroke tia", "pe dvt ph", "hypothyroid hyperthyroid",
    "gerd ulcer", "copd asthma ild lung_ca", "cirrhosis hepc alcohol", "anemia b12", "chf cad",
    "depression bipolar anxiety schizophrenia", "cll lymphoma myeloma", "ra lupus oa gout",
    "pvd carotid aaa", "ibd diverticulosis colon_ca", "dementia parkinson",
)  # fmt: skip
_RELATED: dict[str, set[str]] = {}
for _group in _GROUPS:
    for _key in _group.split():
        _RELATED.setdefault(_key, set()).update(_group.split())
_ARTICLE = re.compile(r"^(?:a|an|the) ")


def pairs_of(premise: str, facts: tuple[Fact, ...], draw: Draw) -> list[tuple[str, str]]:
    """One (hypothesis, label) for each label, in random order.

    Args:
        premise: the sentence (its surface decides which words a claim repeats).
        facts: what it states.
        draw: uniform numbers.

    Returns:
        Three pairs, or none when the facts allow no contradiction.
    """
    decided = [fact for fact in facts if fact.kind in _FACTUAL]
    if not decided:
        return []
    entailed = _decided_claim(facts, draw, true=True)
    contradicted = _decided_claim(facts, draw, true=False)
    neutral = _open_claim(facts, draw)
    made = list(zip((entailed, neutral, contradicted), LABELS, strict=True))
    turn = int(draw() * 3)
    return made[turn:] + made[:turn]


def _decided_claim(facts: tuple[Fact, ...], draw: Draw, *, true: bool) -> str:
    usable = [f for f in facts if f.kind in _FACTUAL or (true and f.kind == "family")]
    fact = pick(usable, draw)
    problem = fact.problem
    if fact.kind == "family":
        return _claim("family", problem, draw)
    if fact.kind == "not":
        return _claim("not" if true else "has", problem, draw)
    if fact.kind == "sided" and draw() < 0.7:
        other = "left" if fact.detail == "right" else "right"
        return _side_claim(fact.operation, fact.detail if true else other, draw)
    if fact.kind == "dated" and draw() < 0.7:
        other = "recent" if fact.detail == "remote" else "remote"
        return _claim(fact.detail if true else other, problem, draw)
    return _claim("has" if true else "not", problem, draw)


def _open_claim(facts: tuple[Fact, ...], draw: Draw) -> str:
    """A claim that the premise leaves open."""
    named = {key for fact in facts for key in _RELATED.get(fact.problem.key, [fact.problem.key])}
    soft = [fact for fact in facts if fact.kind in ("family", "possible")]
    if soft and draw() < 0.6:
        return _claim("has" if draw() < 0.55 else "not", pick(soft, draw).problem, draw)
    firm = [fact for fact in facts if fact.kind in ("has", "treated", "not")]
    chance = draw()
    if firm and chance < 0.25:
        problem = pick(firm, draw).problem
        if problem.key in SIDED and draw() < 0.6:
            side = "left" if draw() < 0.5 else "right"
            return _side_claim(pick(SIDED[problem.key], draw), side, draw)
        if problem.key in DATED and draw() < 0.6:
            return _claim("recent" if draw() < 0.5 else "remote", problem, draw)
        return _claim("family", problem, draw)
    problem = pick([p for p in CHRONIC if p.key not in named], draw)
    if chance > 0.93 and problem.key in DATED:
        return _claim("recent" if draw() < 0.5 else "remote", problem, draw)
    return _claim("has" if draw() < 0.6 else "not", problem, draw)


def _claim(kind: str, problem: Problem, draw: Draw) -> str:
    dated = kind in ("recent", "remote")
    names = problem.lay if draw() < 0.3 and not dated else problem.names
    text = expand(_GRAMMAR[kind], draw, {"c": pick(names, draw)})
    return text[:1].upper() + text[1:]


def _side_claim(operation: str, side: str, draw: Draw) -> str:
    text = expand(_GRAMMAR["side"], draw, {"operation": operation, "told_side": side})
    return text[:1].upper() + text[1:]


def premise_id(split: str, number: int) -> str:
    """Identifier of a premise, the stem of its three pairIDs."""
    return "synthetic-" + hashlib.sha1(f"{split}/{number}".encode()).hexdigest()[:20]


def record(pair_id: str, premise: str, hypothesis: str, label: str | None) -> str:
    """One line of a MedNLI file, with the seven fields of the real one; without label where None."""
    fields = {
        "sentence1": premise,
        "pairID": pair_id,
        "sentence1_parse": _parse(premise),
        "sentence1_binary_parse": _binary_parse(premise),
        "sentence2": hypothesis,
        "sentence2_parse": _parse(hypothesis),
        "sentence2_binary_parse": _binary_parse(hypothesis),
        **({} if label is None else {"gold_label": label}),
    }
    return json.dumps(fields, ensure_ascii=False)


_WORD = re.compile(r"\w+(?:[-'/]\w+)*|[^\w\s]")


def _parse(text: str) -> str:
    """A flat constituency tree in Penn Treebank brackets."""
    tokens = _WORD.findall(text.replace("(", "-LRB-").replace(")", "-RRB-"))
    return "(ROOT (S " + " ".join(f"(X {token})" for token in tokens) + "))"


def _binary_parse(text: str) -> str:
    """A right-branching binary tree."""
    tokens = _WORD.findall(text.replace("(", "-LRB-").replace(")", "-RRB-"))
    if not tokens:
        return ""
    tree = tokens[-1]
    for token in reversed(tokens[:-1]):
        tree = f"( {token} {tree} )"
    return tree
