"""Made-up MedNLI examples in memory, enough of them to kill a run in the middle."""

import numpy as np

from clinical_t5x.baselines.finetuning.reading import KINDS, Benchmark, Split
from clinical_t5x.data.loader import Examples
from clinical_t5x.data.subsets import Subset
from clinical_t5x.evaluation.metrics import MEDNLI_LABELS

HYPOTHESES = ("He is well.", "He is really ill.", "He was seen twice.")


def mednli_split(name, premises):
    """Three hypotheses a premise; ids say which split they are of."""
    records = [
        {
            "id": f"{name}-{p}-{h}",
            "premise": f"Seen in the {name} clinic {p} times.",
            "hypothesis": text,
            "label": MEDNLI_LABELS[(p + h) % 3],
        }
        for p in range(premises)
        for h, text in enumerate(HYPOTHESES)
    ]
    told = [
        {**record, "unit": record["premise"], "targets_pretokenized": record["label"]}
        for record in records
    ]
    tokens = [np.ones(4, np.int32)] * len(records)
    examples = Examples(
        inputs=tokens,
        targets=tokens,
        records=told,
        truncated=0,
        feature_lengths={"inputs": 4, "targets": 4},
        task_version="mednli_v1@test",
        manifest_hash=f"made up {name}",
        vocabularies={},
        synthetic=True,
    )
    return Split(records, examples)


def mednli(premises=20, *, synthetic=True):
    """A benchmark of that many premises in each split."""
    splits = {name: mednli_split(name, premises) for name in ("train", "validation", "test")}
    for split in splits.values():
        object.__setattr__(split.examples, "synthetic", synthetic)
    train = Split(splits.pop("train").records)
    return Benchmark(KINDS["mednli"], "mednli_v1", train, splits, Subset())
