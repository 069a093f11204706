"""Benchmarks made in memory: a few examples that a tiny model can learn by heart."""

import numpy as np

from clinical_t5x.baselines.finetuning.reading import KINDS, Benchmark, Split
from clinical_t5x.data.loader import Examples
from clinical_t5x.data.subsets import Subset
from clinical_t5x.evaluation.metrics import CLIP_LABELS

PREMISES = ("Seen for chest pain.", "Cr 2.1 (baseline 0.9)")
HYPOTHESES = (
    ("He had pain.", "entailment"),
    ("He had no pain.", "contradiction"),
    ("He smokes.", "neutral"),
    ("He is on dialysis", "neutral"),
)
CONTEXT = "FINDINGS: The nodule is stable. No effusion. IMPRESSION: Repeat the chest CT in 2 weeks."
QUESTIONS = (
    ("What is stable?", "The nodule"),
    ("Is there an effusion?", "No effusion"),
    ("Is there a fracture?", None),
    ("What should be repeated?", "the chest CT"),
    ("When should it be repeated?", "in 2 weeks"),
    ("Was blood given?", None),
    ("What are the findings?", "The nodule is stable. No effusion."),
    ("What is the impression?", "Repeat the chest CT in 2 weeks."),
)
SENTENCES = (
    ("Follow up with Dr. [Name] in 2 weeks .", (0,)),
    ("Repeat your chest CT .", (2,)),
    ("Check INR on Monday .", (3,)),
    ("Resume your home medications and see Dr. [Name] .", (0, 4)),
    ("You were a pleasure to care for .", ()),
    ("Call if you have fever .", (1,)),
    ("An endoscopy is planned .", (6,)),
    ("Your mother was told .", (5,)),
)


def _mednli():
    for k, (hypothesis, label) in enumerate(HYPOTHESES * 2):
        premise = PREMISES[k // len(HYPOTHESES)]
        yield {"premise": premise, "hypothesis": hypothesis, "label": label}, label


def _radqa():
    for question, answer in QUESTIONS:
        answers = [] if answer is None else [answer]
        starts = [] if answer is None else [CONTEXT.index(answer)]
        yield (
            {
                "question": question,
                "context": CONTEXT,
                "answers": answers,
                "answer_starts": starts,
            },
            answer or "",
        )


def _clip():
    for text, numbers in SENTENCES:
        labels = [CLIP_LABELS[n] for n in numbers]
        yield (
            {
                "context_before": "DISCHARGE INSTRUCTIONS :",
                "sentence": text,
                "context_after": "Thank you .",
                "labels": labels,
            },
            ", ".join(labels),
        )


MAKERS = {"mednli": _mednli, "radqa": _radqa, "clip": _clip}


def split_of(name, *, keep=lambda k: True):
    """Eight examples as a split."""
    pairs = [pair for k, pair in enumerate(MAKERS[name]()) if keep(k)]
    records = [{"id": str(k), **record} for k, (record, _) in enumerate(pairs)]
    told = [
        {**record, "unit": record["id"], "targets_pretokenized": target}
        for record, (_, target) in zip(records, pairs, strict=True)
    ]
    tokens = [np.ones(1, np.int32)] * len(records)
    examples = Examples(
        inputs=tokens,
        targets=tokens,
        records=told,
        truncated=0,
        feature_lengths={"inputs": 1, "targets": 1},
        task_version=f"{name}_v1@test",
        manifest_hash="made up",
        vocabularies={},
        synthetic=True,
    )
    return Split(records, examples)


def benchmark_of(name):
    """A benchmark whose three splits are the same eight examples."""
    split = split_of(name)
    scored = {"validation": split, "test": split}
    return Benchmark(KINDS[name], f"{name}_v1", Split(split.records), scored, Subset())
