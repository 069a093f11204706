"""How many nats a token takes when nothing is known but how often each occurs.

A language model that has learned anything beyond word frequencies has a held-out loss below the
entropy of the same held-out tokens under their own unigram distribution. That distribution is
fitted on the very tokens it codes, so it is the lowest loss that any unigram model can have.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.data.vocabulary import sentinel_ids_of
from clinical_t5x.storage import write_json_atomically

ENTROPY_FILE = "unigram_entropy.json"


def count_content_tokens(
    batches: Iterable[np.ndarray], *, vocab_size: int, left_out: Sequence[int]
) -> np.ndarray:
    """How often each id occurs in the batches, int64 [vocab_size], the ids `left_out` at 0.

    Args:
      batches: target token ids of any shape.
      vocab_size: ids are below it.
      left_out: ids that are not content: padding, end-of-sequence, sentinels.
    """
    counts = np.zeros(vocab_size, dtype=np.int64)
    for tokens in batches:
        counts += np.bincount(np.asarray(tokens).ravel(), minlength=vocab_size)
    counts[np.asarray(left_out, dtype=np.int64)] = 0
    return counts


def unigram_entropy(counts: np.ndarray) -> float:
    """Entropy of the distribution with these counts, nats per token; 0 for no tokens at all."""
    counts = np.asarray(counts, dtype=np.float64)
    total = counts.sum()
    if total == 0:
        return 0.0
    shares = counts[counts > 0] / total
    return float(-(shares * np.log(shares)).sum())


def held_out_unigram_entropy(
    batches: Iterable[dict[str, np.ndarray]], *, vocab_size: int, left_out: Sequence[int]
) -> tuple[float, int]:
    """Unigram entropy of held-out target tokens (nats per token) and how many there are.

    Args:
      batches: training-format batches; read are `decoder_target_tokens`.
      vocab_size: of the vocabulary.
      left_out: sentinels and end-of-sequence; padding (0) is always left out.
    """

    def targets() -> Iterator[np.ndarray]:
        for batch in batches:
            yield batch["decoder_target_tokens"]

    counts = count_content_tokens(targets(), vocab_size=vocab_size, left_out=(0, *left_out))
    return unigram_entropy(counts), int(counts.sum())


def record_unigram_entropy(
    run_directory: str | os.PathLike,
    batches: Iterable[dict[str, np.ndarray]],
    *,
    vocabulary: Any,
    split: str,
) -> float:
    """Write the unigram entropy of a run's held-out targets where the report looks for it.

    Args:
      run_directory: MODEL_DIR of the pre-training run.
      batches: the very batches that its held-out loss is computed on.
      vocabulary: of the targets; ours, or one of SeqIO's.
      split: as in metrics.jsonl, such as "eval/mimic_pretrain_v1".

    Returns:
      The entropy, nats per content token.
    """
    entropy, tokens = held_out_unigram_entropy(
        batches,
        vocab_size=vocabulary.vocab_size,
        left_out=[vocabulary.eos_id, *sentinel_ids_of(vocabulary)],
    )
    write_json_atomically(
        epath.Path(run_directory) / ENTROPY_FILE,
        {"unigram_entropy": entropy, "content_tokens": tokens, "split": split},
    )
    return entropy
