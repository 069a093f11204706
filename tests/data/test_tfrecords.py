import io

import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.data.builders.tfrecords import example_writer, write_record

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def as_tensorflow_has_it(values):
    features = tf.train.Features()
    for name, value in values.items():
        if isinstance(value, int):
            features.feature[name].int64_list.value.append(value)
        else:
            features.feature[name].bytes_list.value.append(value.encode())
    return tf.train.Example(features=features)


@given(text, text, st.integers(0, 2**63 - 1))
@settings(max_examples=100, deadline=None)
def test_examples_are_those_of_tensorflow(first, second, number):
    values = {"text": first, "id": second, "num_words": number}
    made = example_writer({"text": str, "id": str, "num_words": int})(list(values.values()))
    expected = as_tensorflow_has_it(values)
    assert tf.train.Example.FromString(made) == expected
    assert made == expected.SerializeToString(deterministic=True)


def test_long_texts_are_whole():
    values = {"text": "é\n" * 3_000_000}
    made = example_writer({"text": str})(list(values.values()))
    assert tf.train.Example.FromString(made) == as_tensorflow_has_it(values)


def test_tensorflow_reads_the_records_and_their_checksums(tmp_path):
    records = [b"", b"one", bytes(range(256)) * 999]
    out = io.BytesIO()
    for record in records:
        write_record(out, record)
    (tmp_path / "x.tfrecord").write_bytes(out.getvalue())
    found = tf.data.TFRecordDataset(str(tmp_path / "x.tfrecord")).as_numpy_iterator()
    assert list(found) == records
