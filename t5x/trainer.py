"""T5X's name for the trainer and the actions that may end a run."""

from clinical_t5x.training.actions import EarlyStoppingAction, TerminateOnNanAction
from clinical_t5x.training.trainer import Trainer

__all__ = ["EarlyStoppingAction", "TerminateOnNanAction", "Trainer"]
