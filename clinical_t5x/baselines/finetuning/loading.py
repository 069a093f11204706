"""Models and tokenizers of Hugging Face, from a directory or by id, with the head of a benchmark.

torch and transformers are imported here, inside functions, and nowhere before.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clinical_t5x.baselines.finetuning.problems import CLASSES, LABELS, SPANS, Problem
from clinical_t5x.baselines.finetuning.texts import TextEncoder
from clinical_t5x.console import UserError
from clinical_t5x.storage import fingerprint, sha256_file

# Sequence-to-sequence models that are fine-tuned as text to text: not here.
_TEXT_TO_TEXT = ("t5", "mt5", "umt5", "longt5", "bart", "mbart", "pegasus")
# Files of a model's directory, as their names end. What the configuration says is known by itself.
_WEIGHTS = (".safetensors", ".bin", ".index.json")
_OF_TOKENIZERS = (".json", ".txt", ".model", ".codes")
_RESERVED_POSITIONS = {"roberta": 2, "longformer": 2, "xlm-roberta": 2, "camembert": 2}


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A pre-trained model that was found, before its weights are read.

    Attributes:
      source: directory or Hugging Face id.
      config: Hugging Face's configuration.
      tokenizer: its tokenizer; with a token for padding.
    """

    source: str
    config: Any
    tokenizer: Any

    @property
    def family(self) -> str:
        """Hugging Face's model_type."""
        return self.config.model_type

    @property
    def is_decoder(self) -> bool:
        """Whether its tokens see only those before them: a family of causal models alone."""
        from transformers.models.auto import modeling_auto

        return (
            self.family in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
            and self.family not in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
            and not self.config.is_encoder_decoder
        )

    @property
    def positions(self) -> int:
        """Tokens of its longest input."""
        found = getattr(self.config, "max_position_embeddings", None)
        found = (
            found or getattr(self.config, "n_positions", None) or self.tokenizer.model_max_length
        )
        found -= _RESERVED_POSITIONS.get(self.family, 0)
        return int(min(found, self.tokenizer.model_max_length))

    @functools.cached_property  # weights can have gigabytes
    def content(self) -> dict[str, str]:
        """Fingerprints of the weights and tokenizer in a directory; an id of the hub has none."""
        if not os.path.isdir(self.source):
            return {}
        weights, others = {}, {}
        for path in sorted(filter(Path.is_file, Path(self.source).iterdir())):
            if path.name.endswith(_WEIGHTS):
                weights[path.name] = sha256_file(path)
            elif path.name.endswith(_OF_TOKENIZERS) and path.name != "config.json":
                others[path.name] = sha256_file(path)
        return {"weights": fingerprint(weights), "tokenizer": fingerprint(others)}

    def encoder(self, max_tokens: int) -> TextEncoder:
        """Its reader of texts, of at most so many tokens, and never more than it has positions."""
        return TextEncoder(self.tokenizer, min(max_tokens, self.positions), self.is_decoder)


def require_torch() -> Any:
    """The module torch.

    Raises:
      UserError: torch or transformers is not installed.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # sums in a fixed order
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed; encoders and decoders are fine-tuned with PyTorch and"
            " Hugging Face: pip install 'clinical_t5x[baselines]'"
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch


def check_source(source: str) -> None:
    """Raise where a name can be neither a model's directory nor an id, without loading anything."""
    is_id = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source) and not source.startswith((".", "/"))
    if os.path.isdir(source):
        if not (Path(source) / "config.json").exists():
            raise UserError(
                f"{source} has no config.json; --model takes a Hugging Face directory or id"
            )
    elif not is_id:
        raise UserError(
            f"--model {source}: no such directory; --model takes a Hugging Face directory or id"
        )


def find_pretrained(source: str | os.PathLike) -> Pretrained:
    """Read the configuration and tokenizer of a model.

    Args:
      source: a directory in Hugging Face's format, or an id of the hub.

    Raises:
      UserError: there is no such model, or it is not one for this way of fine-tuning.
    """
    require_torch()
    import transformers

    source = os.fspath(source)
    if os.path.isdir(source) and not (Path(source) / "config.json").exists():
        raise UserError(
            f"{source} has no config.json; --model takes a Hugging Face directory or id"
        )
    try:
        config = transformers.AutoConfig.from_pretrained(source)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise UserError(
            f"--model {source}: no model could be read ({_first_line(error)}); name a directory"
            " with config.json, tokenizer and weights, or a Hugging Face id that this machine can"
            " reach"
        ) from error
    if config.model_type in _TEXT_TO_TEXT:
        raise UserError(
            f"{source} is a {config.model_type} model, fine-tuned as text to text by this project's"
            " own trainer; clinical-t5x models shows the commands"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {source} has neither a padding nor an end token")
    return Pretrained(source, config, tokenizer)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def model_with_head(
    pretrained: Pretrained, problem: Problem, *, seed: int, recompute: bool = False
) -> Any:
    """The model in float32, with a head for the problem: a fresh one unless the weights have it.

    Args:
      pretrained: as found.
      problem: the benchmark.
      seed: of a fresh head.
      recompute: gradient checkpointing.
    """
    torch = require_torch()
    torch.manual_seed(seed)
    classes, options = _class_of_head(pretrained, problem)
    options |= {"num_labels": problem.classes, "dtype": torch.float32}
    kinds = {CLASSES: "single_label_classification", LABELS: "multi_label_classification"}
    if problem.head in kinds:
        options["problem_type"] = kinds[problem.head]
    options["pad_token_id"] = pretrained.tokenizer.pad_token_id
    try:
        model, info = classes.from_pretrained(
            pretrained.source, output_loading_info=True, **options
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"the weights of {pretrained.source} could not be read ({_first_line(error)})"
        ) from error
    _refuse_random_layers(pretrained.source, model, info["missing_keys"])
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.config.use_cache = False
    return model


def _refuse_random_layers(source: str, model: Any, missing: Iterable[str]) -> None:
    """Raise where more than the head (and BERT's pooler, part of it) is not in the weights."""
    inner = f"{model.base_model_prefix}."
    lost = sorted(k for k in missing if k.startswith(inner) and ".pooler." not in k)
    if lost:
        raise UserError(
            f"{source} lacks {len(lost)} arrays of {type(model).__name__}, such as {lost[0]}: its"
            " weights are of another architecture than its config.json says, or not whole"
        )


def _class_of_head(pretrained: Pretrained, problem: Problem) -> tuple[Any, dict[str, Any]]:
    """Hugging Face's class for a head, and what else it needs to be told.

    An encoder-decoder such as T5Gemma is used by its encoder alone. Where a family has no head for
    spans, the two outputs of one that classifies tokens are their starts and ends. That is also
    taken for decoders: Hugging Face's Llama with a head for spans names its layers otherwise than
    the pre-trained one, and would begin from random weights (transformers 5.23).
    """
    import transformers
    from transformers.models.auto import modeling_auto

    options = {"is_encoder_decoder": False} if pretrained.config.is_encoder_decoder else {}
    if problem.head != SPANS:
        return transformers.AutoModelForSequenceClassification, options
    known = modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES
    if pretrained.family in known and not pretrained.is_decoder:
        return transformers.AutoModelForQuestionAnswering, options
    return transformers.AutoModelForTokenClassification, options


def head_outputs(model_output: Any, head: str) -> tuple[Any, ...]:
    """What a head gives: (class logits [B, C],), or for spans (start, end) logits [B, L]."""
    if head != SPANS:
        return (model_output.logits,)
    if hasattr(model_output, "start_logits"):
        return model_output.start_logits, model_output.end_logits
    return model_output.logits[..., 0], model_output.logits[..., 1]


def parameter_count(model: Any) -> int:
    """All parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
