"""Unigram entropy of the content tokens of held-out targets."""

import json
import types

import numpy as np
import pytest

from clinical_t5x.evaluation.entropy import (
    count_content_tokens,
    held_out_unigram_entropy,
    record_unigram_entropy,
    unigram_entropy,
)


def test_uniform_counts_have_the_entropy_of_their_number():
    assert unigram_entropy(np.full(50, 7)) == pytest.approx(np.log(50))
    assert unigram_entropy(np.array([0, 9, 0])) == 0.0
    assert unigram_entropy(np.zeros(4)) == 0.0


def test_sentinels_ends_and_padding_are_left_out():
    batches = [
        {"decoder_target_tokens": np.array([[9, 3, 3, 8, 4, 1], [9, 4, 1, 0, 0, 0]])},
        {"decoder_target_tokens": np.array([[3, 4, 4, 9, 8, 1]])},
    ]
    entropy, count = held_out_unigram_entropy(batches, vocab_size=10, left_out=[1, 8, 9])
    assert count == 7
    shares = np.array([3, 4]) / 7
    assert entropy == pytest.approx(-(shares * np.log(shares)).sum())


def test_it_is_the_lowest_loss_of_any_unigram_model():
    rng = np.random.default_rng(0)
    tokens = rng.zipf(1.5, size=5000) % 40
    counts = count_content_tokens([tokens], vocab_size=40, left_out=[0])
    model = rng.dirichlet(np.ones(40))
    loss = -(counts * np.log(model)).sum() / counts.sum()
    assert unigram_entropy(counts) < loss


def test_record_is_written_beside_the_metrics(tmp_path):
    vocabulary = types.SimpleNamespace(vocab_size=10, extra_ids=2, eos_id=1)
    batches = [{"decoder_target_tokens": np.array([[9, 3, 3, 8, 4, 1, 0]])}]
    entropy = record_unigram_entropy(tmp_path, batches, vocabulary=vocabulary, split="eval/notes")
    assert json.loads((tmp_path / "unigram_entropy.json").read_text()) == {
        "unigram_entropy": entropy,
        "content_tokens": 3,
        "split": "eval/notes",
    }
