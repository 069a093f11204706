"""T5X's name for the models of `clinical_t5x.models`."""

from clinical_t5x.models.decoder_only import DecoderOnlyModel
from clinical_t5x.models.encoder_decoder import (
    EncoderDecoderModel,
    get_input_vocabulary,
    get_output_vocabulary,
)

__all__ = [
    "DecoderOnlyModel",
    "EncoderDecoderModel",
    "get_input_vocabulary",
    "get_output_vocabulary",
]
