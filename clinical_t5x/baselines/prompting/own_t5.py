"""T5 and Flan-T5 through this project's own decoding, sharded over the devices there are."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.baselines.prompting.answering import Query
from clinical_t5x.baselines.prompting.rendering import Rendered
from clinical_t5x.baselines.prompting.replies import Reply, ReplyStore
from clinical_t5x.console import Progress, UserError
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.evaluation.predictor import ModelPredictor, Request
from clinical_t5x.storage import fingerprint

_SPIECE = "spiece.model"  # as T5's tokenizer is published
_SCANNED_FROM = 8  # layers: from here on compiling one of them saves more than a loop costs
_LONGEST_PROMPT = 2048  # tokens: T5's positions are relative and have no end; memory has


class OwnT5:
    """A T5 checkpoint of Hugging Face (or of ours) with its own vocabulary.

    Args:
      checkpoint: a directory with config.json, weights and spiece.model.
      context_tokens: of a prompt; a reply is counted by itself.
      batch_size: prompts that are decoded together.
      num_partitions: devices that one copy of the model is spread over.
      dtype: "bfloat16" or "float32", of the computation.

    Raises:
      UserError: there is no such checkpoint, or no vocabulary in it.
    """

    counts_exactly = True

    def __init__(
        self,
        checkpoint: str | os.PathLike,
        *,
        context_tokens: int | None = None,
        batch_size: int = 16,
        num_partitions: int = 1,
        dtype: str | None = None,
    ):
        directory = local_directory(checkpoint)
        self.name = epath.Path(checkpoint).name
        self._context_tokens = context_tokens or _LONGEST_PROMPT
        self._vocabulary = ClinicalVocabulary(_vocabulary_file(directory))
        self._predictor = _predictor(
            directory, self._vocabulary, batch_size, num_partitions, dtype or _usual_dtype()
        )
        self._identity = fingerprint(
            {
                "model": self._predictor.identity(),
                "vocabulary": self._vocabulary.content_hash,
                "dtype": dtype or _usual_dtype(),
            }
        )

    def identity(self) -> str:
        """A hash of parameters, vocabulary and decoding."""
        return self._identity

    def room(self, max_tokens: int) -> int:
        """Tokens of the longest prompt."""
        return self._context_tokens

    def count_tokens(self, rendered: Rendered) -> int:
        """Tokens of a prompt with end of sequence."""
        return len(self._vocabulary.encode(rendered.text)) + 1

    def count_answer(self, text: str) -> int:
        """Tokens of an answer with end of sequence."""
        return len(self._vocabulary.encode(text)) + 1

    def key(self, query: Query) -> str:
        """A hash of model, prompt and limit."""
        asked = {"model": self._identity, "text": query.rendered.text, "max": query.max_tokens}
        return fingerprint(asked)

    def ask(self, queries: Sequence[Query], store: ReplyStore) -> Iterator[tuple[int, Reply]]:
        """Decode greedily; T5 ends by itself, so that no stop text is needed."""
        requests = [self._request(number, query) for number, query in enumerate(queries)]
        limit = max(query.max_tokens for query in queries)
        with Progress(f"ask {self.name}", len(requests), unit="prompts") as progress:
            for number, found in self._predictor.generate(requests, max_target_tokens=limit):
                reply = Reply(
                    found.text,
                    prompt_tokens=queries[number].tokens,
                    completion_tokens=found.n_tokens,
                    at_limit=found.at_limit,
                )
                store.add(self.key(queries[number]), reply)
                progress.advance()
                yield number, reply

    def close(self) -> None:
        """Nothing is under way between two replies."""

    def _request(self, number: int, query: Query) -> Request:
        text = query.rendered.text
        tokens = [*self._vocabulary.encode(text), self._vocabulary.eos_id]
        return Request(str(number), text, np.array(tokens, np.int32))


def local_directory(source: str | os.PathLike) -> str:
    """A model's directory; an id of the hub is fetched into Hugging Face's cache.

    Raises:
      UserError: there is no such directory, and it is no id, or cannot be fetched.
    """
    source = os.fspath(source)
    if epath.Path(source).exists():
        return source
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise UserError(f"--model {source}: no such directory; name a directory or hub id")
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError:
        raise UserError(
            f"--model {source} is not on this machine; fetching it takes huggingface_hub:"
            " pip install 'clinical_t5x[baselines]'"
        ) from None
    try:
        return snapshot_download(
            source, allow_patterns=["*.json", _SPIECE, "*.safetensors", "*.bin"]
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"--model {source}: no such directory, and it cannot be fetched from the hub"
            f" ({type(error).__name__}); name a directory"
        ) from error


def _vocabulary_file(directory: str) -> str:
    for place in (epath.Path(directory), epath.Path(directory).parent):
        if (place / _SPIECE).exists():
            return os.fspath(place / _SPIECE)
    raise UserError(f"{directory} has no {_SPIECE}: prompts need the model's own vocabulary")


def _usual_dtype() -> str:
    import jax

    return "float32" if jax.default_backend() == "cpu" else "bfloat16"


def _predictor(
    directory: str, vocabulary: Any, batch_size: int, num_partitions: int, dtype: str
) -> ModelPredictor:
    """The checkpoint as our own network, its parameters placed on the devices."""
    from clinical_t5x.interop.recognise import open_checkpoint
    from clinical_t5x.interop.source import CheckpointError
    from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
    from clinical_t5x.models.network import Transformer
    from clinical_t5x.partitioning import PjitPartitioner
    from clinical_t5x.training import adapters, imported
    from clinical_t5x.training.optimizer import Adafactor

    try:
        source = open_checkpoint(directory)
        layers = max(source.config.num_encoder_layers, source.config.num_decoder_layers)
        config = dataclasses.replace(
            source.config, scan_layers=layers >= _SCANNED_FROM, dtype=dtype, dropout_rate=0.0
        )
        model = EncoderDecoderModel(Transformer(config), vocabulary, vocabulary, Adafactor())
        partitioner = PjitPartitioner(num_partitions=num_partitions)
        plain = adapters.base(model)
        imported.refuse_other_network(source, plain.config)
        params = imported.place(source, plain, partitioner)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    return ModelPredictor(model, params, batch_size=batch_size, partitioner=partitioner)
