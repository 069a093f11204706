"""Pure metrics of the three benchmarks: (targets, predictions) -> numbers.

`mednli_metrics`, `radqa_metrics` and `clip_metrics` are SeqIO metric functions. Each is the
reduction of per-example *components* (counts and scores that add up over examples), so that
statistics can resample whole units (a premise group, a context, a discharge summary) and recompute
any of the metrics, macro F1 included, from sums alone.
"""

from clinical_t5x.evaluation.metrics.clip import (
    CLIP,
    CLIP_LABELS,
    clip_metrics,
    clip_yes_no_metrics,
    parse_labels,
)
from clinical_t5x.evaluation.metrics.components import Components, MetricFamily, family_of
from clinical_t5x.evaluation.metrics.groups import Grouped
from clinical_t5x.evaluation.metrics.mednli import MEDNLI, MEDNLI_LABELS, mednli_metrics
from clinical_t5x.evaluation.metrics.radqa import (
    RADQA,
    exact_match,
    radqa_metrics,
    radqa_window_metrics,
    token_f1,
)

FAMILIES = {family.name: family for family in (MEDNLI, RADQA, CLIP)}

__all__ = [
    "CLIP",
    "CLIP_LABELS",
    "FAMILIES",
    "MEDNLI",
    "MEDNLI_LABELS",
    "RADQA",
    "Components",
    "Grouped",
    "MetricFamily",
    "clip_metrics",
    "clip_yes_no_metrics",
    "exact_match",
    "family_of",
    "mednli_metrics",
    "parse_labels",
    "radqa_metrics",
    "radqa_window_metrics",
    "token_f1",
]
