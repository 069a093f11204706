"""T5X's name for the decoding functions."""

from clinical_t5x.models.decoding import beam_search, temperature_sample

__all__ = ["beam_search", "temperature_sample"]
