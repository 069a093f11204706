"""Hyperparameters of fine-tuning, and presets that say them for all three benchmarks.

The paper's (Appendix B): AdamW without weight decay or warm-up, linear decay, batch 64, 20 epochs,
the best epoch on validation; the learning rate is 1e-5 for RoBERTa and BioClinRoBERTa, 2e-6 for
PubMedGPT, and the best on validation of 2e-5, 3e-5 and 5e-5 for the other encoders.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from clinical_t5x.console import UserError
from clinical_t5x.training.settings import check_count, check_number, rate_name

FLOAT32, BFLOAT16 = "float32", "bfloat16"
LINEAR, CONSTANT = "linear", "constant"
_LARGEST_SEED = 2**64 - 1  # that torch takes


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a model is fine-tuned and how it answers.

    Attributes:
      learning_rates: each is trained with; the best on validation is kept.
      epochs: passes over the training data.
      batch_size: rows of an update.
      rows_at_once: rows that go through the model together; an update adds up as many passes as it
        takes (gradient accumulation).
      schedule: "linear" decay to nothing, or "constant".
      warmup: share of the updates in which the rate rises, 0 to 1.
      weight_decay: of AdamW, on matrices only.
      clip_norm: longest gradient; 0 does not clip.
      patience: epochs without improvement after which a trial ends; None: never.
      max_tokens: of an input, by benchmark; special tokens included.
      overlap: tokens that neighbouring windows of a RadQA context share.
      longest_answer: words of a RadQA answer at most. The longest of the data set has 418, so that
        no system is held to shorter answers than another (the paper's encoders stopped at 30
        tokens, its decoder at 256).
      pair: MedNLI as premise and hypothesis in two segments; False: the task's one text, as in the
        paper. Decoders know no segments and always read the one text.
      precision: "float32", or "bfloat16" for what may be computed in it; parameters are float32.
      recompute: gradient checkpointing: less memory for more time.
      lora_rank: rank of adapters on the matrices of attention, which alone are trained, with the
        head; 0 trains everything.
      lora_scale: adapters are multiplied by it over the rank.
      checkpoint_period: updates between two checkpoints.
    """

    learning_rates: tuple[float, ...] = (2e-5, 3e-5, 5e-5)
    epochs: int = 20
    batch_size: int = 64
    rows_at_once: int = 16
    schedule: str = LINEAR
    warmup: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    patience: int | None = None
    max_tokens: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {"mednli": 256, "radqa": 512, "clip": 256}
    )
    overlap: int = 128
    longest_answer: int = 512
    pair: bool = False
    precision: str = FLOAT32
    recompute: bool = False
    lora_rank: int = 0
    lora_scale: float = 32.0
    checkpoint_period: int = 500

    def __post_init__(self):
        for name in ("epochs", "batch_size", "rows_at_once", "longest_answer", "checkpoint_period"):
            check_count(name, getattr(self, name), optional=False)
        for name in ("overlap", "lora_rank"):
            check_count(name, getattr(self, name), least=0, optional=False)
        check_count("patience", self.patience)
        for name in ("warmup", "weight_decay", "clip_norm"):
            _check_amount(name, getattr(self, name))
        _check_amount("lora_scale", self.lora_scale, above_zero=True)
        self._check_rates()
        if self.warmup > 1:
            raise UserError(f"warmup is {self.warmup}; it is a share of the updates, 0 to 1")
        if self.precision not in (FLOAT32, BFLOAT16):
            raise UserError(f"precision is {self.precision!r}; it must be {FLOAT32} or {BFLOAT16}")
        if self.schedule not in (LINEAR, CONSTANT):
            raise UserError(f"schedule is {self.schedule!r}; it must be {LINEAR} or {CONSTANT}")
        if min(self.max_tokens.values()) < 16:
            raise UserError(f"max_tokens are {dict(self.max_tokens)}; they must be at least 16")

    def _check_rates(self) -> None:
        if not self.learning_rates:
            raise UserError("learning_rates are none; give at least one")
        for rate in self.learning_rates:
            _check_amount("learning_rates", rate, above_zero=True)
        names = collections.Counter(map(rate_name, self.learning_rates))
        (name, times), *_ = names.most_common(1)
        if times > 1:  # they would share a folder, and the second take the first one's result
            raise UserError(
                f"learning_rates has {times} that are written {name}; leave all but one of them out"
            )

    def description(self) -> dict[str, Any]:
        """Its values for JSON."""
        return {**dataclasses.asdict(self), "learning_rates": list(self.learning_rates)}


def check_seed(seed: Any) -> None:
    """Refuse what order, dropout and a fresh head cannot be drawn with.

    Raises:
      UserError: it is no whole number, negative, or too large.
    """
    check_count("seed", seed, least=0, optional=False)
    if seed > _LARGEST_SEED:
        raise UserError(f"seed = {seed}: must be at most {_LARGEST_SEED}")


def _check_amount(name: str, value: Any, *, above_zero: bool = False) -> None:
    """Refuse what is no number, not finite, or negative; zero too where it makes no sense."""
    check_number(name, value)
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        least = "above 0" if above_zero else "at least 0"
        raise UserError(f"{name} = {value!r}: must be a finite number, {least}")


_SWEEP = Settings()
_ROBERTA = Settings(learning_rates=(1e-5,))
_GPT = Settings(learning_rates=(2e-6,), rows_at_once=1, precision=BFLOAT16, recompute=True)

# By what a user types; "paper" and "standard" are one of the first three by the model's family.
PRESETS: Mapping[str, Settings] = {
    "encoder_sweep": _SWEEP,
    "roberta": _ROBERTA,
    "gpt": _GPT,
    "lora": Settings(
        learning_rates=(1e-4, 3e-4),
        epochs=5,
        rows_at_once=4,
        warmup=0.05,
        precision=BFLOAT16,
        recompute=True,
        lora_rank=16,
    ),
    "laptop": Settings(
        learning_rates=(1e-3,),
        epochs=5,
        batch_size=16,
        warmup=0.1,
        weight_decay=0.01,
        max_tokens={"mednli": 128, "radqa": 256, "clip": 128},
        overlap=64,
        pair=True,
    ),
}
PAPER, STANDARD = "paper", "standard"
PRESET_NAMES = (STANDARD, PAPER, *PRESETS)

_OF_FAMILY = {"roberta": "roberta", "gpt2": "gpt"}


def preset_named(name: str, family: str, *, is_decoder: bool) -> Settings:
    """The settings of a preset for a model of a family (Hugging Face's model_type).

    "paper" takes what the paper used for such a model, "standard" the same with MedNLI as a pair of
    sentences; decoders that the paper has not get those of its decoder.
    """
    if name in PRESETS:
        return PRESETS[name]
    if name not in (PAPER, STANDARD):
        raise UserError(f"--preset is {name!r}; it must be one of {', '.join(PRESET_NAMES)}")
    default = "gpt" if is_decoder else "encoder_sweep"
    settings = PRESETS[_OF_FAMILY.get(family, default)]
    return dataclasses.replace(settings, pair=name == STANDARD)
