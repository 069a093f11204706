"""What lies beside the weights in a Hugging Face directory: tokenizer and model card."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from etils import epath

import clinical_t5x
from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.data.home import corpus_directory
from clinical_t5x.data.vocabulary import ClinicalVocabulary, read_model
from clinical_t5x.data.vocabulary_comparison.named import named_vocabulary
from clinical_t5x.interop import tokenizer
from clinical_t5x.interop.huggingface_writer import stored_dtype
from clinical_t5x.interop.model_card import Provenance, model_card
from clinical_t5x.interop.source import CheckpointError

_CARD = "README.md"
_MANIFEST = "manifest.json"
# Files of a tokenizer that go from one Hugging Face directory to another as they are.
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    tokenizer.MODEL_FILE,
)
_TOKENIZER_CONTENT = ("tokenizer.json", tokenizer.MODEL_FILE)
_MOST_SPARE_ROWS = 128  # an embedding's rows are the ids, rounded up to a multiple of this
_GIN_FILE = "config.gin"
_GIN_VALUE = r"^(?:VOCABULARY/)?[\w.]*{} = (.+)$"


@dataclasses.dataclass(frozen=True)
class Beside:
    """Files to put beside the weights.

    Attributes:
      files: name and content.
      note: a sentence for people on where the tokenizer comes from, or why there is none.
    """

    files: Mapping[str, bytes]
    note: str


def collect(
    source: Any, *, vocabulary: str | None, data_dir: str | None, dtype: str | None, name: str
) -> Beside:
    """Tokenizer and model card for an export of `source`.

    Args:
      source: the checkpoint.
      vocabulary: its name in the data home or path; None takes the one of the run that made the
        checkpoint, or the source directory's own tokenizer.
      data_dir: the data home, or None for the default.
      dtype: of what is written; None for each tensor's own.
      name: what the card calls the model.

    Raises:
      UserError: the vocabulary is not there, is no T5 vocabulary, or has more ids than the model
        has rows.
    """
    run = _run_of(source)
    chosen = vocabulary or run.get("vocabulary")
    manifest = None
    if chosen is None:
        files, note = _from_source(source)
    else:
        try:
            files, manifest, note = _from_vocabulary(chosen, source, data_dir, run)
        except UserError as error:
            if vocabulary is not None:
                raise
            files, note = {}, f"no tokenizer is written: {error}; --vocabulary names another"
    parameters = sum(info.size for info in source.infos.values())
    provenance = Provenance(
        name=name,
        written_by=f"clinical_t5x {clinical_t5x.__version__}",
        converted_from=source.kind,
        step=source.step,
        position=getattr(source, "position", None),
        task=run.get("task"),
        vocabulary=manifest,
        corpus=_corpus_manifest(manifest, data_dir) if run else None,
    )
    card = model_card(
        source.config, parameters, stored_dtype(source, dtype), bool(files), provenance
    )
    return Beside({**files, _CARD: card}, note)


def _from_vocabulary(
    chosen: str, source: Any, data_dir: str | None, run: Mapping[str, Any]
) -> tuple[dict[str, bytes], dict[str, Any] | None, str]:
    vocabulary = _vocabulary(chosen, data_dir)
    file = vocabulary.sentencepiece_model_file
    ids, rows = vocabulary.vocab_size, source.config.vocab_size
    if ids > rows:
        raise UserError(
            f"{file} has {ids:,} ids, but the model's embedding only {rows:,} rows: it is not this "
            "model's vocabulary; name another with --vocabulary"
        )
    try:
        files = tokenizer.tokenizer_files(read_model(file), vocabulary.extra_ids)
    except (CheckpointError, ValueError) as error:
        raise UserError(f"{file}: {error}") from None
    note = f"tokenizer: {ids:,} ids of {file}"
    if run.get("vocabulary") == chosen:
        note += f", as {run['file']} says"
    if rows - ids >= _MOST_SPARE_ROWS:
        note += f"; the embedding has {rows:,} rows: make sure that it is this model's vocabulary"
    return files, _read_manifest(epath.Path(file).parent / _MANIFEST), note


def _vocabulary(chosen: str, data_dir: str | None) -> ClinicalVocabulary:
    path = epath.Path(chosen).expanduser()
    if path.is_dir() and (path / tokenizer.MODEL_FILE).exists():
        return ClinicalVocabulary(path / tokenizer.MODEL_FILE)
    vocabulary = named_vocabulary(chosen, data_dir).vocabulary
    _ = vocabulary.vocab_size  # reads and checks the file
    return vocabulary


def _from_source(source: Any) -> tuple[dict[str, bytes], str]:
    """The tokenizer that a Hugging Face directory has, or none."""
    directory = getattr(source, "directory", None)
    there = [] if directory is None else [n for n in _TOKENIZER_FILES if (directory / n).exists()]
    if not set(there) & set(_TOKENIZER_CONTENT):
        return {}, "no tokenizer is written; --vocabulary PATH|NAME adds one"
    files = {name: (directory / name).read_bytes() for name in there}
    return files, f"tokenizer: copied from {directory}"


def _run_of(source: Any) -> dict[str, Any]:
    """What the run that made one of our checkpoints wrote down: its vocabulary and task.

    The values are read as the literals that they are; nothing of the file is evaluated.
    """
    if not hasattr(source, "position"):
        return {}
    file = epath.Path(source.path).parent / _GIN_FILE
    if not file.exists():
        return {}
    text = file.read_text()
    model_file = _literal(text, "Vocabulary.sentencepiece_model_file")
    return {
        "file": str(file),
        "vocabulary": model_file or _literal(text, "ClinicalVocabulary.name"),
        "task": _literal(text, "MIXTURE_OR_TASK_NAME"),
    }


def _literal(text: str, name: str) -> str | None:
    match = re.search(_GIN_VALUE.format(re.escape(name)), text, re.MULTILINE)
    try:
        value = ast.literal_eval(match[1]) if match else None
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, str) else None


def _corpus_manifest(
    vocabulary: Mapping[str, Any] | None, data_dir: str | None
) -> dict[str, Any] | None:
    """The manifest of the corpus that the vocabulary was trained on, if it is still that one."""
    trained_on = (vocabulary or {}).get("corpus")
    if not isinstance(trained_on, dict) or not isinstance(trained_on.get("name"), str):
        return None
    found = _read_manifest(corpus_directory(trained_on["name"], data_dir) / _MANIFEST)
    same = (found or {}).get("content_sha256") == trained_on.get("content_sha256")
    return found if same else None


def _read_manifest(path: epath.Path) -> dict[str, Any] | None:
    try:
        found = storage.read_json(path)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
