"""Synthetic notes to learn a tiny vocabulary from, and the vocabulary that is there already."""

from __future__ import annotations

import os

from clinical_t5x.console import UserError
from clinical_t5x.data.documents import read_documents, shards_of
from clinical_t5x.data.home import corpus_directory, vocabulary_directory
from clinical_t5x.data.vocabulary import MODEL_FILE
from clinical_t5x.storage import read_json

_MOST_NOTES = 2000


def notes_of(data_dir: str | os.PathLike | None = None, corpus: str = "clinical") -> list[str]:
    """Texts of the first notes of a synthetic corpus in a data home.

    Raises:
      UserError: there is no corpus, or it is not synthetic: a vocabulary shows words of its notes.
    """
    directory = corpus_directory(corpus, data_dir)
    shards = shards_of(directory, "train")
    if not read_json(directory / "manifest.json").get("synthetic", False):
        raise UserError(
            f"the corpus at {directory} is not synthetic; tiny models are made from synthetic notes"
            " only: python -m clinical_t5x.demo --preset smoke makes some"
        )
    texts: list[str] = []
    for shard in shards:
        for batch in read_documents(shard, ("text",)):
            texts += batch.column("text").to_pylist()
            if len(texts) >= _MOST_NOTES:
                return texts[:_MOST_NOTES]
    return texts


def vocabulary_of(
    data_dir: str | os.PathLike | None = None, name: str = "clinical"
) -> bytes | None:
    """The SentencePiece model of a data home's vocabulary; None where it has none of that name."""
    path = vocabulary_directory(name, data_dir) / MODEL_FILE
    return path.read_bytes() if path.exists() else None
