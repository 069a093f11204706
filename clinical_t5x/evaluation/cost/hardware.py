"""FLOPs as chip-hours, and both as money.

No price is known here: prices change, differ by region and contract, and are always an argument.
"""

from __future__ import annotations

import dataclasses

from clinical_t5x.console import UserError
from clinical_t5x.models.accelerators import peak_flops

_SECONDS_AN_HOUR = 3600.0
_MILLION = 1e6


@dataclasses.dataclass(frozen=True)
class ChipHours:
    """How long one chip works.

    Attributes:
      hours: Of one chip.
      device_kind: The chip's, as JAX calls it.
      peak: FLOP/s of one chip.
      mfu: The share of it that is supposed to be reached.
    """

    hours: float
    device_kind: str
    peak: float
    mfu: float

    def price(self, per_chip_hour: float) -> float:
        """In the currency of the price."""
        return self.hours * per_chip_hour


def chip_hours(
    flops: float,
    device_kind: str,
    *,
    mfu: float,
    dtype: str = "bfloat16",
    devices_a_chip: int = 1,
) -> ChipHours:
    """The time that so much work takes.

    Args:
      flops: Of the mathematics, forward and backward pass.
      device_kind: `jax.Device.device_kind`, such as "TPU v3" or "NVIDIA H100 80GB HBM3".
      mfu: Model FLOP/s over the peak, above 0 and at most 1.
      dtype: What is multiplied.
      devices_a_chip: JAX devices of one chip: 2 for TPU v2, v3 and 7x.

    Raises:
      UserError: the peak of this device is not known, or the share is none.
    """
    if not 0 < mfu <= 1:
        raise UserError(f"a share of the peak is above 0 and at most 1, not {mfu}")
    peak = peak_flops(device_kind, dtype)
    if peak is None:
        raise UserError(f"the peak of {device_kind!r} in {dtype} is not known")
    peak *= devices_a_chip
    return ChipHours(flops / (peak * mfu) / _SECONDS_AN_HOUR, device_kind, peak, mfu)


@dataclasses.dataclass(frozen=True)
class PricedWork:
    """A piece of work on a named chip.

    Attributes:
      name: What it is.
      flops: Of the mathematics.
      chip_hours: At the supposed share of the peak.
      price: In the currency of the price given; None without one.
    """

    name: str
    flops: float
    chip_hours: float
    price: float | None


def priced_work(
    name: str,
    flops: float,
    device_kind: str,
    *,
    mfu: float,
    devices_a_chip: int = 1,
    price_per_chip_hour: float | None = None,
) -> PricedWork:
    """The time and the price of a piece of work; see `chip_hours`."""
    needed = chip_hours(flops, device_kind, mfu=mfu, devices_a_chip=devices_a_chip)
    price = None if price_per_chip_hour is None else needed.price(price_per_chip_hour)
    return PricedWork(name, flops, needed.hours, price)


def endpoint_price(
    input_tokens: float,
    output_tokens: float,
    *,
    per_million_input: float,
    per_million_output: float,
) -> float:
    """What a server bills for so many tokens, in the currency of the prices."""
    return (input_tokens * per_million_input + output_tokens * per_million_output) / _MILLION
