"""Order, padding and rates of updates."""

import dataclasses

import numpy as np
import pytest

from clinical_t5x.baselines.finetuning.batches import batches_of_epoch, number_of_updates, padded
from clinical_t5x.baselines.finetuning.settings import CONSTANT, Settings, check_seed
from clinical_t5x.baselines.finetuning.windows import Row
from clinical_t5x.console import UserError


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 399, 400, 401, 1234])
def test_an_epoch_has_each_row_once(rows):
    lengths = np.random.default_rng(0).integers(3, 200, rows)
    batches = batches_of_epoch(lengths, 8, seed=1, epoch=2)
    assert sorted(np.concatenate(batches)) == list(range(rows))
    assert len(batches) == number_of_updates(rows, 8)
    assert max(map(len, batches)) <= 8


def test_order_is_a_function_of_seed_and_epoch():
    lengths = np.random.default_rng(0).integers(3, 200, 100)
    first, again, other_epoch, other_seed = (
        np.concatenate(batches_of_epoch(lengths, 8, seed=seed, epoch=epoch))
        for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other_epoch) and not np.array_equal(first, other_seed)


def test_rows_of_like_length_share_an_update():
    lengths = np.random.default_rng(0).integers(3, 512, 4000)
    batches = batches_of_epoch(lengths, 16, seed=0, epoch=0)
    padded_tokens = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded_tokens < 1.1 * lengths.sum()


def test_padding_is_masked():
    pytest.importorskip("torch")
    rows = [Row(0, [5, 6, 7], [0, 0, 1]), Row(1, [8], [0])]
    found = padded(rows, 9, "cpu")
    assert found["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert found["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert found["token_type_ids"].tolist() == [[0, 0, 1], [0, 0, 0]]


def test_rates_rise_and_fall():
    from clinical_t5x.baselines.finetuning.trial import rate_factor

    settings = Settings(warmup=0.25)
    factors = [rate_factor(step, 8, settings) for step in range(8)]
    assert factors == [0.5, 1.0, 1.0, *[pytest.approx(k / 6) for k in (5, 4, 3, 2, 1)]]
    constant = dataclasses.replace(settings, warmup=0.0, schedule=CONSTANT)
    assert {rate_factor(step, 8, constant) for step in range(8)} == {1.0}


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"learning_rates": ()},
        {"learning_rates": (-1.0,)},
        {"learning_rates": (1e-3, NAN)},
        {"learning_rates": (INFINITE,)},
        {"precision": "float16"},
        {"schedule": "cosine"},
        {"warmup": 2.0},
        {"warmup": NAN},
        {"weight_decay": NAN},
        {"weight_decay": -0.1},
        {"clip_norm": -1.0},
        {"clip_norm": NAN},
        {"patience": 0},
        {"overlap": -1},
        {"longest_answer": 0},
        {"lora_rank": -1},
        {"lora_scale": NAN},
        {"lora_scale": 0.0},
        {"max_tokens": {"mednli": 8}},
    ],
)
def test_settings_are_checked(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Settings(**wrong)


def test_rates_of_one_name_are_refused():
    """They would share a folder; the second would get the first one's result."""
    with pytest.raises(UserError, match=r"learning_rates has 2 that are written 0\.001"):
        Settings(learning_rates=(1e-4, 1e-3, 0.00100000001))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, None])
def test_a_seed_is_checked(seed):
    with pytest.raises(UserError, match="seed"):
        check_seed(seed)
