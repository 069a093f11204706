"""T5X's name for the trainer."""

from clinical_t5x.training.trainer import Trainer

__all__ = ["Trainer"]
