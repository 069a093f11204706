"""Which vocabularies are meant: names in the data home, files, or LABEL=FILE."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data.home import vocabulary_directory
from clinical_t5x.data.vocabulary import MODEL_FILE, ClinicalVocabulary

MOST_VOCABULARIES = 7  # as many as the page has colours


@dataclasses.dataclass(frozen=True)
class Named:
    """A vocabulary and what the report calls it."""

    label: str
    vocabulary: ClinicalVocabulary


def named_vocabularies(
    specs: Sequence[str], data_dir: str | os.PathLike | None = None
) -> list[Named]:
    """The vocabularies that a person names, each read and checked.

    Args:
      specs: names of vocabularies in the data home, or paths of SentencePiece model files (or of a
        folder that holds one under our name), or LABEL=PATH.
      data_dir: the data home, or None for the default.

    Raises:
      UserError: fewer than two or too many, one that is not there or is no T5 vocabulary, or two
        of one label.
    """
    if not 2 <= len(specs) <= MOST_VOCABULARIES:
        raise UserError(f"name two to {MOST_VOCABULARIES} vocabularies to compare")
    found = [named_vocabulary(spec, data_dir) for spec in specs]
    labels = Counter(one.label for one in found)
    twice = [label for label, count in labels.items() if count > 1]
    if twice:
        raise UserError(f"two vocabularies are called {twice[0]!r}; tell them apart by LABEL=FILE")
    for one in found:
        _ = one.vocabulary.vocab_size  # reads the file
    return found


def named_vocabulary(spec: str, data_dir: str | os.PathLike | None = None) -> Named:
    """The vocabulary that a person names, as in `named_vocabularies`; the file is not read yet."""
    label, equals, path = spec.partition("=")
    if equals and label and "/" not in label and not epath.Path(spec).exists():
        return Named(label, ClinicalVocabulary(_model_file(path)))
    if "/" in spec or spec.endswith(".model"):
        file = _model_file(spec)
        label = file.parent.name if file.name == MODEL_FILE else file.stem
        return Named(label or file.stem, ClinicalVocabulary(file))
    directory = vocabulary_directory(spec, data_dir)
    if not (directory / MODEL_FILE).exists():
        there = sorted(path.parent.name for path in directory.parent.glob(f"*/{MODEL_FILE}"))
        raise UserError(
            f"there is no vocabulary {spec!r} in {directory.parent} (there:"
            f" {', '.join(there) or 'none'}); a file is named by its path, as in ./spiece.model"
        )
    return Named(spec, ClinicalVocabulary(directory / MODEL_FILE))


def _model_file(path: str) -> epath.Path:
    file = epath.Path(path).expanduser()
    return file / MODEL_FILE if file.is_dir() else file
