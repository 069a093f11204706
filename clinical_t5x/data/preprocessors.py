"""Steps of SeqIO tasks that are more than a format string.

Records are rewritten one at a time by Python functions, as tags need more than TensorFlow's string
operations. Such a step belongs before a task's cache placeholder. Windows of long texts are in
preprocessors_windows.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import seqio
import tensorflow as tf

from clinical_t5x.console import UserError
from clinical_t5x.corpus.deid_tags import replace_tags

TAGS, KEEP = "tags", "keep"

# What these steps call elsewhere: a token store is stale when one of these modules has changed.
RELIES_ON = ("clinical_t5x.corpus.deid_tags",)


def check_deid(deid: str) -> None:
    """Raise unless `deid` names a way to treat de-identified spans."""
    if deid not in (TAGS, KEEP):
        raise UserError(f"deid is {deid!r}; it must be {TAGS!r} or {KEEP!r}")


@dataclasses.dataclass(frozen=True)
class RewriteText:
    """Rewrite string features of a record, each by itself, with a Python function.

    Attributes:
      rewrite: text -> text.
      features: names of scalar string features.
    """

    rewrite: Callable[[str], str]
    features: Sequence[str]

    def __call__(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Apply to every record."""

        def rewritten(value: np.ndarray) -> bytes:
            return self.rewrite(value.decode("utf-8")).encode("utf-8")

        def step(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            changed = {}
            for name in self.features:
                text = tf.numpy_function(rewritten, [record[name]], tf.string, stateful=False)
                changed[name] = tf.ensure_shape(text, [])
            return {**record, **changed}

        return dataset.map(step, num_parallel_calls=tf.data.AUTOTUNE)

    def __repr__(self) -> str:
        return f"RewriteText({self.rewrite.__qualname__}, {tuple(self.features)})"


def tags_replaced(text: str) -> str:
    """Text with its de-identified spans as the vocabulary's tags."""
    return replace_tags(text)[0]


def deid_steps(deid: str, features: Sequence[str]) -> list[RewriteText]:
    """The step that treats de-identified spans of text features as `deid` says."""
    check_deid(deid)
    return [RewriteText(tags_replaced, tuple(features))] if deid == TAGS else []


def retag_answers(
    context: str, answers: Sequence[str], starts: Sequence[int]
) -> tuple[str, list[str], list[int]]:
    """Replace the tags of a context and take its answers along.

    An answer that cuts a tag is widened to the whole tag.

    Args:
      context: text with `[**...**]` tags.
      answers: spans of it.
      starts: where each begins, in characters.

    Returns:
      The new context, answers and starts; answers are still spans of the context.
    """
    new_context, offsets = replace_tags(context)
    spans = [
        offsets.span(start, start + len(answer))
        for answer, start in zip(answers, starts, strict=True)
    ]
    return new_context, [new_context[a:b] for a, b in spans], [a for a, _ in spans]


def retag_questions(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """`retag_answers` over records with context, answers and answer_starts."""

    def retagged(context: bytes, answers: np.ndarray, starts: np.ndarray) -> tuple:
        texts = [answer.decode("utf-8") for answer in answers]
        new = retag_answers(context.decode("utf-8"), texts, [int(start) for start in starts])
        encoded = [answer.encode("utf-8") for answer in new[1]]
        return new[0].encode("utf-8"), np.array(encoded, object), np.array(new[2], np.int32)

    def step(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        context, answers, starts = tf.numpy_function(
            retagged,
            [record["context"], record["answers"], record["answer_starts"]],
            [tf.string, tf.string, tf.int32],
            stateful=False,
        )
        return {
            **record,
            "context": tf.ensure_shape(context, []),
            "answers": tf.ensure_shape(answers, [None]),
            "answer_starts": tf.ensure_shape(starts, [None]),
        }

    return dataset.map(step, num_parallel_calls=tf.data.AUTOTUNE)


def tokenised_with_end() -> list[Callable]:
    """The closing steps of a task that is not span corruption: tokens, cache, end of sequence."""
    return [
        seqio.preprocessors.tokenize,
        seqio.CacheDatasetPlaceholder(),
        seqio.preprocessors.append_eos_after_trim,
    ]


def replace_registration(name: str, **task: Any) -> str:
    """Register a SeqIO task under `name`, in place of an earlier one, and return the name."""
    if name in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(name)
    seqio.TaskRegistry.add(name, **task)
    return name
