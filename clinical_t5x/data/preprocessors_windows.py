"""Steps of SeqIO tasks that choose what of a long text a model sees, within a budget of tokens.

Each belongs before a task's cache placeholder, after the tags are replaced.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from clinical_t5x.console import UserError
from clinical_t5x.data import text_windows
from clinical_t5x.data.vocabulary import ClinicalVocabulary

# What these steps call elsewhere: a token store is stale when one of these modules has changed.
RELIES_ON = ("clinical_t5x.data.text_windows",)

_SMALLEST_BUDGET = 16
_CACHED_WORDS = 1 << 18
_LEAST_SHARE = 8  # of the budget, which a context has however long its question is


# None of the steps is a dataclass: SeqIO sets the fields of those instead of calling them with its
# arguments.
class ContextWindow:
    """Fill `inputs` with `{window} ; {sentence}`: a sentence within its note, in a token budget.

    The window is the sentence with as many whole words of the note before and after it as fit; it
    grows on both sides alike and, where the note ends, on the other side. The sentence after the
    semicolon is cut only if it does not fit by itself (`sentence_cut` says so).

    Args:
      tokens: budget of the whole input, end of sequence included.
    """

    def __init__(self, tokens: int = 256):
        self.tokens = _checked_budget(tokens)

    def __repr__(self) -> str:
        return f"ContextWindow({self.tokens})"

    def __call__(self, dataset: tf.data.Dataset, output_features: Mapping[str, Any]) -> Any:
        """Apply to records with context_before, sentence and context_after."""
        cost = _token_counts(output_features)

        def windowed(before: bytes, sentence: bytes, after: bytes) -> tuple:
            texts = [part.decode("utf-8") for part in (before, sentence, after)]
            text, cut = text_windows.repeated_in_window(*texts, tokens=self.tokens, cost=cost)
            return text.encode("utf-8"), cut

        def step(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            parts = [record[name] for name in ("context_before", "sentence", "context_after")]
            text, cut = tf.numpy_function(windowed, parts, [tf.string, tf.bool], stateful=False)
            inputs = tf.ensure_shape(text, [])
            return {**record, "inputs": inputs, "sentence_cut": tf.ensure_shape(cut, [])}

        return dataset.map(step, num_parallel_calls=tf.data.AUTOTUNE)


class SentenceInContext:
    """Cut context_before and context_after of a record so that a whole input keeps its budget.

    The sentence keeps its words; only one that does not fit by itself is cut (`sentence_cut`).

    Args:
      tokens: budget of the whole input, end of sequence included.
      frame: the words around the three texts; where several forms share the window, each of them:
        the longest decides.
    """

    def __init__(self, tokens: int, frame: Sequence[str]):
        self.tokens, self.frame = _checked_budget(tokens), tuple(frame)

    def __repr__(self) -> str:
        return f"SentenceInContext({self.tokens}, {self.frame})"

    def __call__(self, dataset: tf.data.Dataset, output_features: Mapping[str, Any]) -> Any:
        """Apply to records with context_before, sentence and context_after."""
        cost = _token_counts(output_features)
        frame = max(_cost_of_words(words, cost) for words in self.frame)
        room = self.tokens - 1 - frame
        if room < 1:
            raise UserError(
                f"window_tokens is {self.tokens}, but the words around the sentence alone take"
                f" {frame} tokens; choose at least {4 * frame}"
            )

        def windowed(*parts: bytes) -> tuple:
            texts = [part.decode("utf-8") for part in parts]
            *kept, cut = text_windows.fields_in_window(*texts, tokens=room, cost=cost)
            return *(text.encode("utf-8") for text in kept), cut

        names = ("context_before", "sentence", "context_after")

        def step(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            parts = [record[name] for name in names]
            types = [tf.string, tf.string, tf.string, tf.bool]
            found = tf.numpy_function(windowed, parts, types, stateful=False)
            values = [tf.ensure_shape(value, []) for value in found]
            return {**record, **dict(zip((*names, "sentence_cut"), values, strict=True))}

        return dataset.map(step, num_parallel_calls=tf.data.AUTOTUNE)


class QuestionWindows:
    """One example for each window of a context that is too long for the input.

    A record becomes examples with ids `{id}/window_{k}` and `group`, the record's own id. `inputs`
    is `{before}{question}{between} {window}`; `targets` is the first gold answer that lies wholly
    in the window, else nothing. All gold answers stay in `answers`. A context that fits is one
    window, with the very text that it has without this step.

    Args:
      tokens: budget of the whole input, end of sequence included.
      stride: tokens between the beginnings of two windows. An answer of up to
        `tokens` - question - `stride` tokens lies wholly in some window.
      before, between: the words of the format around the question.
    """

    changes_number = True

    def __init__(self, tokens: int, stride: int, *, before: str, between: str):
        self.tokens, self.stride = _checked_budget(tokens), stride
        self.before, self.between = before, between
        if not 1 <= stride < tokens:
            raise UserError(
                f"stride is {stride}; it must be at least 1 and below window_tokens ({tokens}):"
                " windows must overlap for answers to lie wholly in one"
            )

    def __repr__(self) -> str:
        return f"QuestionWindows({self.tokens}, {self.stride}, {self.before!r}, {self.between!r})"

    def __call__(self, dataset: tf.data.Dataset, output_features: Mapping[str, Any]) -> Any:
        """Apply to records with id, question, context, answers and answer_starts."""
        cost = _token_counts(output_features)

        def windows(question: bytes, context: bytes, answers: Any, starts: Any) -> tuple:
            texts = [answer.decode("utf-8") for answer in answers]
            found = self.of(question.decode("utf-8"), context.decode("utf-8"), texts, starts, cost)
            inputs, targets = ([text.encode("utf-8") for text in texts] for texts in found)
            return np.array(inputs, object), np.array(targets, object)

        def step(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            names = ("question", "context", "answers", "answer_starts")
            inputs, targets = tf.numpy_function(
                windows, [record[name] for name in names], [tf.string, tf.string], stateful=False
            )
            count = tf.size(inputs)
            repeated = repeat_record(record, count)
            numbers = tf.strings.as_string(tf.range(count))
            return {
                **repeated,
                "id": tf.strings.join([repeated["id"], "/window_", numbers]),
                "group": repeated["id"],
                "inputs": tf.ensure_shape(inputs, [None]),
                "targets": tf.ensure_shape(targets, [None]),
            }

        return one_by_one(dataset.map(step, num_parallel_calls=tf.data.AUTOTUNE))

    def of(
        self,
        question: str,
        context: str,
        answers: Sequence[str],
        starts: Sequence[int],
        cost: Callable[[str], int],
    ) -> tuple[list[str], list[str]]:
        """Inputs and targets of a record's windows.

        Args:
          question, context: texts.
          answers, starts: gold answers and where each begins in the context, in characters.
          cost: number of tokens of a text.
        """
        lead = f"{self.before}{question.lstrip(text_windows.BLANKS)}{self.between}"
        room = max(self.tokens - 1 - cost(lead), self.tokens // _LEAST_SHARE)
        spans = text_windows.context_windows(context, room=room, stride=self.stride, cost=cost)
        inputs = [f"{lead} {context[start:stop]}" for start, stop in spans]
        targets = [text_windows.first_answer_within(span, answers, starts) for span in spans]
        return inputs, [target or "" for target in targets]


def repeat_record(record: Mapping[str, tf.Tensor], count: Any) -> dict[str, tf.Tensor]:
    """Every feature `count` times, [count, ...]: changed where they differ, then `one_by_one`."""
    return {name: tf.repeat(value[tf.newaxis], count, axis=0) for name, value in record.items()}


def one_by_one(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The slices of every element, in order."""
    # Not unbatch(): it moves strings out of tensors that NumPy functions made, and crashes.
    return dataset.flat_map(tf.data.Dataset.from_tensor_slices)


def _checked_budget(tokens: int) -> int:
    if tokens < _SMALLEST_BUDGET:
        raise UserError(f"window_tokens is {tokens}; it must be at least {_SMALLEST_BUDGET}")
    return tokens


def _token_counts(output_features: Mapping[str, Any]) -> Callable[[str], int]:
    """How many tokens a text has in the vocabulary of the inputs; words come again and again."""
    vocabulary = output_features["inputs"].vocabulary
    encode = vocabulary.encode
    if isinstance(vocabulary, ClinicalVocabulary):
        # Looked up here: TensorFlow's threads do not know which data home is read from.
        encode = vocabulary.tokenizer.encode
    return functools.lru_cache(maxsize=_CACHED_WORDS)(lambda text: len(encode(text)))


def _cost_of_words(text: str, cost: Callable[[str], int]) -> int:
    """Tokens of a text's words, each after a blank but the first."""
    first, *others = text.split()
    return cost(first) + sum(cost(" " + word) for word in others)
