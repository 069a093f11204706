"""What models cost: operations, time, money, and when the dearer start pays.

- rule_of_thumb: the paper's 6 P T and 2 P T
- sizes, config_file, known_sizes, forward: an exact count for any Transformer
- model_costs: the registry's models, with the paper's Table 3 corrected
- break_even: after how many tokens of inference a clinical model is cheaper
- hardware: chip-hours and prices; measured: what a run took
"""

from clinical_t5x.evaluation.cost.break_even import BreakEven, Side, break_even
from clinical_t5x.evaluation.cost.model_costs import (
    ModelCost,
    model_cost,
    model_costs,
    side_of_model,
)
from clinical_t5x.evaluation.cost.rule_of_thumb import (
    PretrainingFlops,
    inference_flops,
    pretraining_flops,
    training_flops,
)

__all__ = [
    "BreakEven",
    "ModelCost",
    "PretrainingFlops",
    "Side",
    "break_even",
    "inference_flops",
    "model_cost",
    "model_costs",
    "pretraining_flops",
    "side_of_model",
    "training_flops",
]
