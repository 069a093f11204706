"""A model in a notebook or a script: load any checkpoint, predict, score, train a few steps, save.

    from clinical_t5x.interactive import load_model

    model = load_model("runs/finetune_mednli")
    model.predict(["mednli premise: ..."], max_target_tokens=16)

It is what T5X calls InteractiveModel, with its method names. No gin is needed: sizes, vocabulary
and lengths are found with the checkpoint. Texts are never cut.

- loading: load_model and new_model
- model: InteractiveModel, what may be done with one
"""

from clinical_t5x.interactive.loading import load_model, new_model
from clinical_t5x.interactive.model import InteractiveModel

__all__ = ["InteractiveModel", "load_model", "new_model"]
