"""T5X's name for models without an encoder, which this project does not have."""

from __future__ import annotations

from typing import Any


class DecoderOnlyModel:
    """T5X's language model; building one is refused."""

    def __init__(
        self,
        module: Any,
        vocabulary: Any,
        optimizer_def: Any,
        decode_fn: Any = None,
        inputs_bidirectional_attention: bool = False,
        feature_converter_cls: Any = None,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        loss_normalizing_factor: Any = None,
    ):
        """Refuse.

        Raises:
          ValueError: always.
        """
        raise ValueError(
            "models.DecoderOnlyModel cannot be built: there are encoder-decoder models only; "
            "bind MODEL = @models.EncoderDecoderModel()"
        )
