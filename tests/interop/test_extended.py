import types

import ml_dtypes
import numpy as np
import pytest

from clinical_t5x.interop import t5x_names
from clinical_t5x.interop.extended import ExtendedSource
from clinical_t5x.interop.source import CheckpointError, TensorInfo
from clinical_t5x.models.config import T5Config

BASE_SIZE, SENTINELS = 20, 4  # 16 pieces


def checkpoint(rows, *, tied=True, dtype=np.float32):
    """A source with random tensors in memory."""
    config = T5Config(
        vocab_size=rows, emb_dim=8, num_heads=2, head_dim=4, mlp_dim=16, num_encoder_layers=1,
        num_decoder_layers=1, logits_via_embedding=tied,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=shape).astype(dtype)
        for name, shape in t5x_names.t5x_shapes(config).items()
    }
    infos = {name: TensorInfo(a.shape, a.dtype.name) for name, a in arrays.items()}
    return types.SimpleNamespace(
        kind="arrays", path="memory", config=config, step=7, infos=infos, read=arrays.__getitem__
    )


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("tied", [True, False])
def test_spare_rows_are_filled_and_nothing_else_changes(tied, dtype):
    source = checkpoint(28, tied=tied, dtype=dtype)
    extended = ExtendedSource(source, BASE_SIZE, [(3, 5), (7,), ()], SENTINELS)
    assert extended.config == source.config
    assert extended.infos == source.infos
    assert (extended.kind, extended.path, extended.step) == ("arrays", "memory", 7)
    for name in source.infos:
        before, after = source.read(name), extended.read(name)
        assert (after.shape, after.dtype) == (before.shape, before.dtype)
        if name == "decoder/logits_dense/kernel":
            before, after = before.T, after.T
        elif name != "token_embedder/embedding":
            np.testing.assert_array_equal(after, before)
            continue
        np.testing.assert_array_equal(after[:20], before[:20])
        np.testing.assert_array_equal(after[23:], before[23:])  # spare rows that no token has
        wide = before.astype(np.float64)
        expected = [wide[[3, 5]].mean(0), wide[7], wide[:16].mean(0)]
        np.testing.assert_array_equal(after[20:23], np.array(expected).astype(dtype))


def test_an_embedding_that_is_too_small_grows_to_whole_tiles():
    source = checkpoint(20, tied=False)
    extended = ExtendedSource(source, BASE_SIZE, [(3, 5)] * 2, SENTINELS)
    assert extended.config.vocab_size == 128
    for name, axis in (("token_embedder/embedding", 0), ("decoder/logits_dense/kernel", 1)):
        before, after = np.moveaxis(source.read(name), axis, 0), extended.read(name)
        assert after.shape == extended.infos[name].shape
        after = np.moveaxis(after, axis, 0)
        np.testing.assert_array_equal(after[:20], before)
        np.testing.assert_allclose(after[20], before[[3, 5]].mean(0), rtol=1e-6)
        mean_of_all = np.broadcast_to(before[:16].mean(0), (106, 8))
        np.testing.assert_allclose(after[22:], mean_of_all, rtol=1e-5, atol=1e-7)
    wanted = t5x_names.t5x_shapes(extended.config)
    assert {name: info.shape for name, info in extended.infos.items()} == wanted


def test_a_checkpoint_of_a_smaller_vocabulary_is_refused():
    with pytest.raises(CheckpointError, match=r"memory has an embedding of 16 rows.*20 ids"):
        ExtendedSource(checkpoint(16), BASE_SIZE, [(3,)], SENTINELS)
