"""How sure a number is: intervals, paired tests, several seeds, corrections for many comparisons.

Hypotheses share a premise, questions share a context, sentences share a discharge summary: they
are not independent, so whole units are resampled, swapped or flipped, never single examples.
Everything here takes component sums by unit (metrics/components.py) and a family's `reduce`;
therefore any metric of a family has an interval and a test, macro F1 included.

bootstrap       intervals (BCa, percentile) and paired differences
randomisation   the paired test that swaps the systems' answers, exact when units are few
mcnemar         right against wrong: for independent examples, and for examples in units
seeds           mean, standard deviation and intervals over training seeds as well
correction      p-values of many comparisons: Holm, Benjamini and Hochberg

Legend: S training seeds, U units, K components, B resamples, M metrics.
"""

from clinical_t5x.evaluation.statistics.bootstrap import (
    LEVEL,
    RESAMPLES,
    Difference,
    Interval,
    bootstrap_intervals,
    intervals_by_method,
    paired_bootstrap,
)
from clinical_t5x.evaluation.statistics.correction import benjamini_hochberg, holm
from clinical_t5x.evaluation.statistics.mcnemar import (
    McNemar,
    UnitMcNemar,
    mcnemar,
    mcnemar_by_unit,
)
from clinical_t5x.evaluation.statistics.randomisation import (
    RandomisationTest,
    approximate_randomisation,
)
from clinical_t5x.evaluation.statistics.seeds import (
    SeedDifference,
    SeedSummary,
    difference_over_seeds,
    over_seeds,
)

__all__ = [
    "LEVEL",
    "RESAMPLES",
    "Difference",
    "Interval",
    "McNemar",
    "RandomisationTest",
    "SeedDifference",
    "SeedSummary",
    "UnitMcNemar",
    "approximate_randomisation",
    "benjamini_hochberg",
    "bootstrap_intervals",
    "difference_over_seeds",
    "holm",
    "intervals_by_method",
    "mcnemar",
    "mcnemar_by_unit",
    "over_seeds",
    "paired_bootstrap",
]
