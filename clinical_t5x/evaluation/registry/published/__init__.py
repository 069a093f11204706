"""What the paper printed, number by number, with its known errors marked.

The paper is "Do We Still Need Clinical Language Models?" (Lehman et al. 2023, PMLR 209:578-597).

- entry: what is known of one number; printed_table: numbers from a table as it is printed
- main_results: Tables 7, 9 and 10; low_resource: Tables 11 to 15; adaptation: Table 8
- variants: numbers that another place of the paper prints differently
- flops: Table 3; errata: all contradictions, those of words too
"""

from clinical_t5x.evaluation.registry.published.adaptation import ADAPTATION, AdaptationStage
from clinical_t5x.evaluation.registry.published.entry import (
    LOW_RESOURCE,
    MAIN,
    VARIANT,
    PublishedNumber,
)
from clinical_t5x.evaluation.registry.published.errata import ERRATA, Erratum
from clinical_t5x.evaluation.registry.published.flops import PRINTED_FLOPS, PrintedFlops
from clinical_t5x.evaluation.registry.published.low_resource import (
    FRACTIONS,
    LOW_RESOURCE_MODELS,
    LOW_RESOURCE_NUMBERS,
    TRAINING_UNITS,
)
from clinical_t5x.evaluation.registry.published.main_results import MAIN_NUMBERS
from clinical_t5x.evaluation.registry.published.variants import VARIANTS

NUMBERS = (*MAIN_NUMBERS, *LOW_RESOURCE_NUMBERS, *VARIANTS)

__all__ = [
    "ADAPTATION",
    "ERRATA",
    "FRACTIONS",
    "LOW_RESOURCE",
    "LOW_RESOURCE_MODELS",
    "LOW_RESOURCE_NUMBERS",
    "MAIN",
    "MAIN_NUMBERS",
    "NUMBERS",
    "PRINTED_FLOPS",
    "TRAINING_UNITS",
    "VARIANT",
    "VARIANTS",
    "AdaptationStage",
    "Erratum",
    "PrintedFlops",
    "PublishedNumber",
    "numbers",
]


def numbers(
    *,
    model: str | None = None,
    task: str | None = None,
    metric: str | None = None,
    kind: str | None = None,
    fraction: float | None = None,
) -> tuple[PublishedNumber, ...]:
    """The published numbers that agree with everything given, in the order of the tables.

    Args:
      model: A key of the registry.
      task: "mednli", "radqa" or "clip".
      metric: "accuracy", "exact_match", "f1", "micro_f1" or "macro_f1".
      kind: "main", "low_resource" or "variant".
      fraction: Of the training split.
    """
    wanted = {
        "model": model,
        "task": task,
        "metric": metric,
        "kind": kind,
        "fraction": fraction,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    return tuple(
        number
        for number in NUMBERS
        if all(getattr(number, name) == value for name, value in given.items())
    )
