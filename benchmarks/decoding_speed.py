"""Decoding speed beside Hugging Face T5 with PyTorch and Google's T5X: output tokens a second.

    python benchmarks/decoding_speed.py --t5x CHECKOUT --python PYTHON_OF_ITS_ENVIRONMENT
    python benchmarks/decoding_speed.py --size base --batch 16 --inputs 512 --outputs 64

Greedy and beam search from the same random weights, in which end-of-sequence has no chance: all
write exactly `--outputs` tokens. Greedy outputs are compared, token by token (beam searches differ
by their rules). Every program has its own process and they take turns (see speed/contest.py).
Without --t5x the others run.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "speed"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peer_t5x"))

import contest
import given
import inputs
import numpy as np
from contest import Entrant

OURS = "clinical_t5x"
END = 1
DECODE = "models.EncoderDecoderModel.decode_fn = @decoding."
GREEDY, BEAM = "temperature_sample", "beam_search"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_arguments(parser)
    parser.add_argument("--inputs", type=int, default=256, help="input tokens of an example")
    parser.add_argument("--outputs", type=int, default=32, help="output tokens of an example")
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--calls", type=int, default=2, help="in a turn")
    options = parser.parse_args()
    given.complete(parser, options, batch=8)

    beams = {"greedy": 1, f"beam {options.beams}": options.beams}
    work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="decoding_speed_"))
    shape = given.shape_of(options.size)
    settings = {"dtype": options.dtype, "dropout": 0.0}
    gin = given.gin_of(shape, **settings)
    inputs.write(work, gin, _weights(shape), [_batch(options)])
    for way, count in beams.items():
        (work / way).mkdir(exist_ok=True)
        (work / way / "run.gin").write_text(f"{gin}\n{DECODE}{GREEDY if count == 1 else BEAM}\n")
    sizes = given.sizes_of(shape, **settings)
    with contest.started(_entrants(options, sizes, beams), "decode", work, options.device) as all_:
        answers = {
            way: contest.rounds(all_, options.rounds, {"way": way, "calls": options.calls})
            for way in beams
        }
        report = given.machine(all_)
    report |= _report(answers, options)
    _show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1, default=vars) + "\n")


def _weights(shape) -> dict[str, np.ndarray]:
    weights = inputs.initial_weights(shape, seed=1)
    # its logit is then 0, below the best of thousands of random ones
    weights["token_embedder/embedding"][END] = 0.0
    return weights


def _batch(options) -> dict[str, np.ndarray]:
    tokens = np.random.default_rng(0).integers(2, 32000, (options.batch, options.inputs))
    return {
        "encoder_input_tokens": np.int32(tokens),
        "decoder_input_tokens": np.zeros((options.batch, options.outputs), np.int32),
    }


def _entrants(options, sizes: dict, beams: dict[str, int]) -> list[Entrant]:
    found = []
    if given.takes_part("ours", options):
        found.append(Entrant(OURS, "entrant_ours", options={"beams": beams}))
    if given.takes_part("transformers", options):
        told = {"sizes": sizes, "beams": beams, "outputs": options.outputs}
        told["threads"] = options.threads
        found.append(Entrant("transformers", "entrant_transformers", options=told))
    if given.takes_part("t5x", options):
        found.append(given.t5x_entrant(options, beams=beams))
    return found


def _report(answers: dict[str, dict], options) -> dict:
    tokens = options.batch * options.outputs * options.calls
    greedy = {name: found[-1]["tokens"] for name, found in answers["greedy"].items()}
    first = next(iter(greedy.values()))
    return {
        "what": f"T5 1.0 {options.size}, batch {options.batch}, {options.inputs} input and "
        f"{options.outputs} output tokens, {options.dtype}",
        "rounds": options.rounds,
        "calls_in_a_turn": options.calls,
        "tokens_per_second": {way: contest.rates(of, tokens) for way, of in answers.items()},
        "times_faster": {
            way: contest.times_faster(of, OURS) if OURS in of else {} for way, of in answers.items()
        },
        "greedy_tokens_that_differ": {
            name: int((np.array(tokens) != np.array(first)).sum())
            for name, tokens in greedy.items()
        },
    }


def _show(report: dict) -> None:
    print(f"{report['what']}; {report['device']}, {report['cores']} cores, {report['date']}")
    print(f"median of {report['rounds']} rounds (least to largest)\n")
    rows = []
    for way, found in report["tokens_per_second"].items():
        for name, rate in found.items():
            ratio = report["times_faster"][way].get(name)
            label = f"{name} ({report['versions'][name]})"
            rows.append([way, label, rate.text(), ratio.text(2) if ratio else ""])
    header = ["decoding", "program", "output tokens a second", f"{OURS} is so many times as fast"]
    print(contest.table(header, rows))
    different = {n: count for n, count in report["greedy_tokens_that_differ"].items() if count}
    print(f"\ngreedy tokens that differ from {OURS}: {different or 'none'}")


if __name__ == "__main__":
    main()
