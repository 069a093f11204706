"""The costs of the registry's models: Table 3 with its wrong cells corrected, and exact counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.cost.break_even import CLINICAL_WEIGHT, GENERAL_WEIGHT, Side
from clinical_t5x.evaluation.cost.forward import (
    forward_flops,
    generation_flops,
    training_flops_exact,
)
from clinical_t5x.evaluation.cost.known_sizes import known_sizes
from clinical_t5x.evaluation.cost.rule_of_thumb import (
    INFERENCE_FLOPS,
    TRAINING_FLOPS,
    PretrainingFlops,
    pretraining_flops,
)
from clinical_t5x.evaluation.cost.sizes import ModelSizes
from clinical_t5x.evaluation.registry import MODELS, ModelRow, model_row
from clinical_t5x.evaluation.registry.published import PRINTED_FLOPS, PrintedFlops
from clinical_t5x.evaluation.registry.row import IN_CONTEXT

# What exact counts of inference are of: an input of 512 tokens, an answer of 8.
READ_TOKENS = 512
WRITTEN_TOKENS = 8

# And those of training: inputs of 512 tokens; the targets of T5's span corruption, which belong to
# them, or words predicted at 15 % of an encoder's positions and at all of a decoder's.
TARGET_TOKENS = 114
_MASKED_SHARE = 0.15

KINDS = ("general", "biomedical", "clinical")


@dataclasses.dataclass(frozen=True)
class ModelCost:
    """What one model costs, in FLOPs.

    Attributes:
      key: Of its row in the registry.
      pretraining: 6 P T by kind of text.
      inference_per_token: 2 P.
      exact_per_token: Counted product by product: reading 512 tokens and, where the model writes,
        writing 8, divided by 512. None where the sizes are not public.
      exact_training_per_token: The same for pre-training on inputs of 512 tokens.
      printed: The paper's Table 3; None for models that it does not have.
    """

    key: str
    pretraining: PretrainingFlops
    inference_per_token: float
    exact_per_token: float | None
    exact_training_per_token: float | None
    printed: PrintedFlops | None

    @property
    def wrong_cells(self) -> tuple[str, ...]:
        """Kinds of text whose printed FLOPs are wrong."""
        return () if self.printed is None else self.printed.without_factor_six


def model_cost(key: str) -> ModelCost:
    """The costs of a row of the registry.

    Raises:
      UserError: there is no such row.
    """
    row = model_row(key)
    sizes = known_sizes(key)
    return ModelCost(
        key=key,
        pretraining=pretraining_flops(row.parameters, row.tokens),
        inference_per_token=INFERENCE_FLOPS * row.parameters,
        exact_per_token=None if sizes is None else exact_per_token(row, sizes),
        exact_training_per_token=None if sizes is None else exact_training_per_token(sizes),
        printed=next((printed for printed in PRINTED_FLOPS if printed.model == key), None),
    )


def model_costs(keys: Iterable[str] = MODELS) -> list[ModelCost]:
    """The costs of several rows, by default of all, in the order given."""
    return [model_cost(key) for key in keys]


def exact_per_token(row: ModelRow, sizes: ModelSizes) -> float:
    """FLOPs for each token read, answers included; see `ModelCost`."""
    writes = sizes.decoder is not None and (sizes.encoder is not None or row.use == IN_CONTEXT)
    if writes:
        total = generation_flops(sizes, READ_TOKENS, WRITTEN_TOKENS).total
    else:
        total = forward_flops(sizes, READ_TOKENS, outputs=0).total
    return total / READ_TOKENS


def exact_training_per_token(sizes: ModelSizes) -> float:
    """FLOPs of pre-training for each token of input; see `ModelCost`."""
    alone = sizes.decoder is None or sizes.encoder is None
    total = training_flops_exact(
        sizes,
        READ_TOKENS,
        targets_length=0 if alone else TARGET_TOKENS,
        outputs=round(_MASKED_SHARE * READ_TOKENS) if sizes.decoder is None else None,
    )
    return total.total / READ_TOKENS


def side_of_model(
    key: str,
    *,
    weight: float | None = None,
    pays_pretraining: bool,
    pretraining_tokens: float | None = None,
    fine_tuning_tokens: float = 0.0,
    exact: bool = False,
) -> Side:
    """A row of the registry as one side of a break-even.

    Args:
      key: The row's.
      weight: Of its vocabulary; default what is known of it, else 1.0.
      pays_pretraining: Whether its clinical pre-training is still to be paid for. What it was
        trained on before is there already.
      pretraining_tokens: To be paid for instead of that.
      fine_tuning_tokens: Of fine-tuning.
      exact: Whether tokens cost what exact counts say, instead of 6 P and 2 P.

    Raises:
      UserError: there is no such row, its pre-training is to be paid for and not known, or an exact
        count is asked of one whose sizes are not public.
    """
    row = model_row(key)
    if pretraining_tokens is None:
        pretraining_tokens = row.tokens.clinical if pays_pretraining else 0.0
    if pretraining_tokens is None:
        raise UserError(
            f"how many clinical tokens {row.name} has seen is not known: say with"
            " --pretraining_tokens what is to be paid for (0 for a model that is there already)"
        )
    if weight is None:
        weight = vocabulary_weight(row) or 1.0
    cost = model_cost(key)
    training, inference = TRAINING_FLOPS * row.parameters, cost.inference_per_token
    if exact:
        if cost.exact_per_token is None:
            raise UserError(f"the sizes of {row.name} are not public: leave --exact out")
        training, inference = cost.exact_training_per_token, cost.exact_per_token
    return Side(
        row.name,
        training,
        inference,
        weight=weight,
        pretraining_tokens=pretraining_tokens,
        fine_tuning_tokens=fine_tuning_tokens,
    )


def vocabulary_weight(row: ModelRow) -> float | None:
    """Tokens of clinical text in a model's vocabulary over those in Clinical-T5-Base's.

    1.0 for the vocabularies that were made from clinical notes and 1.12 for T5's, both the
    paper's; None for all others, which nobody has measured.
    """
    if row.family != "t5":
        return None
    from_notes = row.tokens.clinical is not None and row.tokens.clinical == row.tokens.total
    return CLINICAL_WEIGHT if from_notes else GENERAL_WEIGHT
