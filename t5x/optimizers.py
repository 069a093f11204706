"""T5X's name for optimizers made of Optax transformations."""

from clinical_t5x.training.optimizer import chain

__all__ = ["chain"]
