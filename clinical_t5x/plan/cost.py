"""How long a run takes on a topology at a supposed share of its peak, and what that costs."""

from __future__ import annotations

import dataclasses

from clinical_t5x.plan.run import PlannedRun
from clinical_t5x.plan.topology import Topology

# The share of peak that the headers of gin/*.gin plan with.
DEFAULT_MFU = 0.4

_SECONDS_AN_HOUR = 3600


@dataclasses.dataclass(frozen=True)
class Cost:
    """Work, time and money of a whole run.

    Attributes:
      step_flops: of the mathematics of one update (forward and backward), over all devices.
      recomputed_flops: what the remat policy adds to it.
      steps: updates.
      input_tokens: positions of the encoder in all of them.
      peak_flops: FLOP/s of the whole topology; None where the devices' peak is unknown.
      mfu: the share of it that `step_flops` are supposed to reach.
      hours: of the whole run; None without a peak.
      chip_hours: the same times chips.
      price: in the currency of the price given; None without one.
    """

    step_flops: float
    recomputed_flops: float
    steps: int
    input_tokens: int
    peak_flops: float | None
    mfu: float
    hours: float | None
    chip_hours: float | None
    price: float | None

    @property
    def seconds_a_step(self) -> float | None:
        """Supposed time of one update."""
        return None if self.hours is None else self.hours * _SECONDS_AN_HOUR / max(self.steps, 1)


def cost_of(
    run: PlannedRun, topology: Topology, *, mfu: float, price_per_chip_hour: float | None = None
) -> Cost:
    """Count a run's work and divide it by what the topology does.

    Args:
      run: any mesh: the work is the same.
      topology: the hardware.
      mfu: the supposed model FLOP/s over the peak, above 0.
      price_per_chip_hour: of one chip (a TPU chip, a GPU).
    """
    from clinical_t5x.models.accelerators import peak_flops
    from clinical_t5x.models.flops import step_flops

    config = run.model.config
    flops = step_flops(
        config,
        batch_size=run.batch_size,
        inputs_length=run.lengths["inputs"],
        targets_length=run.lengths["targets"],
    )
    of_device = peak_flops(topology.chip.device_kind, config.dtype)
    peak = None if of_device is None else of_device * topology.devices
    hours = None if peak is None else flops.model * run.steps / (peak * mfu) / _SECONDS_AN_HOUR
    chip_hours = None if hours is None else hours * topology.chips
    priced = chip_hours is not None and price_per_chip_hour is not None
    return Cost(
        step_flops=flops.model,
        recomputed_flops=flops.recompute,
        steps=run.steps,
        input_tokens=run.input_tokens,
        peak_flops=peak,
        mfu=mfu,
        hours=hours,
        chip_hours=chip_hours,
        price=chip_hours * price_per_chip_hour if priced else None,
    )
