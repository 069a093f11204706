"""Pure metrics of the three benchmarks: (targets, predictions) -> numbers.

`mednli_metrics`, `radqa_metrics` and `clip_metrics` are SeqIO metric functions. Each is the
reduction of per-example *components* (counts and scores that add up over examples), so that
statistics can resample whole units (a premise group, a context, a discharge summary) and recompute
any of the metrics, macro F1 included, from sums alone.
"""

from clinical_t5x.evaluation.metrics.clip import (
    CLIP,
    CLIP_LABELS,
    CLIP_NOTES,
    clip_metrics,
    clip_note_metrics,
    clip_yes_no_metrics,
    parse_labels,
)
from clinical_t5x.evaluation.metrics.clip_scores import (
    CLIP_AT_THRESHOLD,
    CLIP_LIKELIHOOD,
    CLIP_SCORING,
)
from clinical_t5x.evaluation.metrics.components import Components, MetricFamily, family_of
from clinical_t5x.evaluation.metrics.groups import Grouped
from clinical_t5x.evaluation.metrics.label_scores import (
    MEDNLI_LIKELIHOOD,
    MEDNLI_SCORING,
    label_scoring,
)
from clinical_t5x.evaluation.metrics.mednli import MEDNLI, MEDNLI_LABELS, mednli_metrics
from clinical_t5x.evaluation.metrics.radqa import (
    RADQA,
    exact_match,
    radqa_metrics,
    radqa_window_metrics,
    token_f1,
)
from clinical_t5x.evaluation.metrics.radqa_scores import (
    RADQA_ANSWERABILITY,
    RADQA_AT_THRESHOLD,
    RADQA_SCORING,
)
from clinical_t5x.evaluation.metrics.scoring import Scored, Scoring, scored_by, scoring_of

FAMILIES = {
    family.name: family
    for family in (
        MEDNLI,
        MEDNLI_LIKELIHOOD,
        RADQA,
        RADQA_ANSWERABILITY,
        RADQA_AT_THRESHOLD,
        CLIP,
        CLIP_NOTES,
        CLIP_LIKELIHOOD,
        CLIP_AT_THRESHOLD,
    )
}

scored_by(MEDNLI_SCORING)(mednli_metrics)
scored_by(RADQA_SCORING)(radqa_metrics)
scored_by(RADQA_SCORING)(radqa_window_metrics)
scored_by(CLIP_SCORING)(clip_metrics)

__all__ = [
    "CLIP",
    "CLIP_LABELS",
    "CLIP_NOTES",
    "CLIP_SCORING",
    "FAMILIES",
    "MEDNLI",
    "MEDNLI_LABELS",
    "MEDNLI_SCORING",
    "RADQA",
    "RADQA_SCORING",
    "Components",
    "Grouped",
    "MetricFamily",
    "Scored",
    "Scoring",
    "clip_metrics",
    "clip_note_metrics",
    "clip_yes_no_metrics",
    "exact_match",
    "family_of",
    "label_scoring",
    "mednli_metrics",
    "parse_labels",
    "radqa_metrics",
    "radqa_window_metrics",
    "scored_by",
    "scoring_of",
    "token_f1",
]
