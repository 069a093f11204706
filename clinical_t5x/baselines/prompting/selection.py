"""Which prompt, with how many demonstrations: decided on validation examples, never on test.

The paper tried its prompts on the first 200 validation examples (its shuffle was lost); here they
are drawn at random, by whole units.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from clinical_t5x.baselines.prompting.prompts import Prompt
from clinical_t5x.evaluation.inference_evaluator import ExampleSubset


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A prompt with a number of demonstrations."""

    prompt: Prompt
    shots: int

    @property
    def name(self) -> str:
        """As files and tables call it."""
        return f"{self.prompt.name}-{self.shots}shot"


def candidates_of(prompts: Sequence[Prompt], shots: Sequence[int]) -> tuple[Candidate, ...]:
    """All pairs, those with fewer demonstrations first."""
    return tuple(Candidate(prompt, count) for count in sorted(set(shots)) for prompt in prompts)


def drawn_units(examples: Any, size: int, seed: int) -> Any:
    """Whole units in a random order until they hold `size` examples or more; all if there are less.

    Args:
      examples: of a split (clinical_t5x.data.loader.Examples).
      size: number of examples.
      seed: the same seed draws the same units, in whatever order the examples stand.
    """
    of_example = [str(record["unit"]) for record in examples.records]
    units = sorted(set(of_example))
    chosen: set[str] = set()
    held = 0
    for k in np.random.default_rng(seed).permutation(len(units)):
        if held >= size:
            break
        chosen.add(units[k])
        held += of_example.count(units[k])
    if len(chosen) == len(units):
        return examples
    return ExampleSubset(examples, tuple(k for k, u in enumerate(of_example) if u in chosen))
