"""T5X's names for writers of checkpoints."""

from clinical_t5x.training.t5x_names import (
    Checkpointer,
    OrbaxCheckpointManagerInterface,
    SaveBestCheckpointer,
)

__all__ = ["Checkpointer", "OrbaxCheckpointManagerInterface", "SaveBestCheckpointer"]
