"""Pre-training on clinical notes: documents as one stream, span corruption."""

from __future__ import annotations

from typing import Any

import seqio

from clinical_t5x.data.builders.versions import CLINICAL_NOTES, dataset_of_corpus
from clinical_t5x.data.preprocessors import replace_registration
from clinical_t5x.data.sources import PreparedDataSource
from clinical_t5x.data.span_corruption import SpanCorruption
from clinical_t5x.data.vocabulary import ClinicalVocabulary

NAME = "mimic_pretrain_v1"


def register(
    name: str | None = None,
    *,
    corpus: str = "clinical",
    vocabulary: Any = None,
    noise_density: float = 0.15,
    mean_span_length: float = 3.0,
) -> str:
    """Register span corruption of a prepared corpus as a SeqIO task.

    Args:
      name: the task's name; by default `mimic_pretrain_v1` for the corpus "clinical" and
        `<corpus>_pretrain_v1` for any other.
      corpus: what was prepared with `prepare --name CORPUS`.
      vocabulary: by default the vocabulary with the corpus' name.
      noise_density: fraction of tokens that are noise.
      mean_span_length: tokens of a noise span on average.

    Returns:
      The task's name.
    """
    vocabulary = vocabulary or ClinicalVocabulary(name=corpus)
    files = "--physionet DIR" if corpus == "clinical" else f"--notes FILE --name {corpus}"
    return replace_registration(
        name or (NAME if corpus == "clinical" else f"{corpus}_pretrain_v1"),
        source=PreparedDataSource(
            dataset_of_corpus(corpus),
            CLINICAL_NOTES,
            splits={"train": "train", "validation": "validation"},
            made_by=f"python -m clinical_t5x.prepare {files}",
        ),
        preprocessors=[
            document_text,
            seqio.preprocessors.tokenize,
            seqio.CacheDatasetPlaceholder(),
            SpanCorruption(noise_density, mean_span_length),
        ],
        output_features={
            "inputs": seqio.Feature(vocabulary),
            "targets": seqio.Feature(vocabulary),
        },
    )


@seqio.map_over_dataset
def document_text(document: dict[str, Any]) -> dict[str, Any]:
    """The text of a document as `targets`; span corruption makes the inputs out of it."""
    return {"targets": document["text"]}


register()
