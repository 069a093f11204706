import types

import ml_dtypes
import numpy as np
import pytest
import sentencepiece

from clinical_t5x.console import UserError
from clinical_t5x.convert.__main__ import main
from clinical_t5x.data.home import vocabulary_directory
from clinical_t5x.data.vocabulary import MODEL_FILE, ClinicalVocabulary
from clinical_t5x.data.vocabulary_extension import extend_vocabulary, extension_of
from clinical_t5x.interop import t5x_names
from clinical_t5x.interop.extended import ExtendedSource
from clinical_t5x.interop.native import write_native
from clinical_t5x.interop.recognise import open_checkpoint
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


@pytest.fixture
def vocabularies(tmp_path):
    """A data home with the vocabulary "base" and the same with two more tokens, "longer"."""
    lines = ["the chest is clear", "no pain [ ] a b c d e f g h"] * 20
    base = vocabulary_directory("base", tmp_path)
    base.mkdir(parents=True)
    with (base / MODEL_FILE).open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=file, vocab_size=40,
            hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
        )  # fmt: skip
    extend_vocabulary(
        ClinicalVocabulary(base / MODEL_FILE),
        vocabulary_directory("longer", tmp_path),
        ["[a]", "\n"],
    )
    return tmp_path


def test_convert_gives_new_tokens_their_rows(vocabularies, tmp_path, capsys):
    longer = ClinicalVocabulary(vocabulary_directory("longer", vocabularies) / MODEL_FILE)
    base_size = longer.vocab_size - 2
    source = checkpoint(256, tied=False)
    write_native(source, tmp_path / "before")
    command = [str(tmp_path / "before"), str(tmp_path / "after"), "--to", "native"]
    main([*command, "--extend_vocabulary", "longer", "--data_dir", str(vocabularies)])
    assert f"rows {base_size:,} to {base_size + 1:,} of 256" in capsys.readouterr().out
    after = open_checkpoint(tmp_path / "after")
    assert (after.step, after.config.vocab_size) == (7, 256)
    before, rows = (one.read("token_embedder/embedding") for one in (source, after))
    changed = np.flatnonzero((before != rows).any(axis=1))
    assert changed.tolist() == [base_size, base_size + 1]
    former = extension_of(longer).former_pieces[0]
    np.testing.assert_allclose(rows[base_size], before[list(former)].mean(0), rtol=1e-6)
    for name in set(source.infos) - {"token_embedder/embedding", "decoder/logits_dense/kernel"}:
        np.testing.assert_array_equal(source.read(name), after.read(name))


def test_convert_refuses_a_vocabulary_without_more_tokens(vocabularies, tmp_path):
    write_native(checkpoint(256), tmp_path / "before")
    command = [str(tmp_path / "before"), str(tmp_path / "after"), "--to", "native"]
    with pytest.raises(UserError, match="has no added tokens"):
        main([*command, "--extend_vocabulary", "base", "--data_dir", str(vocabularies)])
    write_native(checkpoint(90), tmp_path / "small")
    command[0] = str(tmp_path / "small")
    with pytest.raises(UserError, match="90 rows"):
        main([*command, "--extend_vocabulary", "longer", "--data_dir", str(vocabularies)])
    assert not (tmp_path / "after").exists()
