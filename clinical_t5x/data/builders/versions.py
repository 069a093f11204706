"""Names and versions of the TFDS data sets: known without importing TensorFlow."""

from __future__ import annotations

CLINICAL_NOTES = "1.0.0"
MEDNLI = "1.0.0"
RADQA = "1.0.0"
CLIP = "2.0.0"  # 1.0.0 had contexts of 400 words, in which a tag could be cut
MEDNLI_BIONLP19 = "1.0.1"

BENCHMARKS = {
    "mednli": MEDNLI,
    "radqa": RADQA,
    "clip": CLIP,
    "mednli_bionlp19": MEDNLI_BIONLP19,
}

DEFAULT_CORPUS = "clinical"


def dataset_of_corpus(corpus: str) -> str:
    """The TFDS data set of a prepared corpus: other corpora than the default are its configs."""
    return "clinical_notes" if corpus == DEFAULT_CORPUS else f"clinical_notes/{corpus}"
