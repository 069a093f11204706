"""FLOPs counted from sizes, against every matrix product in the traced step."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest
from jax.extend import core
from jax.interpreters import partial_eval

from clinical_t5x.models import lora
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.flops import StepFlops, step_flops
from clinical_t5x.models.network import Transformer
from clinical_t5x.models.position import NUM_BUCKETS

# All sizes differ, and none is the number of relative position buckets.
BATCH, INPUTS, TARGETS = 3, 21, 13
T5_1_0 = T5Config(
    vocab_size=97,
    emb_dim=24,
    num_heads=5,
    head_dim=7,
    mlp_dim=40,
    num_encoder_layers=2,
    num_decoder_layers=3,
    logits_via_embedding=True,
)
T5_1_1 = dataclasses.replace(T5_1_0, mlp_activations=("gelu", "linear"), logits_via_embedding=False)


def product_flops(jaxpr) -> float:
    """FLOPs of all matrix products, loops unrolled; those that lay out position biases left out."""
    total = 0.0
    for equation in jaxpr.eqns:
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        if equation.primitive.name == "dot_general" and not is_of_bias(equation):
            contracted = equation.params["dimension_numbers"][0][0]
            lhs, result = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
            total += 2.0 * math.prod(result) * math.prod(lhs[dim] for dim in contracted)
        for inner in core.jaxprs_in_params(equation.params):
            total += times * product_flops(inner)
    return total


def is_of_bias(equation) -> bool:
    """Products with a vector of ones repeat or sum; those with a one-hot matrix look up."""
    shapes = [variable.aval.shape for variable in equation.invars]
    shapes.append(equation.outvars[0].aval.shape)
    return any(len(shape) == 1 or NUM_BUCKETS in shape for shape in shapes)


def traced_flops(config: T5Config, *, gradient: bool = True) -> float:
    """FLOPs of the network's own trace, without what nothing depends on."""
    model = EncoderDecoderModel(Transformer(config), None, None)
    trained, kept = lora.split(model.abstract_params())
    tokens = {
        "encoder_input_tokens": jnp.ones((BATCH, INPUTS), int),
        "decoder_input_tokens": jnp.ones((BATCH, TARGETS), int),
        "decoder_target_tokens": jnp.ones((BATCH, TARGETS), int),
    }

    def loss(trained, kept, key):
        return model.loss_fn(lora.join(trained, kept), tokens, key)[0]

    function = jax.grad(loss) if gradient else loss
    traced = jax.make_jaxpr(function)(trained, kept, jax.random.key(0)).jaxpr
    live, _ = partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))
    return product_flops(live)


def counted(config: T5Config) -> StepFlops:
    return step_flops(config, batch_size=BATCH, inputs_length=INPUTS, targets_length=TARGETS)


@pytest.mark.parametrize("policy", ["none", "minimal", "full"])
@pytest.mark.parametrize(("config", "scan"), [(T5_1_0, False), (T5_1_1, True)])
def test_every_product_of_a_step_is_counted(config, scan, policy):
    config = dataclasses.replace(config, scan_layers=scan, remat_policy=policy)
    assert counted(config).hardware == traced_flops(config)


@pytest.mark.parametrize("config", [T5_1_0, T5_1_1], ids=["1.0", "1.1"])
def test_the_backward_pass_is_twice_the_forward(config):
    flops = counted(config)
    assert flops.forward == traced_flops(config, gradient=False)
    assert flops.model == 3 * flops.forward
    assert flops.recompute == 0


@pytest.mark.parametrize(
    ("targets", "policy"),
    [
        (("q", "v"), "none"),
        (("q", "v"), "full"),
        (("v",), "none"),
        (("wi",), "full"),
        (("o", "wo"), "none"),
        (("q", "k", "v", "o", "wi", "wo"), "full"),
    ],
)
def test_adapters_spare_the_gradients_of_what_stays(targets, policy):
    config = dataclasses.replace(
        T5_1_1, lora_rank=2, lora_targets=targets, remat_policy=policy, lora_dropout_rate=0.1
    )
    assert counted(config).forward == traced_flops(config, gradient=False)
    assert counted(config).hardware == traced_flops(config)
    assert counted(config).model < 0.8 * counted(T5_1_1).model


def test_adapters_under_the_minimal_policy():
    """JAX keeps only products that it differentiates: in the first layers some are not."""
    config = dataclasses.replace(T5_1_1, lora_rank=2, remat_policy="minimal")
    first_layers = dataclasses.replace(T5_1_0, num_encoder_layers=1, num_decoder_layers=1)
    missed = traced_flops(config) - counted(config).hardware
    assert 0 <= missed < counted(first_layers).forward


def test_a_linear_mlp_under_remat():
    config = dataclasses.replace(
        T5_1_0, mlp_activations=("linear",), lora_rank=2, remat_policy="full"
    )
    assert counted(config).hardware == traced_flops(config)


@pytest.mark.parametrize("config", [T5_1_0, T5_1_1], ids=["1.0", "1.1"])
def test_logits_in_parts_are_the_same_work(config):
    in_parts = dataclasses.replace(config, logits_mebibytes=BATCH * 97 * 4 / 2**20)
    assert traced_flops(in_parts) == counted(in_parts).model == counted(config).model
