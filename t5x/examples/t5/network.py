"""T5X's name for the T5 network and its configuration."""

from clinical_t5x.models.config import T5Config
from clinical_t5x.models.network import Transformer

__all__ = ["T5Config", "Transformer"]
