"""After how many tokens of inference a model that had to be pre-trained is the cheaper one.

The general model is there already: of its costs only fine-tuning and inference count. The clinical
one must be pre-trained first, and is smaller. Section 4.1 of the paper, solved for the tokens T_i:

    T_i = 3 [w_c P_c (T_pt + T_ft) - w_g P_g T_ft] / (w_g P_g - w_c P_c)

A text has w times as many tokens in a model's own vocabulary as in the vocabulary that T_i is
counted in: 1.0 for the clinical vocabulary, 1.12 for the general one (T5-Base's against
Clinical-T5-Base's, over all of MIMIC; the paper).
"""

from __future__ import annotations

import dataclasses

from clinical_t5x.evaluation.cost.rule_of_thumb import INFERENCE_FLOPS, TRAINING_FLOPS

CLINICAL_WEIGHT = 1.0
GENERAL_WEIGHT = 1.12

FROM, UNTIL, ALWAYS, NEVER, EQUAL = "from", "until", "always", "never", "equal"


@dataclasses.dataclass(frozen=True)
class Side:
    """One of two models.

    Attributes:
      name: For sentences.
      training: FLOPs of training on one token of its own vocabulary; 6 P.
      inference: FLOPs of reading one; 2 P.
      weight: Tokens of its own vocabulary for each token that volumes are counted in.
      pretraining_tokens: That still have to be paid for; 0 for a model that is there already.
      fine_tuning_tokens: Of fine-tuning.
    """

    name: str
    training: float
    inference: float
    weight: float = 1.0
    pretraining_tokens: float = 0.0
    fine_tuning_tokens: float = 0.0

    @classmethod
    def of_parameters(cls, name: str, parameters: float, **rest: float) -> Side:
        """A side by the rule of thumb: 6 P and 2 P."""
        return cls(name, TRAINING_FLOPS * parameters, INFERENCE_FLOPS * parameters, **rest)

    @property
    def upfront(self) -> float:
        """FLOPs before the first token of inference."""
        return self.weight * self.training * (self.pretraining_tokens + self.fine_tuning_tokens)

    @property
    def per_token(self) -> float:
        """FLOPs for each token of inference, as volumes are counted."""
        return self.weight * self.inference

    def flops(self, tokens: float) -> float:
        """FLOPs in all when so many tokens have been read."""
        return self.upfront + self.per_token * tokens


@dataclasses.dataclass(frozen=True)
class BreakEven:
    """When the first of two models is cheaper than the second, over all its life.

    Attributes:
      first: Usually the clinical model.
      second: Usually the general one.
      kind: "from" a volume on, "until" a volume, "always" (at any volume above none), "never" or
        "equal".
      tokens: That volume, in tokens of inference; None where there is none.
    """

    first: Side
    second: Side
    kind: str
    tokens: float | None

    def sentence(self) -> str:
        """The answer in words."""
        first, second = self.first.name, self.second.name
        volume = "" if self.tokens is None else f"{self.tokens / 1e9:,.4g}B tokens of inference"
        return {
            FROM: f"{first} costs less than {second} from {volume} on",
            UNTIL: f"{first} costs less than {second} only up to {volume}",
            ALWAYS: f"{first} costs less than {second} at any volume: there is no break-even",
            NEVER: f"{first} never costs less than {second}: there is no break-even",
            EQUAL: f"{first} and {second} cost the same at any volume",
        }[self.kind]

    def years(self, tokens_a_year: float) -> float | None:
        """How long it takes to read so much; None without a volume."""
        return None if self.tokens is None else self.tokens / tokens_a_year


def break_even(first: Side, second: Side) -> BreakEven:
    """When `first` is cheaper than `second`."""
    extra_upfront = first.upfront - second.upfront
    saved_per_token = second.per_token - first.per_token
    if saved_per_token == 0:
        kind = EQUAL if extra_upfront == 0 else ALWAYS if extra_upfront < 0 else NEVER
        return BreakEven(first, second, kind, None)
    tokens = extra_upfront / saved_per_token
    if tokens > 0:
        return BreakEven(first, second, FROM if saved_per_token > 0 else UNTIL, tokens)
    return BreakEven(first, second, ALWAYS if saved_per_token > 0 else NEVER, None)
