"""Hugging Face T5 with PyTorch, eager or compiled, in a contest of speed."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np
import torch
import transformers
from side import read_arrays, read_batches

from clinical_t5x.interop import huggingface, t5x_names
from clinical_t5x.models.config import T5Config

END = 1


def about() -> dict:
    cuda = torch.cuda.is_available()
    return {
        "version": f"torch {torch.__version__}, transformers {transformers.__version__}",
        "device": torch.cuda.get_device_name() if cuda else "cpu",
    }


def network(config: T5Config) -> transformers.T5ForConditionalGeneration:
    model = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=config.vocab_size,
            d_model=config.emb_dim,
            d_kv=config.head_dim,
            d_ff=config.mlp_dim,
            num_heads=config.num_heads,
            num_layers=config.num_encoder_layers,
            num_decoder_layers=config.num_decoder_layers,
            feed_forward_proj="relu" if config.logits_via_embedding else "gated-gelu",
            tie_word_embeddings=config.logits_via_embedding,
            dropout_rate=config.dropout_rate,
            decoder_start_token_id=0,
        )
    )
    if not config.logits_via_embedding:
        model.lm_head = torch.nn.Linear(config.emb_dim, config.vocab_size, bias=False)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def tensor(array: np.ndarray, device) -> torch.Tensor:
    return torch.from_numpy(np.int64(array)).to(device)


def train(task: str, sizes: dict, compiled: bool, threads: int | None):
    """Forward, backward and Adafactor; bfloat16 by autocast, parameters float32."""
    if threads:
        torch.set_num_threads(threads)
    config = T5Config(**sizes)
    model = network(config).train()
    (batch,) = read_batches(pathlib.Path(task) / "batches.npz")
    inputs = tensor(batch["encoder_input_tokens"], model.device)
    labels = tensor(batch["decoder_target_tokens"], model.device)
    # every position is a token: nothing is masked but what comes later
    attention_mask = torch.ones_like(inputs)
    optimizer = transformers.Adafactor(
        model.parameters(), lr=1e-3, scale_parameter=True, relative_step=False, warmup_init=False
    )
    forward = torch.compile(model) if compiled else model
    half = config.dtype == "bfloat16"

    def steps(count: int) -> dict:
        for _ in range(count):
            with torch.autocast(model.device.type, torch.bfloat16, enabled=half):
                loss = forward(input_ids=inputs, attention_mask=attention_mask, labels=labels).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        return {"loss": float(loss.detach())}

    steps(2)
    return about(), steps


def decode(task: str, sizes: dict, beams: dict[str, int], outputs: int, threads: int | None):
    if threads:
        torch.set_num_threads(threads)
    config = T5Config(**sizes)
    model = network(config).eval()
    weights = read_arrays(pathlib.Path(task) / "weights.npz")
    params = t5x_names.from_named(weights, config)
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, array in huggingface.from_params(params, config).items():
            own[name].copy_(torch.from_numpy(np.array(array)))
    (batch,) = read_batches(pathlib.Path(task) / "batches.npz")
    inputs = tensor(batch["encoder_input_tokens"], model.device)
    half = config.dtype == "bfloat16"

    def work(way: str, calls: int) -> dict:
        for _ in range(calls):
            with torch.autocast(model.device.type, torch.bfloat16, enabled=half):
                tokens = model.generate(
                    inputs,
                    attention_mask=torch.ones_like(inputs),
                    max_new_tokens=outputs,
                    min_new_tokens=outputs,
                    num_beams=beams[way],
                    do_sample=False,
                )
            tokens = tokens[:, 1:].cpu()
        return {"tokens": tokens.tolist()}

    for way in beams:
        work(way, 1)
    return about(), work
