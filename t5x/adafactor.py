"""T5X's name for the Adafactor optimizer."""

from clinical_t5x.training.optimizer import Adafactor, standard_logical_factor_rules

__all__ = ["Adafactor", "standard_logical_factor_rules"]
