import math

import numpy as np
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.training.schedule import create_learning_rate_scheduler as scheduler


def test_pretraining_and_finetuning_schedules():
    pretrain = scheduler("constant * rsqrt_decay", base_learning_rate=1.0, warmup_steps=10_000)
    assert float(pretrain(0)) == pytest.approx(0.01)
    assert float(pretrain(10_000)) == pytest.approx(0.01)
    assert float(pretrain(1_000_000)) == pytest.approx(0.001)
    assert float(scheduler("constant", base_learning_rate=1e-3)(5)) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("factors", "step", "expected"),
    [
        ("constant * linear_warmup", 250, 0.5 * 0.25),
        ("constant * linear_warmup", 4000, 0.5),
        ("linear_decay", 500, 0.5 * 0.5),
        ("linear_decay", 1010, 0.5 * 0.5),
        ("rsqrt_decay", 2500, 0.02),
        ("constant * rsqrt_normalized_decay", 4000, 0.25),
        ("constant * decay_every", 25_000, 0.5 * 0.05),
        ("constant * cosine_decay", 1000 + 25_000, 0.25 * (1 + math.cos(math.pi / 4))),
        ("constant * linear_warmup", 0, 1e-8),
    ],
)
def test_factors(factors, step, expected):
    rate = scheduler(factors, decay_factor=0.05)
    assert float(rate(step)) == pytest.approx(expected, rel=1e-5)


def test_offset_counts_from_a_later_step():
    offset = scheduler("constant * linear_warmup", warmup_steps=10, step_offset=100)
    rates = [float(offset(step)) for step in (50, 100, 105, 110)]
    np.testing.assert_allclose(rates, [1e-8, 1e-8, 0.25, 0.5], rtol=1e-6)


def test_unknown_factor_names_the_choices():
    with pytest.raises(UserError, match="rsqrt"):
        scheduler("constant * sqrt_decay")
