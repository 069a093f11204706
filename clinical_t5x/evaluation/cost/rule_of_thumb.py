"""The paper's cost model: C_train = 6 P T and C_inf = 2 P T (section 4.1).

P parameters, T tokens. It counts a product of every parameter with every token, once forward and
twice backward; attention products are not in it (`forward` counts those too), and for an
encoder-decoder it is too much, since a token goes through one of the two stacks.
"""

from __future__ import annotations

import dataclasses

from clinical_t5x.evaluation.registry.row import TokenCounts

TRAINING_FLOPS = 6.0  # for each parameter and token
INFERENCE_FLOPS = 2.0


def training_flops(parameters: float, tokens: float) -> float:
    """FLOPs of training on so many tokens, 6 P T."""
    return TRAINING_FLOPS * parameters * tokens


def inference_flops(parameters: float, tokens: float) -> float:
    """FLOPs of reading (or writing) so many tokens, 2 P T."""
    return INFERENCE_FLOPS * parameters * tokens


@dataclasses.dataclass(frozen=True)
class PretrainingFlops:
    """FLOPs by kind of text: 0 where there was none, None where the tokens are not known."""

    general: float | None
    biomedical: float | None
    clinical: float | None

    @property
    def total(self) -> float | None:
        """Of all kinds; None where one is not known."""
        kinds = dataclasses.astuple(self)
        return None if None in kinds else sum(kinds)


def pretraining_flops(parameters: float, tokens: TokenCounts) -> PretrainingFlops:
    """6 P T for each kind of text."""
    return PretrainingFlops(
        *(
            None if count is None else training_flops(parameters, count)
            for count in dataclasses.astuple(tokens)
        )
    )
