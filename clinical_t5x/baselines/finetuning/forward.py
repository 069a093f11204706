"""Rows through a model: on which device, in which precision, in batches of like length."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from clinical_t5x.baselines.finetuning.batches import padded
from clinical_t5x.baselines.finetuning.loading import head_outputs, require_torch
from clinical_t5x.baselines.finetuning.problems import SPANS, Outputs
from clinical_t5x.baselines.finetuning.settings import BFLOAT16
from clinical_t5x.baselines.finetuning.windows import Row
from clinical_t5x.console import UserError

DEVICES = ("auto", "cpu", "cuda")


def device_named(name: str) -> Any:
    """The device to compute on; "auto" is the GPU where there is one.

    Raises:
      UserError: no such device, or PyTorch sees no GPU.
    """
    torch = require_torch()
    has_gpu = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if has_gpu else "cpu"
    if name.startswith("cuda") and not has_gpu:
        raise UserError("--device is cuda, but PyTorch sees no GPU here; leave it out for the CPU")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device is {name!r}; it must be auto, cpu or cuda") from error


def computing_in(precision: str, device: Any) -> contextlib.AbstractContextManager:
    """A block in which products are computed in the precision that the settings name."""
    import torch

    if precision != BFLOAT16:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def outputs_of(
    model: Any,
    rows: Sequence[Row],
    head: str,
    *,
    rows_at_once: int,
    pad_id: int,
    precision: str,
    advance: Callable[[int], None] = lambda count: None,
) -> Outputs:
    """What the head gives for each row, in the order of `rows`, without dropout.

    Args:
      model: on its device.
      rows: inputs.
      head: of the problem.
      rows_at_once: rows that go through the model together.
      pad_id: token that fills shorter rows up.
      precision: of the settings.
      advance: told how many more rows are done.

    Returns:
      float32 arrays, class logits [C] or start and end logits of the row's own tokens [L].
    """
    import torch

    device = next(model.parameters()).device
    found: list[Any] = [None] * len(rows)
    order = np.argsort([-len(row.ids) for row in rows], kind="stable")
    model.eval()
    for start in range(0, len(order), rows_at_once):
        places = order[start : start + rows_at_once]
        inputs = padded([rows[k] for k in places], pad_id, device)
        with torch.inference_mode(), computing_in(precision, device):
            outputs = head_outputs(model(**inputs), head)
        arrays = [output.float().cpu().numpy() for output in outputs]
        for row, place in enumerate(places):
            length = len(rows[place].ids) if head == SPANS else None
            found[place] = tuple(array[row][:length].copy() for array in arrays)
        advance(len(places))
    return found
