"""Token ids mean the same to a model, to the data that it is fed, and to its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinical_t5x.console import UserError

POSITION = "vocabularies"  # where a checkpoint's position keeps the content hashes


def check_vocabularies(model: Any, found: Mapping[str, str], task_name: str) -> None:
    """Refuse to feed a model token ids of another vocabulary than its own.

    Args:
      model: Its `input_vocabulary` and `output_vocabulary`; None is not compared.
      found: Content hash of the vocabulary that 'inputs' and 'targets' were tokenised with.
      task_name: For the message.

    Raises:
      UserError: when they differ.
    """
    for feature, vocabulary in _others(model, found):
        raise UserError(
            f"the model's vocabulary ({vocabulary}) is not the one that the {feature} of "
            f"{task_name} are tokenised with: bind VOCABULARY in the model's gin file to the "
            "vocabulary of the task, or name a task that uses the model's"
        )


def refuse_other_vocabulary(path: Any, position: Mapping[str, Any], model: Any) -> None:
    """Refuse parameters that were trained on ids of another vocabulary than the model's.

    Args:
      path: The checkpoint, for the message.
      position: Its JSON; checkpoints from elsewhere do not say what they were trained with.
      model: As for `check_vocabularies`.

    Raises:
      UserError: when they differ.
    """
    for feature, vocabulary in _others(model, position.get(POSITION) or {}):
        raise UserError(
            f"{path} was trained with another vocabulary for its {feature} than the model has now "
            f"({vocabulary}): bind VOCABULARY to the one that it was trained with; for one with "
            "more tokens, python -m clinical_t5x.convert --extend_vocabulary makes a checkpoint"
        )


def _others(model: Any, found: Mapping[str, str]) -> list[tuple[str, str]]:
    """Features whose vocabulary of the model has another content, and what to call that one."""
    from clinical_t5x.data.materialise import describe_vocabulary

    pairs = {
        "inputs": getattr(model, "input_vocabulary", None),
        "targets": getattr(model, "output_vocabulary", None),
    }
    others = []
    for feature, vocabulary in pairs.items():
        if vocabulary is None or feature not in found:
            continue
        described = describe_vocabulary(vocabulary)
        if described["content_sha256"] != found[feature]:
            place = described["file"] or type(vocabulary).__name__
            others.append((feature, f"{place}, {vocabulary.vocab_size:,} ids"))
    return others
