"""One number of the paper and what must be known to read it."""

from __future__ import annotations

import dataclasses

MAIN, LOW_RESOURCE, VARIANT = "main", "low_resource", "variant"


@dataclasses.dataclass(frozen=True)
class PublishedNumber:
    """A score as the paper prints it, on the metric's own scale (0 to 1).

    Attributes:
      model: Key of its row in the registry.
      task: "mednli", "radqa" or "clip".
      metric: Named as this project's metrics are.
      mean: Over the paper's seeds, three or more; of one run for models that were prompted.
      std: Standard deviation over those seeds; None for models that were prompted.
      fraction: Of the training split; None for models that were prompted, whose demonstrations and
        prompt were all that they had.
      test_part: Of the test split that was scored.
      source: Where it is printed, such as "Table 7".
      kind: "main" (Tables 7, 9 and 10), "low_resource" (Tables 11 to 15) or "variant" (printed
        differently elsewhere in the paper).
      known_error: What is wrong or in doubt with it, in a sentence; None where nothing is known.
      wrong: Whether the number is known not to be this model's.
    """

    model: str
    task: str
    metric: str
    mean: float
    std: float | None
    fraction: float | None
    test_part: float
    source: str
    kind: str
    known_error: str | None = None
    wrong: bool = False
