"""What the registry says about one model."""

from __future__ import annotations

import dataclasses

PAPER, APPENDIX, TODAY = "paper", "appendix", "today"
GROUPS = (PAPER, APPENDIX, TODAY)

ENCODER_DECODER, ENCODER, DECODER = "encoder-decoder", "encoder", "decoder"
ARCHITECTURES = (ENCODER_DECODER, ENCODER, DECODER)

FINE_TUNING, IN_CONTEXT = "fine-tuning", "in-context"
USES = (FINE_TUNING, IN_CONTEXT)

ENDPOINT = "endpoint"  # the family of a model that only a server has


@dataclasses.dataclass(frozen=True)
class TokenCounts:
    """Tokens of pre-training by kind of text; 0 is none, None is not known."""

    general: float | None = 0.0
    biomedical: float | None = 0.0
    clinical: float | None = 0.0

    @property
    def total(self) -> float | None:
        """Of all kinds; None where one is not known."""
        kinds = dataclasses.astuple(self)
        return None if None in kinds else sum(kinds)


UNKNOWN_TOKENS = TokenCounts(None, None, None)


@dataclasses.dataclass(frozen=True)
class ModelRow:
    """One model.

    Attributes:
      key: What commands and results call it, such as "t5_base".
      name: What tables print; the paper's name where it has one.
      group: "paper" (the twelve of its main tables), "appendix" (four more of its Tables 7, 9 and
        10) or "today".
      architecture: "encoder-decoder", "encoder" or "decoder".
      family: The `model_type` of its Hugging Face configuration; "endpoint" for a model that only
        a server has.
      tokenizer: Its tokenizer's class in Hugging Face's transformers, and what kind that is.
      parameters: As the paper or the model's card rounds them; the P of 6PT and 2PT.
      source: Where the weights are: a Hugging Face id, or words.
      licence: Of the weights, as their card says.
      use: "fine-tuning" or "in-context", as in the paper.
      preset: What has its hyperparameters: a preset of `finetune`, or "t5" for `grid`'s preset
        "paper"; None for in-context models.
      command: What to type, one command a line; capitals are directories and names of yours.
      tokens: Seen in pre-training, repetitions counted (the paper's Tables 2 and 3).
      unique_tokens: Different ones among them (its Table 5).
      notes: What else must be known, uncertain facts among them.
      aliases: Other Hugging Face ids of the same weights.
    """

    key: str
    name: str
    group: str
    architecture: str
    family: str
    tokenizer: str
    parameters: int
    source: str
    licence: str
    use: str
    preset: str | None
    command: str
    tokens: TokenCounts
    unique_tokens: TokenCounts
    notes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def hub_id(self) -> str | None:
        """Its Hugging Face id, where it has one."""
        return self.source if "/" in self.source and " " not in self.source else None
