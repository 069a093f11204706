import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.data import packing

lengths = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 5)), min_size=1, max_size=200)


@settings(max_examples=100, deadline=None)
@given(lengths=lengths, seed=st.integers(0, 100))
def test_every_example_is_in_one_row_and_fits(lengths, seed):
    inputs, targets = np.array(lengths).T
    rows = packing.pack_examples(inputs, targets, 12, 5, seed=seed)
    assert sorted(np.concatenate(rows)) == list(range(len(lengths)))
    assert all(inputs[row].sum() <= 12 and targets[row].sum() <= 5 for row in rows)
    again = packing.pack_examples(inputs, targets, 12, 5, seed=seed)
    assert all((a == b).all() for a, b in zip(rows, again, strict=True))


def test_few_open_rows_lose_nothing(monkeypatch):
    monkeypatch.setattr(packing, "_OPEN_ROWS", 3)
    inputs = np.random.default_rng(0).integers(1, 12, 500)
    rows = packing.pack_examples(inputs, np.ones(500, int), 12, 12, seed=0)
    assert sorted(np.concatenate(rows)) == list(range(500))
    assert all(inputs[row].sum() <= 12 for row in rows)


def test_rows_are_well_filled():
    generator = np.random.default_rng(0)
    inputs, targets = generator.integers(10, 120, 5000), generator.integers(2, 10, 5000)
    rows = packing.pack_examples(inputs, targets, 256, 62, seed=0)
    assert inputs.sum() / (len(rows) * 256) > 0.97


def test_trimming_keeps_the_end():
    tokens = np.array([5, 6, 7, 8, 1])
    assert packing.trimmed(tokens, 5, 1) is tokens
    assert packing.trimmed(tokens, 3, 1).tolist() == [5, 6, 1]
    assert tokens.tolist() == [5, 6, 7, 8, 1]


EXAMPLES = [
    ([7, 8, 1], [9, 1]),
    ([5, 1], [1]),
    ([6, 6, 6, 1], [4, 3, 1]),
]


def test_packed_row_in_full():
    inputs, targets = ([np.array(e[k]) for e in EXAMPLES[:2]] for k in (0, 1))
    features = packing.packed_features([(inputs, targets)], 7, 5)
    assert {name: values[0].tolist() for name, values in features.items()} == {
        "encoder_input_tokens": [7, 8, 1, 5, 1, 0, 0],
        "encoder_segment_ids": [1, 1, 1, 2, 2, 0, 0],
        "encoder_positions": [0, 1, 2, 0, 1, 0, 0],
        "decoder_target_tokens": [9, 1, 1, 0, 0],
        "decoder_input_tokens": [0, 9, 0, 0, 0],
        "decoder_loss_weights": [1, 1, 1, 0, 0],
        "decoder_segment_ids": [1, 1, 2, 0, 0],
        "decoder_positions": [0, 1, 0, 0, 0],
    }
    assert all(values.dtype == np.int32 for values in features.values())


def seqio_features(*, pack):
    import seqio
    import tensorflow as tf

    dataset = tf.data.Dataset.from_generator(
        lambda: ({"inputs": i, "targets": t} for i, t in EXAMPLES),
        output_signature={name: tf.TensorSpec([None], tf.int32) for name in ("inputs", "targets")},
    )
    converter = seqio.EncDecFeatureConverter(pack=pack)
    return list(converter(dataset, {"inputs": 10, "targets": 8}).as_numpy_iterator())


@pytest.mark.parametrize("pack", [False, True])
def test_features_are_those_of_seqio(pack):
    inputs, targets = ([np.array(e[k]) for e in EXAMPLES] for k in (0, 1))
    theirs = seqio_features(pack=pack)
    if pack:
        assert len(theirs) == 1
        ours = packing.packed_features([(inputs, targets)], 10, 8)
    else:
        ours = packing.padded_features(inputs, targets, 10, 8)
    for row, example in enumerate(theirs):
        assert set(example) == set(ours)
        for name, values in example.items():
            assert ours[name][row].tolist() == values.astype(int).tolist(), name


def test_one_segment_marks_all_but_padding():
    inputs, targets = ([np.array(e[k]) for e in EXAMPLES] for k in (0, 1))
    features = packing.as_one_segment(packing.padded_features(inputs, targets, 4, 3))
    packed = packing.packed_features(
        [([i], [t]) for i, t in zip(inputs, targets, strict=True)], 4, 3
    )
    for name, values in packed.items():
        assert features[name].tolist() == values.tolist(), name
