"""`make_tiny`: one tiny random model in the real format of a row or family."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clinical_t5x.baselines.finetuning.loading import parameter_count, require_torch
from clinical_t5x.baselines.tiny import networks, tokenizers
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.registry import MODELS
from clinical_t5x.evaluation.registry.row import ENDPOINT, IN_CONTEXT
from clinical_t5x.storage import whole_directory

FAMILIES = tuple(tokenizers.WRITERS)
_PIECES = 1000  # of a vocabulary
_T5_ROWS = 4096  # of the embedding: as gin/models/tiny.gin
_OF_ENDPOINTS = "gpt2"  # what stands in for a model that only a server has

# Rows that are known to be published as PyTorch's files; the others as safetensors.
_AS_PYTORCH = (
    "clinicalbert", "clinical_longformer", "bioclinroberta", "gatortron", "pubmedgpt", "scifive",
    "scifive_large", "clinical_t5_base", "clinical_t5_base_ckpt", "clinical_t5_large",
)  # fmt: skip
_SAFETENSORS, _PYTORCH = "model.safetensors", "pytorch_model.bin"


@dataclasses.dataclass(frozen=True)
class TinyModel:
    """What was made.

    Attributes:
      family: Hugging Face's model_type.
      row: key of the registry's row; None for a family alone.
      parameters: of the model.
      tokens: of its vocabulary.
      weights: name of the file of weights.
    """

    family: str
    row: str | None
    parameters: int
    tokens: int
    weights: str

    def next_command(self, directory: str | os.PathLike) -> str:
        """A command that uses it."""
        row = f" --registry_row {self.row}" if self.row else ""
        if self.row is not None and MODELS[self.row].use == IN_CONTEXT:
            flag = "--model" if self.family == "t5" else "--causal_model"
            return f"python -m clinical_t5x.prompt {flag} {directory} --task mednli --out RUN{row}"
        if self.family == "t5":
            return (
                "python -m clinical_t5x.grid --out RUNS --tasks mednli --preset laptop"
                f" --model {self.row or 't5'}={directory}"
            )
        return (
            f"python -m clinical_t5x.finetune --model {directory} --task mednli --preset laptop"
            f" --out RUN{row}"
        )


def make_tiny(
    row_or_family: str,
    directory: str | os.PathLike,
    *,
    seed: int,
    texts: Sequence[str],
    spiece: bytes | None = None,
    overwrite: bool = False,
) -> TinyModel:
    """Write a tiny random model as the real one is published.

    Args:
      row_or_family: a key of the registry ("roberta_large") or a family ("roberta").
      directory: is made; it appears when it is whole.
      seed: of the weights.
      texts: what the vocabulary is learnt from; it will show words of them.
      spiece: for T5, a SentencePiece model to take instead, such as the data home's own, so that
        this project's tasks and trainer take the model as it is.
      overwrite: replace what is there.

    Raises:
      UserError: no such row or family, or the directory exists.
    """
    family, row = family_of(row_or_family)
    torch = require_torch()
    try:
        with whole_directory(directory, overwrite=overwrite) as partial:
            place = Path(os.fspath(partial))
            if family == "t5" and spiece is not None:
                tokenizers.write_sentencepiece_model(place, spiece)
            else:
                tokenizers.WRITERS[family](place, texts, _PIECES)
            torch.manual_seed(seed)
            model, tokens = _network(family, row, place)
            weights = _PYTORCH if row in _AS_PYTORCH else _SAFETENSORS
            _write_weights(model, place, weights)
    except FileExistsError:
        raise UserError(f"{directory} exists; choose another --out") from None
    return TinyModel(family, row, parameter_count(model), tokens, weights)


def family_of(row_or_family: str) -> tuple[str, str | None]:
    """The family and, where one was named, the key of the row.

    Raises:
      UserError: there is no such row or family, or no tiny form of it.
    """
    if row_or_family in FAMILIES:
        return row_or_family, None
    row = MODELS.get(row_or_family)
    if row is None:
        near = difflib.get_close_matches(row_or_family, [*MODELS, *FAMILIES], n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(MODELS)}"
        raise UserError(f"no model {row_or_family!r} in the registry, and no such family; {advice}")
    family = _OF_ENDPOINTS if row.family == ENDPOINT else row.family
    if family not in FAMILIES:
        raise UserError(f"{row.key} is of the family {family}, which has no tiny form yet")
    return family, row.key


def _network(family: str, row: str | None, directory: Path) -> tuple[Any, int]:
    """A random model, as it was pre-trained, and the number of its vocabulary's tokens."""
    import transformers

    if family == "t5":
        tokens = len(transformers.AutoTokenizer.from_pretrained(directory))
        gated = row is not None and MODELS[row].use == IN_CONTEXT
        size = max(tokens, _T5_ROWS)
        return transformers.T5ForConditionalGeneration(networks.t5(size, gated=gated)), tokens
    # a tokenizer is found by the family that a configuration names
    (directory / "config.json").write_text(f'{{"model_type": "{family}"}}\n')
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    config = networks.CONFIGURATIONS[family](len(tokenizer), tokenizer)
    kinds = {
        "gpt2": transformers.AutoModelForCausalLM,
        "llama": transformers.AutoModelForCausalLM,
        "qwen3": transformers.AutoModelForCausalLM,
        "t5gemma": transformers.AutoModelForSeq2SeqLM,
    }
    kind = kinds.get(family, transformers.AutoModelForMaskedLM)
    return kind.from_config(config), len(tokenizer)


def _write_weights(model: Any, directory: Path, name: str) -> None:
    """config.json and the weights, in the kind of file that the real model has."""
    import torch

    model.save_pretrained(directory)
    if name == _PYTORCH:
        (directory / _SAFETENSORS).unlink()
        torch.save(model.state_dict(), directory / _PYTORCH)
