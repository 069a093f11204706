import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clinical_t5x.models import lora
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.decoding import temperature_sample
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.initial import with_variance
from clinical_t5x.models.layers import Dense
from clinical_t5x.models.network import Transformer

pytestmark = pytest.mark.long_file

EVERYTHING = ("q", "k", "v", "o", "wi", "wo")


def model_of(**changes) -> EncoderDecoderModel:
    config = T5Config(
        vocab_size=64, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=2,
        num_decoder_layers=2, dropout_rate=0.1, lora_rank=3, lora_targets=EVERYTHING,
    )  # fmt: skip
    config = dataclasses.replace(config, **changes)
    return EncoderDecoderModel(Transformer(config), None, None, decode_fn=temperature_sample)


def fresh(model):
    return model.init_params(jax.random.key(0))


def logits(model, params, key=None):
    return jax.jit(model.logits)(params, batch_of(), key)


def trained(model):
    """Parameters whose adapters are no longer zero."""
    params = fresh(model)
    keys = iter(jax.random.split(jax.random.key(1), 1000))

    def fill(path, array):
        if path[-1].key != lora.B:
            return array
        return 0.2 * jax.random.normal(next(keys), array.shape)

    return jax.tree_util.tree_map_with_path(fill, params)


def batch_of(seed=0):
    rng = np.random.default_rng(seed)
    inputs, targets = rng.integers(2, 64, (4, 10)), rng.integers(2, 64, (4, 6))
    inputs[:, 8:] = 0
    return {
        "encoder_input_tokens": inputs,
        "decoder_target_tokens": targets,
        "decoder_input_tokens": np.pad(targets, ((0, 0), (1, 0)))[:, :-1],
        "decoder_loss_weights": np.ones_like(targets),
    }


VARIANTS = [
    {"scan_layers": True, "remat_policy": "full"},
    {"mlp_activations": ("gelu", "linear"), "logits_via_embedding": True},
    {"lora_targets": ("q", "v"), "lora_alpha": 1.0, "lora_rank": 8},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_adapters_begin_as_no_change(variant):
    adapted, plain = model_of(**variant), model_of(**(variant | {"lora_rank": 0}))
    params = fresh(adapted)
    base = fresh(plain)
    jax.tree.map(np.testing.assert_array_equal, lora.without(params), base)
    key = jax.random.key(2)
    np.testing.assert_array_equal(logits(adapted, params, key), logits(plain, base, key))
    jax.tree.map(np.testing.assert_array_equal, lora.merged(params, adapted.config), base)


@pytest.mark.parametrize("variant", VARIANTS)
def test_merged_parameters_are_the_same_function(variant):
    adapted = model_of(**variant)
    plain = adapted.with_config(lora.with_adapters(adapted.config, None))
    params = trained(adapted)
    merged = lora.merged(params, adapted.config)
    shapes = jax.tree.map(lambda array: array.shape, merged)
    assert shapes == jax.tree.map(lambda array: array.shape, plain.abstract_params())
    with jax.default_matmul_precision("highest"):
        ours = logits(adapted, params)
        theirs = logits(plain, merged)
    changed = logits(plain, lora.without(params))
    norm = jnp.linalg.norm(theirs)
    assert jnp.linalg.norm(ours - theirs) / norm < 1e-5
    assert jnp.linalg.norm(changed - theirs) / norm > 0.01


def test_decoding_goes_through_adapters():
    adapted = model_of(num_encoder_layers=1, num_decoder_layers=1)
    plain = adapted.with_config(lora.with_adapters(adapted.config, None))
    params, options = trained(adapted), {"decoder_params": {"eos_id": 1, "topk": 1}}
    decoded = [
        np.asarray(model.predict_batch_with_aux(values, batch_of(), **options)[0])
        for model, values in (
            (adapted, params),
            (plain, lora.merged(params, adapted.config)),
            (plain, lora.without(params)),
        )
    ]
    np.testing.assert_array_equal(decoded[0], decoded[1])
    assert (decoded[0] != decoded[2]).any()


def test_one_map_is_the_formula(drawn):
    config = T5Config(vocab_size=8, lora_rank=4, lora_alpha=6.0)
    numbers = with_variance("normal", 1.0)
    dense = drawn(Dense(5, 7, ("embed", "mlp"), numbers, jnp.dtype("float32"), config))
    dense.lora_b[...] = jax.random.normal(jax.random.key(1), (4, 7))
    x = jax.random.normal(jax.random.key(2), (3, 5))
    arrays = (x, dense.kernel[...], dense.lora_a[...], dense.lora_b[...])
    wide = [np.asarray(array, np.float64) for array in arrays]
    expected = wide[0] @ wide[1] + 6.0 / 4 * (wide[0] @ wide[2] @ wide[3])
    np.testing.assert_allclose(dense(x), expected, rtol=1e-5, atol=1e-5)
    bound = 1 / np.sqrt(5)
    assert np.abs(wide[2]).max() <= bound
    assert np.abs(wide[2]).max() > bound / 2


def test_scanned_and_unrolled_adapters_are_equal():
    scanned, unrolled = (model_of(scan_layers=scan) for scan in (True, False))
    params, apart = (fresh(m) for m in (scanned, unrolled))
    for stack in ("encoder", "decoder"):
        for i in range(2):
            layer = jax.tree.map(lambda array, i=i: array[i], params[stack]["layers"])
            jax.tree.map(np.testing.assert_array_equal, layer, apart[stack][f"layers_{i}"])
    np.testing.assert_allclose(
        logits(scanned, params), logits(unrolled, apart), rtol=2e-5, atol=2e-5
    )


def test_only_the_targets_have_adapters():
    params = model_of(lora_targets=("q", "wo")).init_params(jax.random.key(0))
    layer = params["decoder"]["layers_0"]
    assert lora.A in layer["self_attention"]["query"]
    assert lora.A in layer["encoder_decoder_attention"]["query"]
    assert lora.B in layer["mlp"]["wo"]
    attention = layer["self_attention"]
    for plain in (attention["key"], attention["value"], attention["out"], layer["mlp"]["wi"]):
        assert set(plain) == {"kernel"}
    assert set(params["decoder"]["logits_dense"]) == {"kernel"}


def test_split_and_join_undo_each_other():
    params = trained(model_of(scan_layers=True))
    adapters, rest = lora.split(params)
    names = {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(adapters)}
    assert names == {lora.A, lora.B}
    jax.tree.map(np.testing.assert_array_equal, lora.join(adapters, rest), params)
    plain = lora.without(params)
    assert lora.split(plain) == (plain, {})
    assert lora.join(plain, {}) is plain


def test_axes_name_every_dim_of_an_adapter():
    model = model_of(scan_layers=True)
    query = model.logical_axes()["encoder"]["layers"]["attention"]["query"]
    assert query[lora.A] == ("layers", "embed", "lora_rank")
    assert query[lora.B] == ("layers", "lora_rank", "joined_kv")


def test_dropout_in_adapters_reaches_only_them():
    model = model_of(lora_dropout_rate=0.5, dropout_rate=0.0)
    params, key = trained(model), jax.random.key(3)
    assert not np.allclose(logits(model, params, key), logits(model, params), atol=1e-3)
    params = fresh(model)  # B is zero: nothing to drop
    np.testing.assert_array_equal(logits(model, params, key), logits(model, params))


@pytest.mark.parametrize(
    "wrong",
    [
        {"lora_rank": -1},
        {"lora_rank": 1.5},
        {"lora_targets": ("query",)},
        {"lora_targets": ()},
        {"lora_alpha": 0.0},
        {"lora_dropout_rate": 1.0},
    ],
)
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=f"T5Config.{next(iter(wrong))}"):
        T5Config(8, **wrong)


def test_one_target_may_be_named_alone():
    assert T5Config(8, lora_targets="q").lora_targets == ("q",)


def test_descriptions_go_through_json():
    import json

    config = model_of(lora_targets=["v", "q"]).config
    described = json.loads(json.dumps(lora.description(config)))
    plain = lora.with_adapters(config, None)
    assert lora.description(plain) is None
    assert lora.description(lora.with_adapters(plain, described)) == lora.description(config)
