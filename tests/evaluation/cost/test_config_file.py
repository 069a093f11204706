"""Sizes read from a Hugging Face configuration."""

import json

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.cost.config_file import read_sizes, sizes_of_config

QWEN = {
    "model_type": "qwen2",
    "num_hidden_layers": 4,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 100,
    "sliding_window": 16,
    "use_sliding_window": False,
}


def test_a_directory_and_its_file_are_the_same(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(QWEN))
    assert read_sizes(tmp_path) == read_sizes(file) == sizes_of_config(QWEN)


def test_a_window_that_is_switched_off_is_none():
    stack = sizes_of_config(QWEN).decoder
    assert (stack.window, stack.local_layers, stack.kv_heads, stack.head_dim) == (None, 0, 2, 8)
    used = sizes_of_config({**QWEN, "use_sliding_window": True}).decoder
    assert (used.window, used.local_layers) == (16, 4)
    types = ["full_attention", "sliding_attention"] * 2
    some = sizes_of_config({**QWEN, "use_sliding_window": True, "layer_types": types}).decoder
    assert (some.window, some.local_layers) == (16, 2)


def test_old_and_new_configurations_of_modernbert_agree():
    old = {
        "model_type": "modernbert",
        "num_hidden_layers": 4,
        "hidden_size": 32,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": 100,
        "local_attention": 8,
        "global_attn_every_n_layers": 3,
    }
    kinds = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
    assert sizes_of_config(old) == sizes_of_config({**old, "layer_types": kinds})
    assert sizes_of_config(old).encoder.local_layers == 2


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_sizes(tmp_path)
    file = tmp_path / "config.json"
    for text, message in [
        ("{", "is not JSON"),
        ("[]", "not a Hugging Face configuration"),
        ('{"model_type": "mamba"}', "'mamba' cannot be counted; known are bert, gpt2"),
        ('{"model_type": "gpt2"}', "does not say n_embd"),
    ]:
        file.write_text(text)
        with pytest.raises(UserError, match=message):
            read_sizes(tmp_path)
