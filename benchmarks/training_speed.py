"""Training speed beside Hugging Face T5 with PyTorch and Google's T5X: tokens a second.

    python benchmarks/training_speed.py --t5x CHECKOUT --python PYTHON_OF_ITS_ENVIRONMENT
    python benchmarks/training_speed.py --device gpu --batch 64     # T5-large, bfloat16, with MFU

A step is forward, backward and Adafactor on full rows of 512 and 114 tokens, dropout 0.1, of each
program's own trainer where it has one; input is not part of it. Every program has its own process
and they take turns (see speed/contest.py). torch.compile compiles forward and backward. PyTorch gets
the same rows without segments, which its T5 does not know: it computes as much. Without --t5x the
others run.
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
from contest import Entrant, Figure

OURS = "clinical_t5x"
INPUTS, TARGETS = 512, 114
DROPOUT = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_arguments(parser)
    parser.add_argument("--steps", type=int, default=2, help="in a turn")
    options = parser.parse_args()
    given.complete(parser, options, batch=8)
    shape = given.shape_of(options.size)
    settings = {"dtype": options.dtype, "dropout": DROPOUT}

    work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="training_speed_"))
    batch = given.packed_batch(options.batch, INPUTS, TARGETS)
    inputs.write(work, given.gin_of(shape, **settings), {}, [batch])
    sizes = given.sizes_of(shape, **settings)
    entrants = _entrants(options, sizes)
    with contest.started(entrants, "train", work, options.device) as processes:
        answers = contest.rounds(processes, options.rounds, {"count": options.steps})
        report = given.machine(processes)

    tokens = options.batch * (INPUTS + TARGETS) * options.steps
    report |= {
        "what": f"T5 1.0 {options.size}, batch {options.batch}, {INPUTS}/{TARGETS} tokens, "
        f"{options.dtype}, dropout {DROPOUT}, Adafactor",
        "rounds": options.rounds,
        "steps_in_a_turn": options.steps,
        "tokens_per_second": contest.rates(answers, tokens),
        "times_faster": contest.times_faster(answers, OURS) if OURS in answers else {},
        "processor_seconds_a_step": contest.processor_seconds(answers, options.steps),
        "last_loss": {name: found[-1]["loss"] for name, found in answers.items()},
    }
    if options.device == "gpu":
        report["mfu_percent"] = _mfu(answers, options, sizes, report["device"])
    _show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1, default=vars) + "\n")


def _entrants(options: argparse.Namespace, sizes: dict) -> list[Entrant]:
    torch = {"sizes": sizes, "threads": options.threads}
    found = []
    if given.takes_part("ours", options):
        found.append(Entrant(OURS, "entrant_ours"))
    for name, label in (("transformers", "eager"), ("compiled", "torch.compile")):
        if given.takes_part(name, options):
            told = torch | {"compiled": name == "compiled"}
            title = f"transformers, {label}"
            found.append(Entrant(title, "entrant_transformers", options=told))
    if given.takes_part("t5x", options):
        found.append(given.t5x_entrant(options))
    return found


def _mfu(answers, options, sizes: dict, device: str) -> dict[str, Figure]:
    """The share of the device's peak that the model's own operations take."""
    from clinical_t5x.models.accelerators import peak_flops
    from clinical_t5x.models.config import T5Config
    from clinical_t5x.models.flops import step_flops

    work = step_flops(
        T5Config(**sizes), batch_size=options.batch, inputs_length=INPUTS, targets_length=TARGETS
    ).model
    peak = peak_flops(device, options.dtype)
    if peak is None:
        return {}
    return contest.rates(answers, 100 * options.steps * work / peak)


def _show(report: dict) -> None:
    print(f"{report['what']}; {report['device']}, {report['cores']} cores, {report['date']}")
    print(f"median of {report['rounds']} rounds (least to largest)\n")
    header = ["program", "tokens a second", f"{OURS} is so many times as fast"]
    header.append("processor seconds a step")
    mfu = report.get("mfu_percent")
    rows = []
    for name, rate in report["tokens_per_second"].items():
        ratio = report["times_faster"].get(name)
        row = [f"{name} ({report['versions'][name]})", rate.text(), ratio.text(2) if ratio else ""]
        row.append(report["processor_seconds_a_step"][name].text(1))
        rows.append([*row, mfu[name].text(1)] if mfu else row)
    print(contest.table([*header, "MFU, %"] if mfu else header, rows))


if __name__ == "__main__":
    main()
