"""Numbers that the paper prints in one place and contradicts in another."""

from __future__ import annotations

from clinical_t5x.evaluation.registry.published.entry import VARIANT, PublishedNumber


def _variant(
    model: str,
    task: str,
    metric: str,
    mean: float,
    source: str,
    known_error: str,
    *,
    std: float | None = None,
    fraction: float | None = 1.0,
    wrong: bool = False,
) -> PublishedNumber:
    return PublishedNumber(
        model, task, metric, mean, std, fraction, 1.0, source, VARIANT, known_error, wrong
    )


_CKPT = "Table 9 prints {} for this model; which of the two is right is not known"

VARIANTS = (
    _variant(
        "clinical_t5_base_ckpt", "radqa", "exact_match", 0.507, "Table 2", _CKPT.format("0.505")
    ),
    _variant("clinical_t5_base_ckpt", "radqa", "f1", 0.689, "Table 2", _CKPT.format("0.684")),
    _variant(
        "clinical_t5_large",
        "radqa",
        "f1",
        0.737,
        "Figure 3",
        "read off a plot; the tables agree on 0.745",
        wrong=True,
    ),
    _variant(
        "pubmedgpt",
        "radqa",
        "f1",
        0.729,
        "Table 12",
        "this is T5-XL's number; Tables 3 and 9 print 0.698 ±.004",
        std=0.005,
        wrong=True,
    ),
    _variant(
        "gpt3",
        "mednli",
        "accuracy",
        0.805,
        "Table 3",
        "Table 7 prints 0.807; which of the two is right is not known",
        fraction=None,
    ),
    _variant(
        "gpt3",
        "radqa",
        "f1",
        0.619,
        "Table 3",
        "Table 9 prints 0.620; which of the two is right is not known",
        fraction=None,
    ),
)
