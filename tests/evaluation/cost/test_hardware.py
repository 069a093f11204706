"""FLOPs as hours of a chip, and money."""

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.cost.hardware import chip_hours, endpoint_price


def test_hours_are_work_over_speed():
    found = chip_hours(1.8e20, "NVIDIA A100-SXM4-80GB", mfu=0.5)
    assert found.hours == pytest.approx(1.8e20 / (312e12 * 0.5) / 3600)
    assert found.price(2.0) == 2 * found.hours


def test_a_chip_of_two_devices_does_twice_as_much():
    one = chip_hours(1e20, "TPU v3", mfu=0.4)
    chip = chip_hours(1e20, "TPU v3", mfu=0.4, devices_a_chip=2)
    assert chip.peak == 2 * one.peak == 123e12
    assert chip.hours == one.hours / 2


@pytest.mark.parametrize("mfu", [0, -1, 1.5, 40])
def test_a_share_is_above_0_and_at_most_1(mfu):
    with pytest.raises(UserError, match="share of the peak"):
        chip_hours(1e20, "TPU v4", mfu=mfu)


def test_an_unknown_peak_is_said():
    with pytest.raises(UserError, match="'cpu' in bfloat16 is not known"):
        chip_hours(1e20, "cpu", mfu=0.4)
    with pytest.raises(UserError, match="T4"):  # which has no bfloat16
        chip_hours(1e20, "Tesla T4", mfu=0.4)


def test_servers_bill_by_the_million():
    assert endpoint_price(
        2_500_000, 100_000, per_million_input=3.0, per_million_output=15.0
    ) == pytest.approx(2.5 * 3 + 0.1 * 15)
