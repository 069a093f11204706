"""CLIP: which follow-up a sentence of a discharge summary asks for (Lehman et al. 2023, Appendix B)

`clip_v1`         {context window} ; {sentence}
                  -> {labels in alphabetical order, joined by ", "}
`clip_fields_v1`  clip sentence: {sentence} before: {words before} after: {words after}
                  -> {labels as above, or "none"}
`clip_yes_no_v1`  Before: ... Sentence: ... After: ... Question: {of a label} Answer yes or no.
                  -> yes | no; seven examples a sentence

The first is the paper's. The second repairs what is defective in it: nothing tells a model that
shares several tasks which one this is; the semicolon that divides window and sentence stands in
notes too; where in the window the sentence stands is not said, although short sentences come twice
in a note; the window pays for the sentence a second time; and what is asked about comes last, where
shorter inputs are cut. The third is for models that follow instructions.
"""

from __future__ import annotations

import re
from typing import Any

import seqio
import tensorflow as tf

from clinical_t5x.console import UserError
from clinical_t5x.data.builders.versions import CLIP
from clinical_t5x.data.preprocessors import (
    TAGS,
    deid_steps,
    replace_registration,
    tokenised_with_end,
)
from clinical_t5x.data.preprocessors_windows import (
    ContextWindow,
    SentenceInContext,
    one_by_one,
    repeat_record,
)
from clinical_t5x.data.subset_source import benchmark_source
from clinical_t5x.data.subsets import Subset
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.metrics import Grouped, clip_metrics, clip_yes_no_metrics
from clinical_t5x.evaluation.metrics.components import as_text

PAPER, FIELDS, YES_NO = "paper", "fields", "yes_no"
NAMES = {PAPER: "clip_v1", FIELDS: "clip_fields_v1", YES_NO: "clip_yes_no_v1"}

# One for each label, in the labels' order; the wording is ours.
QUESTIONS = {
    "Appointment-related followup": (
        "Does the sentence tell of an appointment or visit that the patient has or should make?"
    ),
    "Case-specific instructions for patient": (
        "Does the sentence tell the patient what to do, or watch for, in this very case?"
    ),
    "Imaging-related followup": "Does the sentence ask for imaging after discharge?",
    "Lab-related followup": (
        "Does the sentence ask for a laboratory test, or a result still to come, to be followed up?"
    ),
    "Medication-related followups": (
        "Does the sentence ask for a medication to be started, stopped, changed or watched?"
    ),
    "Other helpful contextual information": (
        "Does the sentence say anything else that matters for care after discharge?"
    ),
    "Procedure-related followup": "Does the sentence ask for a procedure after discharge?",
}
NEITHER = "(neither yes nor no)"
NO_LABEL = "none"


def register(
    name: str | None = None,
    *,
    form: str = PAPER,
    vocabulary: Any = None,
    deid: str = TAGS,
    window_tokens: int = 256,
    fraction: float = 1.0,
    subset_seed: int = 0,
    folds: int | None = None,
    fold: int | None = None,
) -> str:
    """Register CLIP as a SeqIO task.

    Args:
      name: the task's name; by default `clip_v1`, `clip_fields_v1` or `clip_yes_no_v1`, with what
        is taken of it where that is not all (`clip_v1_train_1pct_seed0`).
      form: "paper", "fields" or "yes_no", as the module's head has them.
      vocabulary: by default the clinical one.
      deid: "tags" maps de-identified spans to the vocabulary's tags (CLIP's broken-up ones too);
        "keep" leaves them as they are.
      window_tokens: tokens of the whole input, end of sequence included.
      fraction: share of the training data, by whole summaries; validation and test stay whole.
      subset_seed: which of them (clinical_t5x.data.subsets).
      folds: cut train and validation together into so many folds, by summary.
      fold: the one that becomes the validation split, from 0; the others become the train split.

    Returns:
      The task's name.
    """
    if form not in NAMES:
        raise UserError(f"form is {form!r}; it must be one of {', '.join(map(repr, NAMES))}")
    vocabulary = vocabulary or ClinicalVocabulary()
    subset = Subset(fraction, subset_seed, folds, fold)
    return replace_registration(
        name or subset.named(NAMES[form]),
        source=benchmark_source("clip", CLIP, subset),
        preprocessors=[
            *deid_steps(deid, ("context_before", "sentence", "context_after")),
            *_format_steps(form, window_tokens),
            *tokenised_with_end(),
        ],
        postprocess_fn={FIELDS: labels_or_none, YES_NO: asked_label}.get(form),
        metric_fns=[clip_yes_no_metrics if form == YES_NO else clip_metrics],
        output_features={
            "inputs": seqio.Feature(vocabulary),
            "targets": seqio.Feature(vocabulary),
        },
    )


def _format_steps(form: str, window_tokens: int) -> list[Any]:
    if form == PAPER:
        return [ContextWindow(window_tokens), text_format]
    if form == FIELDS:
        return [SentenceInContext(window_tokens, ["clip sentence: before: after:"]), fields_format]
    frames = [f"Before: Sentence: After: {_asked(question)}" for question in QUESTIONS.values()]
    return [SentenceInContext(window_tokens, frames), questions_format]


@seqio.map_over_dataset
def text_format(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The windowed input as it is; the labels, which the data set holds sorted, as text."""
    return {
        "id": record["id"],
        "unit": record["unit"],
        "sentence": record["sentence"],
        "labels": record["labels"],
        "sentence_cut": record["sentence_cut"],
        "inputs": record["inputs"],
        "targets": tf.strings.reduce_join(record["labels"], separator=", "),
    }


@seqio.map_over_dataset
def fields_format(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Named fields, the sentence first; no label is a word too."""
    labels = tf.strings.reduce_join(record["labels"], separator=", ")
    parts = [
        _field("clip sentence:", record["sentence"]),
        _field("before:", record["context_before"]),
        _field("after:", record["context_after"]),
    ]
    kept = {name: record[name] for name in ("id", "unit", "sentence", "labels", "sentence_cut")}
    return {
        **kept,
        "inputs": tf.strings.join(parts, " "),
        "targets": tf.where(labels == "", NO_LABEL, labels),
    }


def labels_or_none(
    text: str, example: dict[str, Any] | None = None, *, is_target: bool = False
) -> str:
    """Labels as the metrics read them: "none" names none."""
    return "" if text.strip().casefold() == NO_LABEL else text


def questions_format(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Seven examples a sentence, one for each label, with ids `{id}/{number of the label}`."""
    labels = tf.constant(list(QUESTIONS))
    numbers = tf.strings.as_string(tf.range(len(QUESTIONS)))
    asked = tf.constant([_asked(question) for question in QUESTIONS.values()])

    def step(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        text = tf.strings.join(
            [
                _field("Before:", record["context_before"]),
                _field("Sentence:", record["sentence"]),
                _field("After:", record["context_after"]),
            ],
            " ",
        )
        kept = {name: record[name] for name in ("id", "unit", "sentence", "sentence_cut")}
        repeated = repeat_record(kept, len(QUESTIONS))
        holds = tf.reduce_any(record["labels"][:, tf.newaxis] == labels, axis=0)
        return {
            **repeated,
            "id": tf.strings.join([repeated["id"], numbers], "/"),
            "group": repeated["id"],
            "label": labels,
            "inputs": tf.strings.join([text, asked], " "),
            "targets": tf.where(holds, "yes", "no"),
        }

    return one_by_one(dataset.map(step, num_parallel_calls=tf.data.AUTOTUNE))


questions_format.changes_number = True


def asked_label(
    text: str, example: dict[str, Any] | None = None, *, is_target: bool = False
) -> Any:
    """The label that was asked about where the answer begins with "yes", nothing where with "no".

    Any other answer is `NEITHER`, which names no label and spoils exact match.
    """
    word = re.match(r"\W*(\w*)", text)[1].casefold()
    answer = {"yes": as_text(example["label"]), "no": ""}.get(word, NEITHER)
    return Grouped(as_text(example["group"]), answer) if is_target else answer


def _asked(question: str) -> str:
    return f"Question: {question} Answer yes or no."


def _field(name: str, text: tf.Tensor) -> tf.Tensor:
    return tf.where(text == "", name, tf.strings.join([name, text], " "))


for _form in NAMES:
    register(form=_form)
