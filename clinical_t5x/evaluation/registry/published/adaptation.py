"""Table 8: how MedNLI changes while T5-Base is trained on with clinical notes."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class AdaptationStage:
    """MedNLI's accuracy after some clinical pre-training from T5-Base.

    Attributes:
      steps: Updates on clinical notes.
      tokens: Clinical tokens seen.
      mean: Accuracy over seeds.
      std: Over the same.
    """

    steps: int
    tokens: float
    mean: float
    std: float


# The authors suspect that the warm-up of 40,000 steps was too long.
ADAPTATION = (
    AdaptationStage(0, 0.0, 0.818, 0.006),
    AdaptationStage(20_000, 2e9, 0.831, 0.001),
    AdaptationStage(40_000, 5e9, 0.831, 0.002),
    AdaptationStage(60_000, 8e9, 0.836, 0.007),
    AdaptationStage(80_000, 10e9, 0.836, 0.002),
    AdaptationStage(100_000, 13e9, 0.852, 0.007),
)
