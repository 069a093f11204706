"""MedNLI: accuracy of the decoded label word, per-class F1 and the confusion counts.

The paper scores accuracy of decoded strings (Appendix B). A prediction that is none of the
three words is wrong and is counted as `unrecognised`; it is never mapped to a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clinical_t5x.evaluation.metrics.components import MetricFamily, as_text, ratio, reduces_to

MEDNLI_LABELS = ("entailment", "neutral", "contradiction")
_PREDICTED = (*MEDNLI_LABELS, "unrecognised")


def parse_label(text: Any) -> str | None:
    """The label that `text` names, white space and case aside; None when it names none."""
    word = as_text(text).strip().casefold()
    return word if word in MEDNLI_LABELS else None


def confusion(sums: np.ndarray) -> np.ndarray:
    """Confusion counts [3 gold labels, 3 predicted labels + unrecognised] from sums [12]."""
    return np.asarray(sums).reshape(len(MEDNLI_LABELS), len(_PREDICTED))


def _observe(target: Any, prediction: Any) -> np.ndarray:
    gold = parse_label(target)
    if gold is None:
        raise ValueError(f"a MedNLI target must be one of {', '.join(MEDNLI_LABELS)}")
    predicted = parse_label(prediction) or "unrecognised"
    row = np.zeros(len(MEDNLI_LABELS) * len(_PREDICTED))
    row[MEDNLI_LABELS.index(gold) * len(_PREDICTED) + _PREDICTED.index(predicted)] = 1
    return row


def _reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
    counts = sums.reshape(*sums.shape[:-1], len(MEDNLI_LABELS), len(_PREDICTED))
    total = counts.sum(axis=(-1, -2))
    hits = np.stack([counts[..., k, k] for k in range(len(MEDNLI_LABELS))], axis=-1)
    gold = counts.sum(axis=-1)
    predicted = counts[..., : len(MEDNLI_LABELS)].sum(axis=-2)
    f1 = ratio(2 * hits, gold + predicted, empty=0.0)
    metrics = {
        "accuracy": ratio(hits.sum(axis=-1), total, empty=np.nan),
        "macro_f1": f1.mean(axis=-1),
    }
    metrics |= {f"f1_{label}": f1[..., k] for k, label in enumerate(MEDNLI_LABELS)}
    metrics["unrecognised"] = ratio(counts[..., -1].sum(axis=-1), total, empty=np.nan)
    return metrics


MEDNLI = MetricFamily(
    name="mednli",
    columns=tuple(f"{gold}>{predicted}" for gold in MEDNLI_LABELS for predicted in _PREDICTED),
    observe=_observe,
    reduce=_reduce,
    headline=("accuracy",),
    unit="premise group",
    lower_is_better=frozenset({"unrecognised"}),
    display=parse_label,
)


@reduces_to(MEDNLI)
def mednli_metrics(targets: Sequence[Any], predictions: Sequence[Any]) -> dict[str, float]:
    """Accuracy, macro F1, F1 per class and the share of unrecognised predictions.

    Args:
      targets: gold label words.
      predictions: decoded strings.
    """
    return MEDNLI.components(targets, predictions).values()
