"""A task that any byte vocabulary reads and no file is needed for: repeat the words of the input.

For benchmarks that run other people's gin files: MIXTURE_OR_TASK_MODULE = 'toy_task',
MIXTURE_OR_TASK_NAME = 'repeat_words'.
"""

from __future__ import annotations

import random

import seqio

NAME = "repeat_words"
_WORDS = ["ache", "blood", "chest", "drain", "edema", "fever", "gland", "heart"]
_ROWS = {"train": 64, "validation": 16, "test": 16}


def _dataset(split: str, shuffle_files: bool = False, seed: int | None = None):
    import tensorflow as tf

    generator = random.Random(split)
    texts = [" ".join(generator.choices(_WORDS, k=3)) for _ in range(_ROWS[split])]
    return tf.data.Dataset.from_tensor_slices({"inputs": texts, "targets": texts})


def _accuracy(targets, predictions):
    equal = [target == prediction for target, prediction in zip(targets, predictions, strict=True)]
    return {"accuracy": sum(equal) / len(equal)}


def register(vocabulary: seqio.Vocabulary | None = None) -> str:
    """Register the task for a vocabulary, bytes unless another is given; its name."""
    if NAME in seqio.TaskRegistry.names():
        return NAME
    vocabulary = vocabulary or seqio.ByteVocabulary()
    seqio.TaskRegistry.add(
        NAME,
        seqio.FunctionDataSource(_dataset, list(_ROWS), num_input_examples=_ROWS),
        preprocessors=[
            seqio.preprocessors.tokenize,
            seqio.CacheDatasetPlaceholder(),
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features={
            name: seqio.Feature(vocabulary, add_eos=True) for name in ("inputs", "targets")
        },
        metric_fns=[_accuracy],
    )
    return NAME


register()
