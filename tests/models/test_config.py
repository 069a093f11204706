import jax.numpy as jnp
import pytest

from clinical_t5x.models.config import T5Config


def test_dtype_by_name_and_by_jax_dtype_is_the_same_configuration():
    by_name = T5Config(vocab_size=128, dtype="bfloat16")
    by_type = T5Config(vocab_size=128, dtype=jnp.bfloat16)
    assert by_name == by_type
    assert hash(by_name) == hash(by_type)
    assert by_name.compute_dtype == jnp.bfloat16


def test_activations_may_come_as_a_list_as_from_gin():
    assert T5Config(128, mlp_activations=["gelu", "linear"]).mlp_activations == ("gelu", "linear")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dropout_rate", 1.0),
        ("remat_policy", "some"),
        ("mlp_activations", ("tanh",)),
        ("mlp_activations", ()),
        ("num_decoder_layers", 0),
        ("dtype", "int32"),
    ],
)
def test_wrong_values_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"T5Config\.{field} is"):
        T5Config(vocab_size=128, **{field: value})
