"""Vocabularies that stand in where a run's own is not on this machine.

A compiled train step depends on a vocabulary by a few constants (the ids of sentinels and of the
end of a sequence): a plan needs none of its text.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_PIECES = 300


@contextlib.contextmanager
def vocabularies_named(names: Sequence[str]) -> Iterator[None]:
    """Inside the block the data home is a throw-away one that has vocabularies of these names."""
    if not names:
        yield
        return
    from clinical_t5x.data.home import reading_from, vocabulary_directory
    from clinical_t5x.data.vocabulary import MODEL_FILE

    with tempfile.TemporaryDirectory(prefix="clinical_t5x_plan_") as home, reading_from(home):
        model = _smallest_model()
        for name in names:
            directory = Path(vocabulary_directory(name))
            directory.mkdir(parents=True)
            (directory / MODEL_FILE).write_bytes(model)
        yield


@dataclasses.dataclass(frozen=True)
class VocabularyStandIn:
    """What a train step asks of a vocabulary: T5's ids, and sentinels at the end."""

    vocab_size: int
    extra_ids: int = 100
    eos_id: int = 1


def without_remote_vocabularies(model: Any) -> Any:
    """The model with stand-ins for vocabularies that only a network could open."""
    changed = copy.copy(model)
    for name in ("input_vocabulary", "output_vocabulary"):
        file = getattr(getattr(model, name, None), "sentencepiece_model_file", "")
        if "://" in str(file):
            setattr(changed, name, VocabularyStandIn(model.config.vocab_size))
    return changed


def _smallest_model() -> bytes:
    """A SentencePiece model of single bytes and letters, with T5's special ids."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a plan needs no words"]),
        model_writer=written,
        vocab_size=_PIECES,
        hard_vocab_limit=False,
        byte_fallback=True,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return written.getvalue()
