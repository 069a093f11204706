"""The README of an exported model: what it is, what it saw, who may have it.

Everything is filled from what the checkpoint and the manifests say; what they do not say is left
out. No text of notes gets here: manifests hold names and counts only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from clinical_t5x.models.config import T5Config

_LICENCE_URL = "https://physionet.org/content/clinical-t5/1.0.0/"

_CREDENTIALED = f"""\
**Do not publish these weights.** A language model can give back pieces of the text that it was
trained on. Weights that were trained on credentialed PhysioNet data (MIMIC-III, MIMIC-IV-Note and
what was made from them) may be shared only through PhysioNet, with people who have signed the
data-use agreement of that data, as [Clinical-T5]({_LICENCE_URL}) is. To upload
them to a public hub, or to send them to somebody without that agreement, breaks it. This file
cannot tell what these weights have seen: unless you know that it was no credentialed data, treat
them so."""

_SYNTHETIC = """\
The corpus of this data home is **synthetic**: made-up notes, no patient's. If the model has seen
nothing else it is of no use beyond trying the program, and falls under no data-use agreement. A
model that has also seen credentialed PhysioNet data may be shared only through PhysioNet, under its
data-use agreement."""


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What is known of a model's making; None where nothing is.

    Attributes:
      name: what the model is called.
      written_by: program and version.
      converted_from: the layout of the checkpoint.
      step: updates that the parameters have seen.
      position: the JSON that our checkpoints keep.
      task: the SeqIO task or mixture of the run.
      vocabulary: the vocabulary's manifest.
      corpus: the corpus' manifest.
    """

    name: str
    written_by: str
    converted_from: str
    step: int | None = None
    position: Mapping[str, Any] | None = None
    task: str | None = None
    vocabulary: Mapping[str, Any] | None = None
    corpus: Mapping[str, Any] | None = None

    @property
    def is_synthetic(self) -> bool:
        """Whether every manifest at hand says that its data is synthetic, and one does."""
        manifests = [one for one in (self.vocabulary, self.corpus) if one is not None]
        return bool(manifests) and all(one.get("synthetic") is True for one in manifests)


def model_card(
    config: T5Config, parameters: int, dtype: str, has_tokenizer: bool, provenance: Provenance
) -> bytes:
    """The card as Markdown, in UTF-8.

    Args:
      config: the network's.
      parameters: their number.
      dtype: of the stored weights.
      has_tokenizer: whether tokenizer files lie beside.
      provenance: what is known of its making.
    """
    parts = [
        _front_matter(provenance),
        f"# {_one_line(provenance.name)}",
        f"A T5 encoder-decoder with {parameters:,} parameters, written by {provenance.written_by} "
        f"from a checkpoint in the layout of: {_one_line(provenance.converted_from)}.",
        "## Licence",
        _SYNTHETIC if provenance.is_synthetic else _CREDENTIALED,
        "## Use",
        _use(has_tokenizer),
        "## Network",
        _table(_network(config, parameters, dtype)),
        "## Training",
        _table(_training(provenance)) or "Nothing was recorded with the checkpoint.",
        "## Limits",
        "A research artefact. Its output has not been checked by clinicians and must not be used "
        "for decisions about patients.",
    ]
    return ("\n\n".join(parts) + "\n").encode()


def _front_matter(provenance: Provenance) -> str:
    synthetic = provenance.is_synthetic
    lines = [
        "---",
        "language: en",
        "library_name: transformers",
        "pipeline_tag: text2text-generation",
        "license: other",
        f"license_name: {'synthetic-data' if synthetic else 'physionet-credentialed-data'}",
        *([] if synthetic else [f"license_link: {_LICENCE_URL}"]),
        "tags:",
        "- t5",
        "- clinical",
        "---",
    ]
    return "\n".join(lines)


def _use(has_tokenizer: bool) -> str:
    if not has_tokenizer:
        return (
            "This directory has no tokenizer: encode text with the vocabulary that the model was "
            "trained with.\n\n```python\nfrom transformers import T5ForConditionalGeneration\n\n"
            'model = T5ForConditionalGeneration.from_pretrained("THIS_DIRECTORY")\n```'
        )
    return (
        "```python\nfrom transformers import AutoTokenizer, T5ForConditionalGeneration\n\n"
        'tokenizer = AutoTokenizer.from_pretrained("THIS_DIRECTORY")\n'
        'model = T5ForConditionalGeneration.from_pretrained("THIS_DIRECTORY")\n'
        'inputs = tokenizer("The patient was <extra_id_0> home.", return_tensors="pt")\n'
        "print(tokenizer.decode(model.generate(**inputs)[0]))\n```"
    )


def _network(config: T5Config, parameters: int, dtype: str) -> dict[str, Any]:
    return {
        "parameters": f"{parameters:,}",
        "stored as": dtype,
        "encoder and decoder layers": f"{config.num_encoder_layers}, {config.num_decoder_layers}",
        "width": config.emb_dim,
        "heads": f"{config.num_heads} of {config.head_dim}",
        "MLP": f"{config.mlp_dim}, {' and '.join(config.mlp_activations)}",
        "embedding rows": f"{config.vocab_size:,}",
        "output": "tied to the embedding" if config.logits_via_embedding else "its own matrix",
    }


def _training(provenance: Provenance) -> dict[str, Any]:
    position = provenance.position or {}
    found: dict[str, Any] = {
        "updates": None if provenance.step is None else f"{provenance.step:,}",
        "task": provenance.task,
        "began from": position.get("initialisation"),
        "global batch size": position.get("global_batch_size"),
        "seed": position.get("seed"),
        "data order seed": position.get("data_seed"),
        "data manifest (SHA-256)": position.get("manifest_hash"),
    }
    vocabulary = provenance.vocabulary
    if vocabulary is not None:
        found |= {
            "vocabulary": vocabulary.get("name"),
            "pieces and sentinels": _join(vocabulary.get("pieces"), vocabulary.get("extra_ids")),
            "vocabulary (SHA-256)": vocabulary.get("content_sha256"),
        }
    corpus = provenance.corpus
    if corpus is not None:
        train = corpus.get("splits", {}).get("train", {})
        found |= {
            "corpus in the data home": corpus.get("name"),
            "documents and words in train": _join(train.get("documents"), train.get("words")),
            "corpus (SHA-256)": corpus.get("content_sha256"),
        }
    return {name: value for name, value in found.items() if value is not None}


def _join(*numbers: int | None) -> str | None:
    if any(not isinstance(number, int) for number in numbers):
        return None
    return ", ".join(f"{number:,}" for number in numbers)


def _table(rows: Mapping[str, Any]) -> str:
    if not rows:
        return ""
    lines = [f"| {name} | {_one_line(value)} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _one_line(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.split()).replace("|", "\\|")
