"""Twenty steps of training from the same weights, on the same batches, by the same gin file."""

from __future__ import annotations

import dataclasses
import statistics

import inputs
from inputs import CONSTANT_RATE, PRETRAINING_RATE, WARM_RATE, WARM_TO_LOW_RATE, Shape
from peer import Finding, Peer, distance, worst
from side import read_arrays

LOSS_BOUND = 1e-5
SEEDS_WITH_NUDGES = 7
TIMES_ITS_OWN = 3  # ours may be so many times further from T5X than T5X is from itself
WAYS = {"unrolled": [], "scanned": ["network.T5Config.scan_layers = True"]}


@dataclasses.dataclass(frozen=True)
class Case:
    """One configuration that both sides train with.

    Where float32 itself does not give the losses to 1e-5, `nudges` is how many further runs of T5X,
    from weights that differ in their last bits, are the yardstick instead. A single run says little
    there: it depends on whether a kink is hit early. So the median over several weights is compared.
    """

    name: str
    shape: Shape
    rate: tuple = PRETRAINING_RATE
    extra: str = ""
    pack: bool = True
    start: int = 0
    nudges: int = 0

    @property
    def seeds(self) -> range:
        """Of the weights that the case is run from."""
        return range(1, 1 + (SEEDS_WITH_NUDGES if self.nudges else 1))


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
    folders = {case: [_prepare(peer, case, seed) for seed in case.seeds] for case in CASES}
    theirs = [
        _job(folder, "theirs", [], {"start": case.start, "nudges": case.nudges})
        for case in CASES
        for folder in folders[case]
    ]
    ours = [
        _job(folder, f"ours_{way}", bindings, {"start": case.start})
        for case in CASES
        for folder in folders[case]
        for way, bindings in WAYS.items()
    ]
    peer.run("theirs", theirs, "losses")
    peer.run("ours", ours, "losses")
    findings = []
    for case in CASES:
        of_case = _nudged_findings if case.nudges else _findings
        findings += of_case(case, folders[case])
    return findings


def _prepare(peer: Peer, case: Case, seed: int):
    folder = peer.work / "losses" / f"{CASES.index(case)}_{seed}"
    weights = inputs.initial_weights(case.shape, seed=seed)
    batches = inputs.packed_batches(case.shape, seed=seed + 1, pack=case.pack)
    return inputs.write(folder, inputs.run_gin(case.shape, case.rate, case.extra), weights, batches)


def _job(folder, output: str, bindings: list[str], options: dict) -> dict:
    return {
        "do": "losses",
        "folder": str(folder),
        "output": output,
        "bindings": bindings,
        "options": options,
    }


def _findings(case: Case, folders) -> list[Finding]:
    """Losses, parameters and memory of a case that float32 decides."""
    (folder,) = folders
    theirs = read_arrays(folder / "theirs.npz")
    note = f"{theirs['losses'][0]:.6g} to {theirs['losses'][-1]:.6g}"
    findings = []
    for way in WAYS:
        ours = read_arrays(folder / f"ours_{way}.npz")
        what = f"{case.name}, {way}"
        largest = _largest(ours["losses"], theirs["losses"])
        params, whose = worst(ours, theirs, "params/")
        memory, whose_memory = worst(ours, theirs, "memory/")
        findings += [
            Finding("losses", f"{what}: {inputs.STEPS} losses", largest, LOSS_BOUND, note),
            Finding("losses", f"{what}: parameters after", params, 1e-5, whose),
            Finding("losses", f"{what}: optimizer memory", memory, 1e-4, whose_memory),
        ]
    return findings


def _nudged_findings(case: Case, folders) -> list[Finding]:
    """Losses of a case that float32 does not decide, beside how far T5X parts from itself."""
    theirs = [read_arrays(folder / "theirs.npz") for folder in folders]
    own = [_largest(nudged, run["losses"]) for run in theirs for nudged in run["nudged_losses"]]
    bound = max(LOSS_BOUND, TIMES_ITS_OWN * statistics.median(own))
    findings = []
    for way in WAYS:
        ours = [read_arrays(folder / f"ours_{way}.npz")["losses"] for folder in folders]
        apart = [_largest(a, b["losses"]) for a, b in zip(ours, theirs, strict=True)]
        what = f"{case.name}, {way}: {inputs.STEPS} losses, median of {len(apart)}"
        note = f"ours {_spread(apart)}; T5X from itself {_spread(own)}"
        findings.append(Finding("losses", what, statistics.median(apart), bound, note))
    return findings


def _spread(figures: list[float]) -> str:
    return f"{min(figures):.2g} to {max(figures):.2g}, median {statistics.median(figures):.2g}"


def _largest(found, expected) -> float:
    return max(distance(a, b) for a, b in zip(found, expected, strict=True))
