"""Which steps are to be profiled, as a person says it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from clinical_t5x.console import UserError


@dataclasses.dataclass(frozen=True)
class ProfileWindow:
    """The updates that are profiled: those after `first` steps up to step `last`."""

    first: int
    last: int


def profile_window(asked: str | Sequence[int]) -> ProfileWindow:
    """The window that `--profile=100:110` or `train.profile = (100, 110)` means.

    Raises:
      UserError: it is not two steps, the first before the second.
    """
    if isinstance(asked, str):
        found = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", asked)
        numbers = tuple(map(int, found.groups())) if found else ()
    else:
        numbers = tuple(asked) if isinstance(asked, Sequence) else ()
    are_steps = len(numbers) == 2 and all(type(number) is int for number in numbers)
    if not are_steps or not 0 <= numbers[0] < numbers[1]:
        raise UserError(
            f"profile = {asked!r} names no steps: give the step to begin after and the last one, "
            "such as --profile=100:110 for ten steps"
        )
    return ProfileWindow(*numbers)
