"""Worked examples: from the training split only, seeded, balanced, of different units."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from clinical_t5x.baselines.prompting.prompts import Prompt, Record

_LONGEST = 300  # words of a record as it is shown: longer ones would fill the prompt


@dataclasses.dataclass(frozen=True)
class Pool:
    """The training records that demonstrations are drawn from.

    Attributes:
      records: of the training split; never of another one.
      units: the unit of each: no two demonstrations are of one premise, context or summary.
    """

    records: Sequence[Record]
    units: Sequence[str]

    @classmethod
    def of_training(cls, task: str, records: Sequence[Record]) -> Pool:
        """The pool of a benchmark's training split."""
        unit = {
            "mednli": lambda record: record["premise"],
            "radqa": lambda record: record["context"],
            "clip": lambda record: record["id"].rsplit("/", 1)[0],
        }[task]
        return cls(records, [unit(record) for record in records])

    def demonstrations(self, prompt: Prompt, count: int, seed: int) -> Mapping[str, list[Record]]:
        """As many records for each aspect of a prompt; fewer come first among more.

        The kinds of answer take turns in a random order, so that none comes twice before all came
        once, and of each kind a random record of a new unit is taken, short ones where there are.

        Args:
          prompt: says what kinds there are.
          count: of demonstrations.
          seed: the same seed draws the same.
        """
        return {
            aspect: self._drawn(prompt, aspect, count, np.random.default_rng([seed, number]))
            for number, aspect in enumerate(prompt.aspects)
        }

    def _drawn(
        self, prompt: Prompt, aspect: str, count: int, rng: np.random.Generator
    ) -> list[Record]:
        if count == 0:
            return []
        waiting: dict[str, collections.deque[int]] = collections.defaultdict(collections.deque)
        for k in rng.permutation(len(self.records)).tolist():
            for kind in prompt.kinds(self.records[k], aspect):
                waiting[kind].append(k)
        turns = [sorted(waiting)[k] for k in rng.permutation(len(waiting))]
        chosen: list[int] = []
        used: set[str] = set()
        while len(chosen) < count and any(waiting.values()):
            for kind in turns:
                found = self._next_of(waiting[kind], used, lambda r: prompt.layout(r, aspect))
                if found is not None and len(chosen) < count:
                    chosen.append(found)
                    used.add(self.units[found])
        return [self.records[k] for k in chosen]

    def _next_of(
        self, candidates: collections.deque[int], used: set[str], layout: Callable[[Record], str]
    ) -> int | None:
        """The first candidate of a new unit that is short, or of a new unit at all; it is taken.

        Candidates of units that are used already are done with.
        """
        long = []
        while candidates:
            k = candidates.popleft()
            if self.units[k] in used:
                continue
            if len(layout(self.records[k]).split()) <= _LONGEST:
                candidates.extend(long)
                return k
            long.append(k)
        candidates.extend(long)
        return candidates.popleft() if candidates else None
