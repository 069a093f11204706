"""Pairs of a transformers T5 and ours with the same random weights."""

import dataclasses
import types

import jax
import numpy as np
import pytest
from flax import nnx

from clinical_t5x.interop import huggingface
from clinical_t5x.models import initial
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer

MLPS = {"1.0": ("relu",), "1.1": ("gelu", "linear")}


@dataclasses.dataclass
class Pair:
    theirs: object
    ours: EncoderDecoderModel
    params: dict


def vocabulary(size=384, extra_ids=8):
    return types.SimpleNamespace(vocab_size=size, extra_ids=extra_ids, eos_id=1)


def random_weights(config: T5Config, seed: int, *, lively: bool) -> dict[str, np.ndarray]:
    """Weights in Hugging Face's layout: every array has its own random numbers, the norms too.

    As initialised, a T5 repeats its last token for ever. In lively weights small embeddings and
    large kernels make the layers decide, and a large output row for end-of-sequence ends sequences
    at varied lengths. Such a network multiplies rounding errors (in PyTorch alike), so that
    comparisons of numbers take weights of the usual size.
    """
    rng = np.random.default_rng(seed)
    tied = config.logits_via_embedding
    small, kernel, end = (0.1, 2.0, 5.0 if tied else 3.0) if lively else (1.0, 1.0, 1.0)
    weights = {}
    for name, shape in huggingface.hf_shapes(config).items():
        array = rng.standard_normal(shape)
        if name == "shared.weight":
            array *= small
        elif "relative_attention_bias" in name:
            array *= 0.5
        elif "norm" in name:
            array = 1.0 + 0.1 * array
        elif name != "lm_head.weight":
            array *= kernel / np.sqrt(shape[1])
            if ".q." in name:
                array /= np.sqrt(config.head_dim)
        else:
            array /= np.sqrt(shape[1])
        weights[name] = array
    weights["shared.weight" if tied else "lm_head.weight"][1] *= end
    weights["decoder.final_layer_norm.weight"] *= 2.0
    if tied:
        weights["decoder.final_layer_norm.weight"] /= small
    return {name: np.float32(array) for name, array in weights.items()}


def make_pair(version: str, *, lively: bool = False, **sizes) -> Pair:
    import torch
    import transformers

    sizes = {
        "vocab_size": 384,
        "emb_dim": 64,
        "num_heads": 4,
        "head_dim": 16,
        "mlp_dim": 128,
        "num_encoder_layers": 2,
        "num_decoder_layers": 2,
    } | sizes
    tied = version == "1.0"
    config = T5Config(mlp_activations=MLPS[version], logits_via_embedding=tied, **sizes)
    theirs = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=config.vocab_size,
            d_model=config.emb_dim,
            d_kv=config.head_dim,
            d_ff=config.mlp_dim,
            num_heads=config.num_heads,
            num_layers=config.num_encoder_layers,
            num_decoder_layers=config.num_decoder_layers,
            feed_forward_proj="relu" if tied else "gated-gelu",
            tie_word_embeddings=tied,
            decoder_start_token_id=0,
        )
    ).eval()
    if not tied:
        theirs.lm_head = torch.nn.Linear(config.emb_dim, config.vocab_size, bias=False)
    weights = random_weights(config, seed=4, lively=lively)
    theirs_own = dict(theirs.named_parameters())
    assert set(theirs_own) == set(weights)
    with torch.no_grad():
        for name, array in weights.items():
            theirs_own[name].copy_(torch.from_numpy(array))
    ours = EncoderDecoderModel(Transformer(config), vocabulary(), vocabulary())
    return Pair(theirs, ours, huggingface.to_params(weights, config))


@pytest.fixture(scope="session")
def pairs():
    """A function that makes, or finds again, the pair of a version and sizes."""
    made = {}

    def find(version, **sizes):
        key = (version, *sorted(sizes.items()))
        if key not in made:
            made[key] = make_pair(version, **sizes)
        return made[key]

    return find


def random_batch(seed, batch_size, inputs, targets, vocab_size=384):
    """A batch whose rows have different lengths, padded, with end-of-sequence."""
    rng = np.random.default_rng(seed)

    def rows(length):
        tokens = rng.integers(2, vocab_size, (batch_size, length))
        lengths = rng.integers(max(2, length // 3), length + 1, batch_size)
        lengths[0] = length
        tokens[np.arange(batch_size), lengths - 1] = 1
        return np.where(np.arange(length) < lengths[:, None], tokens, 0).astype(np.int32)

    encoder, target = rows(inputs), rows(targets)
    return {
        "encoder_input_tokens": encoder,
        "decoder_target_tokens": target,
        "decoder_input_tokens": np.pad(target[:, :-1], ((0, 0), (1, 0))),
        "decoder_loss_weights": (target > 0).astype(np.int32),
    }


@pytest.fixture(scope="session")
def batches():
    return random_batch


@pytest.fixture(scope="session")
def drawn():
    """A function that gives a module, which is not part of a network, its first numbers."""

    def fill(module, seed=0):
        graph, state = nnx.split(module)
        declared = {
            path: initial.Declared(variable.initial, variable.shape, stacked=False)
            for path, variable in nnx.to_flat_state(state)
        }
        values = initial.draw(jax.random.key(seed), declared)
        return nnx.merge(graph, nnx.traversals.unflatten_mapping(values))

    return fill
