"""How a model gets into a notebook: from a checkpoint of any layout, or with random parameters."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
from collections.abc import Callable
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data.home import reading_from
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.data.vocabulary_comparison.named import named_vocabulary
from clinical_t5x.evaluation.predictor import round_up
from clinical_t5x.interactive.model import VOCABULARY_FILE, InteractiveModel
from clinical_t5x.interop.recognise import open_checkpoint
from clinical_t5x.interop.source import CheckpointError, TensorSource
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.decoding import beam_search
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import adapters, imported, runtime
from clinical_t5x.training import state as states
from clinical_t5x.training.optimizer import Adafactor

_GIN_FILE = "config.gin"
_SCANNED_FROM = 8  # layers: from here on compiling one of them saves more than a loop costs


def load_model(
    checkpoint: str | os.PathLike,
    *,
    vocabulary: Any = None,
    data_dir: str | os.PathLike | None = None,
    max_target_tokens: int | None = None,
    batch_size: int = 32,
    optimizer: Any = None,
    learning_rate: float = 1e-3,
    decode_fn: Callable = beam_search,
    seed: int = 0,
    **config: Any,
) -> InteractiveModel:
    """Load a checkpoint of any layout.

    Args:
      checkpoint: a MODEL_DIR (its newest checkpoint is taken), a `checkpoint_N` of ours or of
        T5X's, or a Hugging Face directory.
      vocabulary: a vocabulary, the name of one in the data home, or the path of a SentencePiece
        model. None takes the one that the run's config.gin names, or the file that lies with the
        checkpoint, or the data home's "clinical" where its ids and the embedding's rows agree.
      data_dir: the data home; default $CLINICAL_T5X_DATA.
      max_target_tokens: end-of-sequence included, for predictions that do not say; None takes the
        targets' length in the run's config.gin, where there is one.
      batch_size: rows of a batch at most.
      optimizer: as in gin; default Adafactor.
      learning_rate: constant.
      decode_fn: `decoding.beam_search` (one beam unless told otherwise) or
        `decoding.temperature_sample`.
      seed: of dropout, and of new adapters.
      **config: fields of `T5Config` to set otherwise, as dtype="bfloat16" or lora_rank=8.

    Raises:
      UserError: there is no such checkpoint or vocabulary, or they do not belong together.
    """
    try:
        source = open_checkpoint(checkpoint)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    with reading_from(data_dir):
        vocabulary = _vocabulary_of(vocabulary, source, data_dir)
    layers = max(source.config.num_encoder_layers, source.config.num_decoder_layers)
    network = {"scan_layers": layers >= _SCANNED_FROM, **config}
    try:
        model = EncoderDecoderModel(
            Transformer(dataclasses.replace(source.config, **network)),
            vocabulary,
            vocabulary,
            optimizer or Adafactor(),
            decode_fn=decode_fn,
            z_loss=1e-4,
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"{checkpoint}: {error}") from error
    partitioner = PjitPartitioner(num_partitions=1)
    plain = adapters.base(model)
    try:
        imported.refuse_other_network(source, plain.config)
        params = imported.place(source, plain, partitioner)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    key = runtime.random_key(seed, runtime.INIT_STREAM)
    params = adapters.with_new(params, model, partitioner, key)
    longest = max_target_tokens or _targets_length_of(source)
    loaded = InteractiveModel(
        model,
        params,
        step=source.step or 0,
        max_target_tokens=longest,
        batch_size=batch_size,
        learning_rate=learning_rate,
        partitioner=partitioner,
        seed=seed,
    )
    loaded.loaded_from = str(source.path)
    return loaded


def new_model(
    vocabulary: ClinicalVocabulary, *, optimizer: Any = None, seed: int = 0, **options: Any
) -> InteractiveModel:
    """A model with random parameters, to train from nothing.

    Args:
      vocabulary: decides `vocab_size`, unless given.
      optimizer: as in gin; default Adafactor.
      seed: of the parameters and of dropout.
      **options: fields of `T5Config`, and `max_target_tokens`, `batch_size`, `learning_rate` as in
        `load_model`.
    """
    fields = {field.name for field in dataclasses.fields(T5Config)}
    sizes = {"vocab_size": round_up(vocabulary.vocab_size, 128)}
    sizes |= {name: options.pop(name) for name in list(options) if name in fields}
    network = Transformer(T5Config(**sizes))
    model = EncoderDecoderModel(
        network, vocabulary, vocabulary, optimizer or Adafactor(), z_loss=1e-4
    )
    partitioner = options.pop("partitioner", PjitPartitioner(num_partitions=1))
    shardings = states.shardings_of(adapters.placed(model, partitioner))
    key = runtime.random_key(seed, runtime.INIT_STREAM)
    params = model.init_params(key, shardings)
    return InteractiveModel(model, params, partitioner=partitioner, seed=seed, **options)


def _vocabulary_of(given: Any, source: TensorSource, data_dir: Any) -> Any:
    """The vocabulary that was asked for, or that belongs to the checkpoint."""
    if given is not None and not isinstance(given, str | os.PathLike):
        return given
    named = given or _gin_value(source, "Vocabulary.sentencepiece_model_file")
    named = named or _gin_value(source, "ClinicalVocabulary.name") or _file_beside(source)
    rows = source.config.vocab_size
    if named is None:
        vocabulary = ClinicalVocabulary(ClinicalVocabulary().sentencepiece_model_file)
        there = epath.Path(vocabulary.sentencepiece_model_file).exists()
        if not there or round_up(vocabulary.vocab_size, 128) != rows:
            raise UserError(
                f"nothing says which vocabulary {source.path} reads (its embedding has {rows:,} "
                "rows): name it, as vocabulary='clinical' or vocabulary='DIR/spiece.model'"
            )
        return vocabulary
    vocabulary = named_vocabulary(os.fspath(named), data_dir).vocabulary
    if vocabulary.vocab_size > rows:
        raise UserError(
            f"{vocabulary.sentencepiece_model_file} has {vocabulary.vocab_size:,} ids, the"
            f" embedding of {source.path} {rows:,} rows: name the checkpoint's own vocabulary"
        )
    return vocabulary


def _targets_length_of(source: TensorSource) -> int | None:
    lengths = _gin_value(source, "TASK_FEATURE_LENGTHS")
    return lengths.get("targets") if isinstance(lengths, dict) else None


def _file_beside(source: TensorSource) -> str | None:
    """A SentencePiece file in the checkpoint's directory or the one above."""
    place = epath.Path(source.path)
    for directory in (place, place.parent):
        file = directory / VOCABULARY_FILE
        if file.exists():
            return os.fspath(file)
    return None


def _gin_value(source: TensorSource, name: str) -> Any:
    """The literal that the config.gin beside one of our checkpoints gives `name`, or None."""
    file = epath.Path(source.path).parent / _GIN_FILE
    if not hasattr(source, "position") or not file.exists():
        return None
    match = re.search(rf"^(?:\w+/)?[\w.]*{re.escape(name)} = (.+)$", file.read_text(), re.MULTILINE)
    try:
        return ast.literal_eval(match[1]) if match else None
    except (ValueError, SyntaxError):
        return None
