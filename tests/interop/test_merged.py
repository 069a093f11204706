import types

import jax
import numpy as np
import pytest

from clinical_t5x.interop import t5x_names
from clinical_t5x.interop.merged import MergedAdapters, has_adapters
from clinical_t5x.interop.source import CheckpointError, TensorInfo
from clinical_t5x.models import lora
from clinical_t5x.models.config import T5Config

CONFIG = T5Config(
    vocab_size=16, emb_dim=8, num_heads=2, head_dim=4, mlp_dim=12, num_encoder_layers=2,
    num_decoder_layers=1, lora_rank=3, lora_alpha=6.0, lora_targets=("q", "o", "wo"),
)  # fmt: skip


@pytest.fixture(scope="module")
def params():
    """Unrolled parameters of the adapted network, all random."""
    from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
    from clinical_t5x.models.network import Transformer

    rng = np.random.default_rng(0)
    shapes = EncoderDecoderModel(Transformer(CONFIG), None, None).abstract_params()
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)


def tensors_of(params):
    arrays = {
        "/".join(key.key for key in path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    infos = {name: TensorInfo(array.shape, "float32") for name, array in arrays.items()}
    return types.SimpleNamespace(infos=infos, read=arrays.__getitem__)


def test_kernels_hold_what_their_adapters_add(params):
    tensors = tensors_of(params)
    assert has_adapters(tensors)
    merged = MergedAdapters(tensors, CONFIG)
    plain = lora.with_adapters(CONFIG, None)
    assert not has_adapters(merged)
    shapes = {name: info.shape for name, info in merged.infos.items()}
    assert shapes == t5x_names.t5x_shapes(plain)
    expected = t5x_names.to_named(lora.merged(params, CONFIG), plain)
    for name in merged.infos:
        np.testing.assert_allclose(merged.read(name), expected[name], rtol=1e-5, atol=1e-6)
    changed = "encoder/layers_1/attention/query/kernel"
    layer = params["encoder"]["layers_1"]["attention"]["query"]
    formula = layer["kernel"] + 2.0 * layer["lora_a"] @ layer["lora_b"]
    np.testing.assert_allclose(merged.read(changed), formula, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(
        merged.read("encoder/layers_1/attention/key/kernel"),
        params["encoder"]["layers_1"]["attention"]["key"]["kernel"],
    )


def test_adapters_that_do_not_fit_are_refused(params):
    tensors = tensors_of(params)
    with pytest.raises(CheckpointError, match="lora_rank 0"):
        MergedAdapters(tensors, lora.with_adapters(CONFIG, None))
    del tensors.infos["encoder/layers_0/mlp/wo/lora_b"]
    with pytest.raises(CheckpointError, match=r"layers_0/mlp/wo/kernel .* lora_b is absent"):
        MergedAdapters(tensors, CONFIG)
