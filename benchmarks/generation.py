"""Decoding speed: output tokens a second, greedy and beam search, ours beside transformers.

    python benchmarks/generation.py                 # T5-small's shape, random weights
    python benchmarks/generation.py --size base --batch 16 --inputs 512 --outputs 64

End-of-sequence is suppressed on both sides, so that both write exactly `--outputs` tokens. The
first call (compilation here, warm-up there) is told apart. Without torch and transformers only our
side runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import types

import jax
import numpy as np

from clinical_t5x.interop import huggingface
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.decoding import beam_search, temperature_sample
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer

SIZES = {  # T5 1.1
    "tiny": {"emb_dim": 128, "num_heads": 4, "head_dim": 32, "mlp_dim": 256, "layers": 2},
    "small": {"emb_dim": 512, "num_heads": 6, "head_dim": 64, "mlp_dim": 1024, "layers": 8},
    "base": {"emb_dim": 768, "num_heads": 12, "head_dim": 64, "mlp_dim": 2048, "layers": 12},
}
EOS = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--inputs", type=int, default=256, help="input tokens of an example")
    parser.add_argument("--outputs", type=int, default=32, help="output tokens of an example")
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scan_layers", action="store_true")
    options = parser.parse_args()

    config = make_config(options)
    inputs = np.random.default_rng(0).integers(2, 32000, (options.batch, options.inputs))
    params = jax.jit(EncoderDecoderModel(Transformer(config), None, None).init_params)(
        jax.random.key(0)
    )
    rows = {}
    for name, beams in (("greedy", 1), (f"beam {options.beams}", options.beams)):
        rows["clinical_t5x", name] = measure(
            our_decoder(config, params, inputs, beams, options.outputs), options
        )
        if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
            rows["transformers", name] = measure(
                their_decoder(config, params, inputs, beams, options.outputs), options
            )
    print(f"T5 1.1 {options.size}, batch {options.batch}, {options.inputs} input tokens, ", end="")
    print(f"{options.outputs} output tokens, float32, {jax.devices()[0].device_kind}")
    print(f"{'library':14} {'decoding':8} {'tokens/s':>9} {'first call s':>13}")
    for (library, name), (seconds, first) in rows.items():
        rate = options.batch * options.outputs / seconds
        print(f"{library:14} {name:8} {rate:9.1f} {first:13.1f}")


def make_config(options) -> T5Config:
    sizes = dict(SIZES[options.size])
    layers = sizes.pop("layers")
    return T5Config(
        vocab_size=32128,
        mlp_activations=("gelu", "linear"),
        num_encoder_layers=layers,
        num_decoder_layers=layers,
        scan_layers=options.scan_layers,
        **sizes,
    )


def measure(decode, options) -> tuple[float, float]:
    """Best seconds of a call after the first, and seconds of the first."""
    seconds = []
    for _ in range(1 + options.repeats):
        start = time.perf_counter()
        decode()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:]), seconds[0]


def our_decoder(config, params, inputs, beams, outputs):
    vocabulary = types.SimpleNamespace(vocab_size=config.vocab_size, extra_ids=0, eos_id=EOS)
    decode_fn = temperature_sample if beams == 1 else beam_search
    model = EncoderDecoderModel(Transformer(config), vocabulary, vocabulary, decode_fn=decode_fn)
    batch = {
        "encoder_input_tokens": np.int32(inputs),
        "decoder_input_tokens": np.zeros((len(inputs), outputs), np.int32),
    }

    def decode():
        tokens, _ = model.predict_batch_with_aux(
            params, batch, num_decodes=beams, decoder_params={"suppressed_tokens": (EOS,)}
        )
        jax.block_until_ready(tokens)

    return decode


def their_decoder(config, params, inputs, beams, outputs):
    import torch
    import transformers

    model = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=config.vocab_size,
            d_model=config.emb_dim,
            d_kv=config.head_dim,
            d_ff=config.mlp_dim,
            num_heads=config.num_heads,
            num_layers=config.num_encoder_layers,
            num_decoder_layers=config.num_decoder_layers,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            decoder_start_token_id=0,
        )
    ).eval()
    model.lm_head = torch.nn.Linear(config.emb_dim, config.vocab_size, bias=False)
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, array in huggingface.from_params(params, config).items():
            own[name].copy_(torch.from_numpy(np.array(array)))
    tokens = torch.from_numpy(inputs)

    def decode():
        model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=outputs,
            min_new_tokens=outputs,
            num_beams=beams,
            do_sample=False,
        )

    return decode


if __name__ == "__main__":
    main()
