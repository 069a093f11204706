"""Mixtures of tasks: the three benchmarks together, and pre-training beside them.

multitask_mednli_v1_radqa_v1_clip_v1
mimic_pretrain_v1_and_multitask_mednli_v1_radqa_v1_clip_v1

A mixture's name is made of its parts' names, which carry their versions: a part of another version
is another mixture. Rates are shares of rows; the trainer keeps them exactly over 1,000 rows.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import seqio

import tasks.clip
import tasks.mednli
import tasks.pretrain
import tasks.radqa  # noqa: F401 - these four register the parts
from clinical_t5x.console import UserError

BENCHMARKS = ("mednli_v1", "radqa_v1", "clip_v1")
PRETRAINING = "mimic_pretrain_v1"
# No part counts as larger than this: CLIP has 76,654 training sentences, RadQA 4,878 questions.
MAXIMUM = 16_384


def register(
    name: str | None = None,
    *,
    parts: Sequence[str] = BENCHMARKS,
    maximum: int = MAXIMUM,
    temperature: float = 1.0,
    rates: Sequence[float] | None = None,
) -> str:
    """Register a mixture of tasks.

    A part's rate is min(its training examples, maximum) ** (1 / temperature), unless `rates` says
    otherwise. Examples are counted when the mixture is first read, so that it can be registered
    before there are data.

    Args:
      name: the mixture's name; by default `multitask_` and the parts' names.
      parts: names of registered tasks with one vocabulary.
      maximum: a part with more training examples counts as having so many.
      temperature: 1 mixes in proportion; larger values bring the parts closer together.
      rates: one for each part, in place of the rule; whatever their sum.

    Returns:
      The mixture's name.

    Raises:
      UserError: a part that is not registered or named twice, or rates that do not fit.
    """
    _check_parts(parts)
    if rates is not None:
        _check_rates(parts, rates)
        mixed = list(zip(parts, map(float, rates), strict=True))
    else:
        _check_rule(maximum, temperature)
        rule = functools.partial(
            seqio.mixing_rate_num_examples, maximum=maximum, temperature=temperature
        )
        mixed = [(part, rule) for part in parts]
    return _replace_registration(name or f"multitask_{'_'.join(parts)}", mixed)


def register_with_pretraining(
    name: str | None = None,
    *,
    pretraining: str = PRETRAINING,
    share: float = 0.5,
    parts: Sequence[str] = BENCHMARKS,
    maximum: int = MAXIMUM,
) -> str:
    """Register pre-training and fine-tuning as one mixture.

    Args:
      name: the mixture's name; by default the names of its two sides, joined by `_and_`.
      pretraining: name of the pre-training task.
      share: of the rows, that pre-training has.
      parts: the tasks that have the rest, mixed among themselves by `register`'s rule.
      maximum: as for `register`.

    Returns:
      The mixture's name.

    Raises:
      UserError: as for `register`, or a share that leaves nothing to one side.
    """
    if not 0 < share < 1:
        raise UserError(f"share is {share!r}; it must lie between 0 and 1: it is pre-training's")
    _check_parts([pretraining, *parts])
    multitask = register(parts=parts, maximum=maximum)
    mixed = [(pretraining, float(share)), (multitask, 1.0 - share)]
    return _replace_registration(name or f"{pretraining}_and_{multitask}", mixed)


def _check_parts(parts: Sequence[str]) -> None:
    known = seqio.TaskRegistry.names()
    for part in parts:
        if part not in known:
            raise UserError(
                f"the mixture's part {part!r} is not registered; registered are"
                f" {', '.join(sorted(known))}: import or call what registers it first"
            )
    if len(set(parts)) < len(parts) or not parts:
        raise UserError(f"a mixture needs parts, each named once; parts is {list(parts)}")


def _check_rates(parts: Sequence[str], rates: Sequence[float]) -> None:
    if len(rates) != len(parts) or not all(rate > 0 for rate in rates):
        raise UserError(
            f"rates is {list(rates)}; it must have a number above 0 for each of {', '.join(parts)}"
        )


def _check_rule(maximum: int, temperature: float) -> None:
    if maximum < 1:
        raise UserError(f"maximum is {maximum!r}; it counts examples and must be at least 1")
    if not temperature > 0:
        raise UserError(f"temperature is {temperature!r}; it must be above 0, and 1 is none")


def _replace_registration(name: str, mixed: list[tuple[str, Any]]) -> str:
    if name in seqio.MixtureRegistry.names():
        seqio.MixtureRegistry.remove(name)
    seqio.MixtureRegistry.add(name, mixed)
    return name


register()
register_with_pretraining()
