"""T5X's names for optimizers: Optax's own, and what joins several."""

from optax import (
    adabelief,
    adagrad,
    adam,
    adamw,
    fromage,
    lamb,
    lars,
    lion,
    noisy_sgd,
    radam,
    rmsprop,
    sgd,
    yogi,
)

from clinical_t5x.training.optimizer import OptaxWrapper, chain, wrap_optax_optimizer
from clinical_t5x.training.t5x_names import (
    MultiOptimizer,
    OptaxStatePartitionRules,
    Optimizer,
    OptimizerDef,
    OptimizerState,
)

# T5X's names for the types of the first two.
OptimizerType = Optimizer
OptimizerDefType = OptimizerDef

__all__ = [
    "MultiOptimizer",
    "OptaxStatePartitionRules",
    "OptaxWrapper",
    "Optimizer",
    "OptimizerDef",
    "OptimizerDefType",
    "OptimizerState",
    "OptimizerType",
    "adabelief",
    "adagrad",
    "adam",
    "adamw",
    "chain",
    "fromage",
    "lamb",
    "lars",
    "lion",
    "noisy_sgd",
    "radam",
    "rmsprop",
    "sgd",
    "wrap_optax_optimizer",
    "yogi",
]
