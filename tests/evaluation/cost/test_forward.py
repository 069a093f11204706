"""Operations counted from sizes, against the graphs of tiny models of transformers and of ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clinical_t5x.evaluation.cost.config_file import sizes_of_config
from clinical_t5x.evaluation.cost.forward import (
    forward_flops,
    generation_flops,
    training_flops_exact,
)
from clinical_t5x.evaluation.cost.known_sizes import known_sizes
from clinical_t5x.evaluation.cost.sizes import ModelSizes, Stack
from clinical_t5x.evaluation.registry import MODELS
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.flops import step_flops

TARGETS, GLOBALS, WRITTEN = 13, 3, 5
FAMILIES = (
    "bert",
    "roberta",
    "megatron-bert",
    "modernbert",
    "longformer",
    "gpt2",
    "llama",
    "qwen3",
    "t5",
    "t5 1.1",
    "t5gemma",
)
WRITING = ("gpt2", "llama", "qwen3", "t5", "t5 1.1")


@pytest.fixture(scope="module")
def graphs():
    """What PyTorch counted, by family."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    program = Path(__file__).parent / "counted_by_torch.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_product_with_weights_is_counted(graphs, family):
    graph = graphs[family]
    flops = forward_flops(sizes_of_config(graph["config"]), graph["length"], targets_length=TARGETS)
    assert flops.matrices + flops.output == graph["forward"]["matrices"]


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "longformer"])
def test_every_product_of_activations_is_counted(graphs, family):
    graph = graphs[family]
    sizes = sizes_of_config(graph["config"])
    flops = forward_flops(sizes, graph["length"], targets_length=TARGETS)
    assert flops.attention == graph["forward"]["attention"]
    trained = training_flops_exact(sizes, graph["length"], targets_length=TARGETS)
    assert trained.total == graph["training"]


def test_a_longformers_window_is_counted_and_its_code_computes_more(graphs):
    graph = graphs["longformer"]
    length, width, layers, side = graph["length"], 24, 3, 4
    flops = forward_flops(sizes_of_config(graph["config"]), length)
    assert flops.attention == layers * 2 * (2 * length * width * (2 * side + 1))
    # transformers cuts the sequence into overlapping chunks of two sides
    scores = (length // side - 1) * (2 * side) ** 2
    mixed = (length // side) * side * (3 * side)
    assert graph["forward"]["attention"] == layers * 2 * width * (scores + mixed)
    assert graph["forward"]["attention"] > flops.attention


def test_a_longformers_global_positions_are_counted(graphs):
    graph = graphs["longformer"]
    sizes = sizes_of_config(graph["config"])
    without = forward_flops(sizes, graph["length"])
    with_them = forward_flops(sizes, graph["length"], global_positions=GLOBALS)
    for kind in ("matrices", "attention"):
        more = graph["with_globals"][kind] - graph["forward"][kind]
        assert getattr(with_them, kind) - getattr(without, kind) == more


@pytest.mark.parametrize("family", WRITING)
def test_writing_with_kept_keys_is_counted(graphs, family):
    graph = graphs[family]
    flops = generation_flops(sizes_of_config(graph["config"]), graph["length"], WRITTEN)
    assert flops.total == graph["generated"]


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "t5 1.1"])
def test_numbers_in_matrices(graphs, family):
    """Not for T5 1.1: transformers 5 shares its embedding until it has been trained."""
    graph = graphs[family]
    assert sizes_of_config(graph["config"]).matrix_parameters == graph["matrix_parameters"]


@pytest.mark.parametrize("gated", [False, True])
def test_as_the_trainer_counts_our_own_t5(gated):
    config = T5Config(
        vocab_size=97,
        emb_dim=24,
        num_heads=5,
        head_dim=7,
        mlp_dim=40,
        num_encoder_layers=2,
        num_decoder_layers=3,
        mlp_activations=("gelu", "linear") if gated else ("relu",),
    )
    sizes = sizes_of_config(
        {
            "model_type": "t5",
            "vocab_size": 97,
            "d_model": 24,
            "num_heads": 5,
            "d_kv": 7,
            "d_ff": 40,
            "num_layers": 2,
            "num_decoder_layers": 3,
            "feed_forward_proj": "gated-gelu" if gated else "relu",
        }
    )
    step = step_flops(config, batch_size=1, inputs_length=21, targets_length=13)
    assert forward_flops(sizes, 21, targets_length=13).total == step.forward
    assert training_flops_exact(sizes, 21, targets_length=13).total == step.model


def test_local_layers_look_at_their_window_alone():
    def attention(length, *, window, local_layers):
        stack = Stack(6, 24, 4, 4, 6, 40, window=window, local_layers=local_layers)
        return forward_flops(ModelSizes(stack, None, 97, (24,)), length).attention

    each_key = 2 * 2 * 24  # two products, heads * head_dim
    assert attention(100, window=9, local_layers=4) == each_key * 100 * (4 * 9 + 2 * 100)
    assert attention(100, window=None, local_layers=0) == each_key * 100 * 6 * 100
    # a window that holds the sequence is none
    assert attention(8, window=9, local_layers=4) == each_key * 8 * 6 * 8


def test_modernbert_is_local_in_two_layers_of_three():
    stack = known_sizes("bioclinical_modernbert").encoder
    assert (stack.layers, stack.local_layers, stack.window) == (28, 18, 129)


def test_an_encoder_writes_nothing():
    with pytest.raises(ValueError, match="encoder"):
        generation_flops(known_sizes("gatortron"), 10, 1)


@pytest.mark.parametrize("key", MODELS)
def test_sizes_of_rows_make_the_parameters_that_their_pages_round(key):
    """The paper rounds by up to 5 %; biases, norms and positions are not in matrices."""
    counted = known_sizes(key).matrix_parameters
    assert counted == pytest.approx(MODELS[key].parameters, rel=0.055)


@pytest.mark.parametrize(
    ("key", "parameters", "layers", "width", "heads"),
    [("t5_base", 222_903_552, 12, 768, 12), ("t5_xl", 2_851_598_336, 24, 1024, 32)],
)
def test_t5_has_the_parameters_that_its_gin_file_states(key, parameters, layers, width, heads):
    norms = (2 * layers + 3 * layers + 2) * width
    position_biases = 2 * 32 * heads
    assert known_sizes(key).matrix_parameters + norms + position_biases == parameters
