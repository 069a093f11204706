import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.data import sampler


@settings(max_examples=100, deadline=None)
@given(size=st.integers(1, 3000), key=st.tuples(st.integers(0, 2**40), st.integers(0, 50)))
def test_permutation_is_one_to_one(size, key):
    assert sorted(sampler.permute(np.arange(size), size, key)) == list(range(size))


def test_permutation_of_a_corpus_is_quick_and_in_range():
    places = sampler.permute(np.arange(10**7, 10**7 + 4096), 10**9 + 7, (1, 2))
    assert len(set(places)) == 4096
    assert places.min() >= 0
    assert places.max() < 10**9 + 7


def test_permutation_spreads_evenly():
    """Mean and neighbour distance of a permuted order agree with those of a uniform one."""
    size = 20_000
    order = sampler.permute(np.arange(size), size, (3, 0)) / size
    assert order[: size // 10].mean() == pytest.approx(0.5, abs=0.03)
    assert np.abs(np.diff(order)).mean() == pytest.approx(1 / 3, abs=0.01)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.03


def test_keys_give_different_orders():
    orders = [
        tuple(sampler.permute(np.arange(50), 50, (seed, e))) for seed in (0, 1) for e in (0, 1)
    ]
    assert len(set(orders)) == 4


def test_every_epoch_holds_every_element_once():
    indices = np.arange(3 * 17)
    places = sampler.place_in_order(indices, 17, seed=5, shuffle=True).reshape(3, 17)
    assert all(sorted(epoch) == list(range(17)) for epoch in places)
    assert len({tuple(epoch) for epoch in places}) == 3
    plain = sampler.place_in_order(indices, 17, seed=5, shuffle=False).reshape(3, 17)
    assert (plain == np.arange(17)).all()


def test_place_depends_on_the_index_alone():
    indices = np.arange(100, 140)
    together = sampler.place_in_order(indices, 37, seed=1, shuffle=True)
    alone = [sampler.place_in_order(np.array([i]), 37, seed=1, shuffle=True)[0] for i in indices]
    assert together.tolist() == alone


def test_generators_are_independent_of_each_other():
    draws = [sampler.example_generator(0, index).random(4).tolist() for index in (0, 1, 2**40)]
    assert draws[0] == sampler.example_generator(0, 0).random(4).tolist()
    assert len({tuple(draw) for draw in draws}) == 3
    assert draws[0] != sampler.example_generator(1, 0).random(4).tolist()
