"""Families of prompts for each benchmark, in words of this project.

The paper found that answers hang on the wording (swapped labels in an instruction cost Flan-T5 20
points of accuracy), so a family varies instruction, order of the labels, layout and form of the
answer; which one is used is decided on validation examples. A name ends with a version: wordings
never change under a name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from clinical_t5x.baselines.prompting.prompts.clip import CLIP_PROMPTS
from clinical_t5x.baselines.prompting.prompts.mednli import MEDNLI_PROMPTS
from clinical_t5x.baselines.prompting.prompts.prompt import Prompt, Record
from clinical_t5x.baselines.prompting.prompts.radqa import RADQA_PROMPTS
from clinical_t5x.console import UserError

PROMPTS: Mapping[str, tuple[Prompt, ...]] = {
    "mednli": MEDNLI_PROMPTS,
    "radqa": RADQA_PROMPTS,
    "clip": CLIP_PROMPTS,
}

__all__ = ["PROMPTS", "Prompt", "Record", "prompts_named"]


def prompts_named(task: str, names: Sequence[str] | None = None) -> tuple[Prompt, ...]:
    """The prompts of a benchmark with these names, in this order; all of them for None.

    Raises:
      UserError: there is no such prompt.
    """
    family = {prompt.name: prompt for prompt in PROMPTS[task]}
    for name in names or ():
        if name not in family:
            near = difflib.get_close_matches(name, family, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(family)}"
            raise UserError(f"{task} has no prompt {name!r}; {advice}")
    return tuple(family[name] for name in names) if names else tuple(family.values())
