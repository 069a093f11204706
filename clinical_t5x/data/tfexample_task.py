"""A SeqIO task made on the spot from files of tf.train.Examples (T5X's name for it).

Inference on such files needs no task of one's own: T5X's `infer_from_tfexample_file.gin` calls
`create_task_from_tfexample_file` and infers what it registered.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data.quiet_import import import_tensorflow
from clinical_t5x.storage import fingerprint

SPLIT = "infer"
FILE_TYPES = ("tfrecord",)
_CHECKED_AT_ONCE = 256  # records
_FRAME_BYTES = 16  # around a record in a file: its length and two checksums


def create_task_from_tfexample_file(
    paths: Sequence[str],
    file_type: str,
    inputs_key: str,
    targets_key: str | None,
    features: Mapping[str, Any],
    task_id: str | None = None,
) -> str:
    """Register a task over files of tf.train.Examples that hold texts; its one split is `infer`.

    Args:
      paths: Files or patterns of files.
      file_type: 'tfrecord'; Google's 'recordio' and 'sstable' have no public reader.
      inputs_key: The feature of an Example that holds the input text (bytes, UTF-8).
      targets_key: The same of the target text; None where there is none.
      features: SeqIO features 'inputs' and 'targets'.
      task_id: Begins the task's name.

    Returns:
      The task's name. It changes with the files, so that what was kept for older ones is not used.

    Raises:
      UserError: another file type, no such file, a damaged one, or one without these features.
    """
    if file_type not in FILE_TYPES:
        raise UserError(
            f"TF_EXAMPLE_FILE_TYPE = {file_type!r} cannot be read: only 'tfrecord' has a public "
            "reader; write the examples as TFRecords"
        )
    if set(features) != {"inputs", "targets"}:
        raise UserError(
            "create_task_from_tfexample_file.features must name 'inputs' and 'targets', not "
            + ", ".join(map(repr, features))
        )
    files = _files([paths] if isinstance(paths, str) else paths)
    keys = {"inputs": inputs_key, "targets": targets_key}
    _check_first_example(files, keys)
    _check_all_examples(files, keys)
    content = [(os.fspath(file), file.stat().length, file.stat().mtime) for file in files]
    name = f"{task_id or 'tfexamples'}_{fingerprint({'files': content, 'keys': keys})[:8]}"
    _register(name, files, keys, features)
    return name


def _files(patterns: Sequence[str]) -> list[epath.Path]:
    found: list[epath.Path] = []
    for pattern in patterns:
        whole = epath.Path(pattern).expanduser()
        named = [whole] if whole.exists() else sorted(whole.parent.glob(whole.name))
        if not named:
            raise UserError(f"TF_EXAMPLE_FILE_PATHS: there is no file {pattern}")
        for path in named:
            if not path.is_file():
                raise UserError(
                    f"TF_EXAMPLE_FILE_PATHS: {path} is no file; name files or a pattern"
                )
        found += named
    if not found:
        raise UserError("TF_EXAMPLE_FILE_PATHS is empty; give a list of TFRecord files")
    return found


def _check_first_example(files: Sequence[epath.Path], keys: Mapping[str, str | None]) -> None:
    import_tensorflow()
    import tensorflow as tf

    try:
        records = tf.data.TFRecordDataset([os.fspath(file) for file in files]).take(1)
        first = next(iter(records.as_numpy_iterator()), None)
    except tf.errors.OpError as error:
        raise _unreadable(files[0], type(error).__name__) from error
    if first is None:
        raise UserError(f"{files[0]} holds no record")
    try:
        features = tf.train.Example.FromString(first).features.feature
    except Exception as error:  # protobuf's own class, which has moved between its versions
        raise UserError(f"the records of {files[0]} are no tf.train.Examples") from error
    for parameter, key in keys.items():
        if key is not None and not features[key].bytes_list.value:
            texts = sorted(name for name, value in features.items() if value.bytes_list.value)
            raise UserError(
                f"the Examples of {files[0]} have no text {key!r} "
                f"(create_task_from_tfexample_file.{parameter}_key); texts in them: "
                + (", ".join(texts) or "none")
            )


def _check_all_examples(files: Sequence[epath.Path], keys: Mapping[str, str | None]) -> None:
    """Read every record once, as SeqIO will: its own errors would name no file.

    TensorFlow does that alone, at some 200 MB/s; making tokens of the texts takes far longer.
    """
    import tensorflow as tf

    features = _parsed_features(keys)
    for file in files:
        records = tf.data.TFRecordDataset(os.fspath(file)).batch(_CHECKED_AT_ONCE)
        try:
            parsed = records.map(lambda batch: (batch, tf.io.parse_example(batch, features)))
            size = parsed.reduce(
                tf.constant(0, tf.int64), lambda total, batch: total + _size_of(batch[0])
            )
        except tf.errors.InvalidArgumentError as error:
            names = " and ".join(map(repr, features))
            raise UserError(
                f"{file} has a record that is no tf.train.Example with one text {names}; write it"
                " again"
            ) from error
        except tf.errors.OpError as error:
            raise _unreadable(file, type(error).__name__) from error
        if int(size) != file.stat().length:  # TensorFlow passes over a frame that is cut itself
            raise _unreadable(file, "its end is cut")


def _size_of(records: Any) -> Any:
    """Bytes that serialised Examples [B] take in their file."""
    import tensorflow as tf

    return tf.reduce_sum(tf.cast(tf.strings.length(records) + _FRAME_BYTES, tf.int64))


def _unreadable(file: epath.Path, why: str) -> UserError:
    return UserError(f"{file} is no file of TFRecords, or is damaged ({why}); write it again")


def _parsed_features(keys: Mapping[str, str | None]) -> dict[str, Any]:
    """What is read of every Example: one text for each key."""
    import tensorflow as tf

    text = tf.io.FixedLenFeature([], tf.string)
    return {key: text for key in keys.values() if key is not None}


def _register(
    name: str,
    files: Sequence[epath.Path],
    keys: Mapping[str, str | None],
    features: Mapping[str, Any],
) -> None:
    import_tensorflow()
    import seqio

    source = seqio.TFExampleDataSource(
        {SPLIT: [os.fspath(file) for file in files]},
        _parsed_features(keys),
        cycle_length=1,  # one file after the other
    )
    if name in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(name)
    seqio.TaskRegistry.add(
        name,
        source,
        preprocessors=[
            functools.partial(seqio.preprocessors.rekey, key_map=dict(keys)),
            seqio.preprocessors.tokenize,
            seqio.preprocessors.append_eos,
        ],
        output_features=dict(features),
    )
