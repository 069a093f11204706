"""Twenty steps of training from the same weights, on the same batches, by the same gin file."""

from __future__ import annotations

import dataclasses

import inputs
from inputs import CONSTANT_RATE, PRETRAINING_RATE, WARM_RATE, WARM_TO_LOW_RATE, Shape
from peer import Finding, Peer, distance, worst
from side import read_arrays

LOSS_BOUND = 1e-5
WAYS = {"unrolled": [], "scanned": ["network.T5Config.scan_layers = True"]}


@dataclasses.dataclass(frozen=True)
class Case:
    """One configuration that both sides train with.

    Where float32 itself does not give the losses to 1e-5, `nudges` is how many further runs of T5X,
    from weights that differ in their last bits, are the yardstick instead.
    """

    name: str
    shape: Shape
    rate: tuple = PRETRAINING_RATE
    extra: str = ""
    pack: bool = True
    start: int = 0
    nudges: int = 0


ODD = Shape(num_heads=3, head_dim=48, num_encoder_layers=2, num_decoder_layers=3)
FEW_UNITS = Shape("1.0", mlp_dim=256, num_encoder_layers=2, num_decoder_layers=2)
SMALL = Shape(num_encoder_layers=2, num_decoder_layers=2)
PER_TOKEN = "LOSS_NORMALIZING_FACTOR = 'NUM_REAL_TARGET_TOKENS'"
SMOOTHED = "LABEL_SMOOTHING = 0.1"
TUNING = "LOSS_NORMALIZING_FACTOR = 233472\nadafactor.Adafactor.step_offset = "
CASES = [
    Case("1.1", Shape("1.1")),
    Case(
        "1.1, high rate, per token, smoothed", Shape("1.1"), WARM_RATE, f"{PER_TOKEN}\n{SMOOTHED}"
    ),
    Case("1.0, few units", FEW_UNITS, WARM_TO_LOW_RATE),
    Case(
        "1.0, few units, per token, smoothed", FEW_UNITS, CONSTANT_RATE, f"{PER_TOKEN}\n{SMOOTHED}"
    ),
    Case(
        "1.0 with GELU for ReLU, high rate, smoothed",
        Shape("1.0"),
        WARM_RATE,
        f"{SMOOTHED}\nnetwork.T5Config.mlp_activations = ('gelu',)",
    ),
    Case("1.1, heads do not fill the width, unequal stacks", ODD),
    Case(
        "1.1, average per sequence", SMALL, extra="LOSS_NORMALIZING_FACTOR = 'AVERAGE_PER_SEQUENCE'"
    ),
    Case(
        "1.1, per target position",
        SMALL,
        extra="LOSS_NORMALIZING_FACTOR = 'NUM_TOTAL_TARGET_TOKENS'",
    ),
    Case(
        "1.1, tuned from step 1000", SMALL, CONSTANT_RATE, f"{TUNING}1000", pack=False, start=1000
    ),
    Case("1.1, tuned, memory from step 990", SMALL, CONSTANT_RATE, f"{TUNING}990", start=1000),
    Case("1.1, two microbatches", SMALL, extra="trainer.Trainer.num_microbatches = 2"),
    Case(
        "1.1, momentum, weight decay, clipped gradients",
        SMALL,
        WARM_RATE,
        "adafactor.Adafactor:\n  beta1 = 0.9\n  weight_decay_rate = 0.001\n"
        "  global_norm_clip_threshold = 1.0\n  max_parameter_scale = 0.5",
    ),
    Case("1.0", Shape("1.0"), nudges=3),
    Case("1.0, high rate, smoothed", Shape("1.0"), WARM_RATE, SMOOTHED, nudges=3),
    Case(
        "1.1, not factored, no parameter scale",
        SMALL,
        CONSTANT_RATE,
        "adafactor.Adafactor:\n  factored = False\n  multiply_by_parameter_scale = False\n"
        "  logical_factor_rules = None\n  weight_decay_rate_lr_exponent = 2.0",
        nudges=3,
    ),
]


def compare(peer: Peer) -> list[Finding]:
    """Findings for every case: losses, parameters and optimizer memory after the last step."""
    folders = {case: _prepare(peer, case) for case in CASES}
    theirs = [
        _job(folders[case], "theirs", [], {"start": case.start, "nudges": case.nudges})
        for case in CASES
    ]
    ours = [
        _job(folders[case], f"ours_{way}", bindings, {"start": case.start})
        for case in CASES
        for way, bindings in WAYS.items()
    ]
    peer.run("theirs", theirs, "losses")
    peer.run("ours", ours, "losses")
    findings = []
    for case in CASES:
        findings += _findings(case, folders[case])
    return findings


def _prepare(peer: Peer, case: Case):
    folder = peer.work / "losses" / str(CASES.index(case))
    weights = inputs.initial_weights(case.shape, seed=1)
    batches = inputs.packed_batches(case.shape, seed=2, pack=case.pack)
    return inputs.write(folder, inputs.run_gin(case.shape, case.rate, case.extra), weights, batches)


def _job(folder, output: str, bindings: list[str], options: dict) -> dict:
    return {
        "do": "losses",
        "folder": str(folder),
        "output": output,
        "bindings": bindings,
        "options": options,
    }


def _findings(case: Case, folder) -> list[Finding]:
    theirs = read_arrays(folder / "theirs.npz")
    bound, note = LOSS_BOUND, f"{theirs['losses'][0]:.6g} to {theirs['losses'][-1]:.6g}"
    if case.nudges:
        apart = max(_largest(losses, theirs["losses"]) for losses in theirs["nudged_losses"])
        bound, note = max(LOSS_BOUND, 10 * apart), f"{note}; T5X from itself {apart:.2g}"
    findings = []
    for way in WAYS:
        ours = read_arrays(folder / f"ours_{way}.npz")
        what = f"{case.name}, {way}"
        largest = _largest(ours["losses"], theirs["losses"])
        findings.append(Finding("losses", f"{what}: {inputs.STEPS} losses", largest, bound, note))
        if not case.nudges:
            params, whose = worst(ours, theirs, "params/")
            findings.append(Finding("losses", f"{what}: parameters after", params, 1e-5, whose))
            memory, whose = worst(ours, theirs, "memory/")
            findings.append(Finding("losses", f"{what}: optimizer memory", memory, 1e-4, whose))
    return findings


def _largest(found, expected) -> float:
    return max(distance(a, b) for a, b in zip(found, expected, strict=True))
