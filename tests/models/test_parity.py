"""Our T5 against transformers', with the same random weights, in float32.

The yardstick is PyTorch itself: `python -m pytest -s` prints, beside each distance of ours, that of
transformers in float32 from transformers in float64.
"""

import copy

import jax
import numpy as np
import pytest
import torch

from clinical_t5x.interop import huggingface

TOLERANCE = 1e-5
SHAPES = [(3, 17, 9, 2), (2, 40, 33, 4)]


def distance(a, b):
    """Norm of the difference relative to the norm of b."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def run_theirs(model, batch):
    """Logits, mean loss per target token and gradients by Hugging Face's names."""
    inputs = torch.from_numpy(batch["encoder_input_tokens"]).long()
    targets = torch.from_numpy(batch["decoder_target_tokens"]).long()
    model.zero_grad()
    output = model(
        input_ids=inputs,
        attention_mask=(inputs > 0).long(),
        labels=targets.masked_fill(targets == 0, -100),
        decoder_input_ids=torch.from_numpy(batch["decoder_input_tokens"]).long(),
    )
    output.loss.backward()
    gradients = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
    return output.logits.detach().numpy(), output.loss.item(), gradients


def run_ours(pair, batch):
    def mean_loss(params):
        loss, sums = pair.ours.loss_fn(params, batch)
        return loss / sums["num_targets"]

    logits = jax.jit(pair.ours.logits)(pair.params, batch)
    loss, gradients = jax.jit(jax.value_and_grad(mean_loss))(pair.params)
    return logits, loss, huggingface.from_params(gradients, pair.ours.config)


def compare(pair, batch, gradient_tolerance):
    logits, loss, gradients = run_theirs(pair.theirs, batch)
    exact = run_theirs(copy.deepcopy(pair.theirs).double(), batch)
    our_logits, our_loss, our_gradients = run_ours(pair, batch)
    real = batch["decoder_target_tokens"] > 0

    found = distance(our_logits[real], logits[real])
    print(f"\nlogits {found:.1e} (PyTorch {distance(logits[real], exact[0][real]):.1e})", end="")
    print(f" loss {distance(our_loss, loss):.1e} (PyTorch {distance(loss, exact[1]):.1e})", end="")
    worst = max(gradients, key=lambda name: distance(our_gradients[name], gradients[name]))
    yardstick = max(distance(gradients[name], exact[2][name]) for name in gradients)
    worst_found = distance(our_gradients[worst], gradients[worst])
    print(f" gradients {worst_found:.1e} in {worst} (PyTorch {yardstick:.1e})")

    assert found < TOLERANCE
    assert distance(our_loss, loss) < TOLERANCE
    assert our_gradients.keys() == gradients.keys()
    assert worst_found < gradient_tolerance, worst


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_logits_loss_and_gradients_equal_transformers(pairs, batches, version, shape):
    *sizes, layers = shape
    pair = pairs(version, num_encoder_layers=layers, num_decoder_layers=layers)
    compare(pair, batches(7, *sizes), TOLERANCE)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_heads_that_do_not_fill_the_width_and_unequal_stacks(pairs, batches, version):
    sizes = {"num_heads": 3, "head_dim": 24, "num_encoder_layers": 1, "num_decoder_layers": 3}
    compare(pairs(version, **sizes), batches(5, 4, 21, 13), TOLERANCE)


def test_distances_beyond_the_last_bucket_equal_transformers(pairs, batches):
    pair = pairs("1.0", num_encoder_layers=1, num_decoder_layers=1)
    compare(pair, batches(8, 1, 300, 200), TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_twelve_layers_equal_transformers(pairs, batches, version):
    pair = pairs(version, num_encoder_layers=12, num_decoder_layers=12)
    compare(pair, batches(9, 2, 64, 32), 2e-4)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_scores_equal_transformers(pairs, batches, version):
    pair = pairs(version)
    batch = batches(3, 4, 20, 12)
    logits = torch.from_numpy(run_theirs(pair.theirs, batch)[0])
    targets = torch.from_numpy(batch["decoder_target_tokens"]).long()
    token_scores = torch.log_softmax(logits, -1).gather(-1, targets[..., None])[..., 0]
    expected = (token_scores * (targets > 0)).sum(-1).numpy()
    scores, aux = pair.ours.score_batch(pair.params, batch, return_intermediates=True)
    assert distance(scores, expected) < TOLERANCE
    np.testing.assert_allclose(aux["token_scores"].sum(-1), scores, rtol=1e-6)
