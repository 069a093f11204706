"""T5X's name for the models of `clinical_t5x.models`."""

from clinical_t5x.models.encoder_decoder import EncoderDecoderModel

__all__ = ["EncoderDecoderModel"]
