import jax
import numpy as np
import optax
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import state as states
from clinical_t5x.training.optimizer import Chain, bind_optimizer
from clinical_t5x.training.step import make_eval_step, make_train_step
from tests.training import standin


def one_step(model, num_microbatches=None, batch_size=standin.BATCH):
    """Parameters and metric sums after one update of plain gradient descent."""
    partitioner = PjitPartitioner()
    optimizer = bind_optimizer(
        Chain((optax.sgd(0.1),)), None, states.abstract_params(model), model.logical_axes()
    )
    abstract = states.abstract_state(model, optimizer, partitioner)
    state = states.init_state(model, optimizer, abstract, jax.random.key(0))
    before = jax.tree.map(np.array, state.params)
    step = make_train_step(
        model, optimizer, partitioner, abstract, num_microbatches=num_microbatches
    )
    batch = partitioner.place_batch(standin.CountingBatches(0).batch(0), batch_size)
    state, sums = step(state, batch, jax.random.key(1))
    return before, state, jax.device_get(sums)


def assert_close(first, second):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), first, second)


@pytest.mark.parametrize("factor", [None, "NUM_REAL_TARGET_TOKENS"])
def test_microbatches_make_the_same_update(factor):
    model = standin.tiny_model(dropout_rate=0.0, loss_normalizing_factor=factor)
    model.loss_normalizing_factor = factor
    _, whole, sums = one_step(model)
    _, parts, part_sums = one_step(model, num_microbatches=4)
    assert_close(parts.params, whole.params)
    np.testing.assert_allclose(part_sums["loss"], sums["loss"], rtol=1e-6)
    assert part_sums["num_targets"] == sums["num_targets"]


def test_a_step_counts_and_moves_the_parameters():
    before, state, sums = one_step(standin.tiny_model())
    assert int(state.step) == 1
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), before, state.params)
    assert all(jax.tree.leaves(moved))
    tokens = standin.CountingBatches(0).batch(0)["encoder_input_tokens"]
    assert sums["num_inputs"] == np.count_nonzero(tokens)


def test_microbatches_that_do_not_divide_name_the_parameter():
    with pytest.raises(UserError, match="num_microbatches = 3"):
        one_step(standin.tiny_model(), num_microbatches=3)


def test_evaluation_has_no_dropout():
    model, partitioner = standin.tiny_model(dropout_rate=0.5), PjitPartitioner()
    params = model.init_params(jax.random.key(0))
    evaluate = make_eval_step(model, partitioner)
    batch = standin.CountingBatches(0).batch(0)
    assert evaluate(params, batch)["loss"] == evaluate(params, batch)["loss"]
    plain = standin.tiny_model(dropout_rate=0.0).loss_fn(params, batch)[1]["loss"]
    np.testing.assert_allclose(evaluate(params, batch)["loss"], plain, rtol=1e-6)
