"""What to type for a row: the same lines for all models of a kind."""

from __future__ import annotations

from pathlib import PurePosixPath


def own_t5(key: str, directory: str, network: str) -> str:
    """A T5 with its own vocabulary, fine-tuned by this project's trainer.

    Args:
      key: The row's.
      directory: Stands for the downloaded directory.
      network: gin file of its size.
    """
    return "\n".join(
        [
            f"python -m clinical_t5x.vocabulary extend {directory}/spiece.model --name clinical",
            f"python -m clinical_t5x.convert {directory} runs/{key} --to native"
            " --extend_vocabulary clinical",
            _scored(key, f"runs/{key}", network),
        ]
    )


def tagged_t5(key: str, directory: str, network: str) -> str:
    """A T5 whose checkpoint has rows for the 15 tags already: only its vocabulary lacks them."""
    return "\n".join(
        [
            f"python -m clinical_t5x.vocabulary extend {directory}/spiece.model --name clinical",
            _scored(key, directory, network),
        ]
    )


def pretrained_here(key: str, recipe: str, network: str) -> str:
    """A Clinical-T5: pre-trained by a recipe of this project, then fine-tuned."""
    return "\n".join(
        [
            f"python -m t5x.train --gin_file={recipe}",
            _scored(key, f"runs/{PurePosixPath(recipe).stem}", network),
        ]
    )


def _scored(key: str, checkpoint: str, network: str) -> str:
    """Fine-tuned with the paper's recipe on the three benchmarks, three seeds each."""
    return (
        f"python -m clinical_t5x.grid --out runs/grid_{key} --preset paper --fractions 1"
        f" --model_gin {network} --model {key}={checkpoint}"
    )


def fine_tuned(key: str, model: str, preset: str) -> str:
    """An encoder or decoder of Hugging Face."""
    return (
        f"python -m clinical_t5x.finetune --model {model} --task mednli --preset {preset}"
        f" --registry_row {key} --out runs/{key}_mednli"
    )


def prompted(key: str, flags: str) -> str:
    """A model that is asked, with examples in the prompt."""
    return (
        f"python -m clinical_t5x.prompt {flags} --task mednli --registry_row {key}"
        f" --out runs/{key}_mednli"
    )
