import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.training.optimizer import Adafactor, AdamW, bind_optimizer, chain

SHAPES = {"kernel": (24, 40), "square": (16, 16), "scale": (24,), "bias": (3, 40)}
AXES = {
    "kernel": ("embed", "mlp"),
    "square": ("embed", "joined_kv"),
    "scale": ("embed",),
    "bias": ("heads", "relpos_buckets"),
}


def reference_adafactor(
    params, gradients, *, rates, factor_from, beta1=None, weight_decay=None, decay_exponent=None
):
    """Adafactor in float64 numpy, written from the paper's algorithms 4 and 6 and T5X's additions.

    Args:
      params: arrays by name.
      gradients: one dict of arrays a step.
      rates: learning rate of each step.
    """
    params = {name: value.astype(np.float64) for name, value in params.items()}
    memory = {name: {} for name in params}
    for step, (grads, rate) in enumerate(zip(gradients, rates, strict=True)):
        beta2 = 1.0 - (step + 1.0) ** -0.8
        for name, x in params.items():
            g, seen = grads[name].astype(np.float64), memory[name]
            squared = g**2 + 1e-30
            if x.ndim == 2 and min(x.shape) >= factor_from:
                rows, cols = squared.mean(axis=1), squared.mean(axis=0)
                seen["r"] = beta2 * seen.get("r", 0.0) + (1 - beta2) * rows
                seen["c"] = beta2 * seen.get("c", 0.0) + (1 - beta2) * cols
                v = np.outer(seen["r"], seen["c"]) / seen["r"].mean()
            else:
                v = seen["v"] = beta2 * seen.get("v", 0.0) + (1 - beta2) * squared
            u = g / np.sqrt(v)
            u = u / max(1.0, np.sqrt((u**2).mean()))
            u = u * rate * max(1e-3, np.sqrt((x**2).mean()))
            if beta1 is not None:
                u = seen["m"] = beta1 * seen.get("m", 0.0) + (1 - beta1) * u
            decay = weight_decay or 0.0
            if decay_exponent:
                decay = (weight_decay or 1.0) * rate**decay_exponent
            params[name] = x * (1 - decay) - u
    return params


def random_tree(rng, shapes=SHAPES, size=1.0):
    return {
        name: size * rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
    }


def run(optimizer, params, gradients, rates, axes=AXES):
    params = jax.tree.map(jnp.asarray, params)
    schedule = jnp.asarray(rates)
    bound = bind_optimizer(optimizer, lambda step: schedule[step], params, axes)
    state = bound.transformation.init(params)

    @jax.jit
    def update(params, state, grads):
        updates, state = bound.transformation.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for grads in gradients:
        params, state = update(params, state, grads)
    return params, state


def from_step(first_step, optimizer, params, gradients, rates):
    """`run` for a model that begins at that step; the rates are those of its updates."""
    schedule = jnp.asarray(rates)
    bound = bind_optimizer(
        optimizer, lambda count: schedule[count], params, AXES, first_step=first_step
    )
    state = bound.transformation.init(params)
    for grads in gradients:
        updates, state = bound.transformation.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return params


def test_step_offset_is_a_step_of_the_model():
    """T5X's fine-tuning files give the checkpoint's step; the first update then forgets nothing."""
    rng = np.random.default_rng(3)
    params, rates = jax.tree.map(jnp.asarray, random_tree(rng)), np.full(4, 0.1)
    gradients = [random_tree(rng) for _ in range(4)]
    expected = from_step(0, Adafactor(), params, gradients, rates)
    found = from_step(1000, Adafactor(step_offset=1000), params, gradients, rates)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    earlier = from_step(1000, Adafactor(step_offset=990), params, gradients, rates)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(earlier))
    # 11 ** -0.8 of the squared gradient is remembered, so that only clipping bounds the update
    one = from_step(
        1000, Adafactor(step_offset=990, clipping_threshold=None), params, gradients[:1], [0.1]
    )
    scale = np.sqrt(np.mean(np.square(params["bias"])))
    step = 0.1 * scale * np.sign(gradients[0]["bias"]) / np.sqrt(11**-0.8)
    np.testing.assert_allclose(one["bias"], params["bias"] - step, rtol=1e-5, atol=1e-6)


def test_a_step_offset_after_the_first_step_is_refused():
    wrapped = chain([optax.clip(1.0), Adafactor(step_offset=1000)])
    with pytest.raises(UserError, match=r"step_offset = 1000.* begins at step 10"):
        bind_optimizer(wrapped, lambda step: 0.1, {}, {}, first_step=10)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beta1": 0.9},
        {"weight_decay_rate": 0.01},
        {"weight_decay_rate": 0.1, "weight_decay_rate_lr_exponent": 2.0},
    ],
)
def test_adafactor_follows_the_published_formulas_for_200_steps(options):
    rng = np.random.default_rng(0)
    params = random_tree(rng)
    params["scale"] = np.full(24, 1e-5, np.float32)  # below epsilon2: the smallest scale counts
    gradients = [random_tree(rng, size=rng.uniform(1e-4, 3.0)) for _ in range(200)]
    rates = 0.01 / np.sqrt(np.maximum(np.arange(200), 10))
    found, _ = run(Adafactor(min_dim_size_to_factor=16, **options), params, gradients, rates)
    expected = reference_adafactor(
        params,
        gradients,
        rates=rates,
        factor_from=16,
        beta1=options.get("beta1"),
        weight_decay=options.get("weight_decay_rate"),
        decay_exponent=options.get("weight_decay_rate_lr_exponent"),
    )
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-5, atol=2e-6, err_msg=name)


def test_stacked_layers_are_updated_like_single_ones():
    rng = np.random.default_rng(1)
    layers = [random_tree(rng) for _ in range(3)]
    gradients = [[random_tree(rng) for _ in range(3)] for _ in range(5)]
    optimizer, rates = Adafactor(min_dim_size_to_factor=16, beta1=0.5), np.full(5, 0.1)

    def stack(trees):
        return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)

    stacked_axes = {name: ("layers", *dims) for name, dims in AXES.items()}
    together, _ = run(
        optimizer, stack(layers), [stack(step) for step in gradients], rates, stacked_axes
    )
    apart = stack(
        [
            run(optimizer, layer, [step[i] for step in gradients], rates)[0]
            for i, layer in enumerate(layers)
        ]
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), together, apart)


def test_factored_state_has_t5x_shapes():
    params = {"big": jnp.ones((128, 256)), "small": jnp.ones((127, 256)), "scale": jnp.ones(300)}
    axes = {"big": ("embed", "mlp"), "small": ("embed", "mlp"), "scale": ("embed",)}
    bound = bind_optimizer(Adafactor(), lambda step: 0.1, params, axes)
    state = bound.transformation.init(params)
    shapes = {
        name: {key: leaf.shape for key, leaf in getattr(state, name).items()}
        for name in ("m", "v_row", "v_col", "v")
    }
    assert shapes["m"] == {"big": (1,), "small": (1,), "scale": (1,)}
    assert shapes["v_row"] == {"big": (128,), "small": (1,), "scale": (1,)}
    assert shapes["v_col"] == {"big": (256,), "small": (1,), "scale": (1,)}
    assert shapes["v"] == {"big": (1,), "small": (127, 256), "scale": (300,)}


def test_optimizer_state_is_named_like_the_parameters():
    params = {"stack": jnp.ones((3, 128, 128)), "table": jnp.ones((4, 40))}
    axes = {"stack": ("layers", "embed", "joined_kv"), "table": ("heads", "relpos_buckets")}
    bound = bind_optimizer(Adafactor(), lambda step: 0.1, params, axes)
    named = bound.state_axes(jax.eval_shape(bound.transformation.init, params))
    assert named.v_row["stack"] == ("layers", "embed")
    assert named.v_col["stack"] == ("layers", "joined_kv")
    assert named.v["table"] == axes["table"]
    assert named.count == ()
    adam = bind_optimizer(AdamW(), lambda step: 0.1, params, axes)
    named = adam.state_axes(jax.eval_shape(adam.transformation.init, params))
    moments = jax.tree.leaves(named, is_leaf=lambda leaf: leaf == axes["stack"])
    assert moments.count(axes["stack"]) == 2


def test_skip_nan_updates_keeps_elements_that_would_become_nan():
    params = {"bias": np.ones((3, 40), np.float32)}
    axes = {"bias": AXES["bias"]}
    grads = {"bias": np.full((3, 40), np.nan, np.float32)}
    kept, state = run(Adafactor(skip_nan_updates=True), params, [grads], [0.1], axes)
    np.testing.assert_array_equal(kept["bias"], params["bias"])
    assert np.isfinite(state.v["bias"]).all()


def test_global_norm_is_clipped_before_the_update():
    params = {"scale": np.ones(4, np.float32)}
    grads = {"scale": np.array([30.0, 40.0, 0.0, 0.0], np.float32)}
    bound = bind_optimizer(
        Adafactor(global_norm_clip_threshold=1.0), lambda s: 0.1, params, {"scale": ("embed",)}
    )
    _, state = bound.transformation.update(grads, bound.transformation.init(params), params)
    np.testing.assert_allclose(state.v["scale"], [0.36, 0.64, 0, 0], rtol=1e-5, atol=1e-20)


def test_adamw_takes_the_schedule_and_decays_matrices_only():
    params = {"kernel": np.ones((2, 3), np.float32), "scale": np.ones(3, np.float32)}
    axes = {"kernel": ("embed", "mlp"), "scale": ("embed",)}
    zero = jax.tree.map(np.zeros_like, params)
    found, _ = run(AdamW(weight_decay=0.5), params, [zero], [0.1], axes)
    np.testing.assert_allclose(found["kernel"], 1 - 0.1 * 0.5, rtol=1e-6)
    np.testing.assert_array_equal(found["scale"], 1.0)


def test_optax_transformations_are_taken_as_they_are():
    params, axes = {"scale": np.ones(3, np.float32)}, {"scale": ("embed",)}
    grads = {"scale": np.array([10.0, 0.5, -10.0], np.float32)}
    found, _ = run(chain([optax.clip(1.0), optax.sgd(0.1)]), params, [grads], [7.0], axes)
    np.testing.assert_allclose(found["scale"], [0.9, 0.95, 1.1], rtol=1e-6)
    found, _ = run(optax.sgd(0.1), params, [grads], [7.0], axes)
    np.testing.assert_allclose(found["scale"], [0.0, 0.95, 2.0], rtol=1e-6, atol=1e-6)


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(UserError, match="OPTIMIZER"):
        bind_optimizer("adafactor", lambda step: 0.1, {}, {})
