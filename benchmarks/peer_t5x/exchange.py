"""Checkpoints in both directions and both of T5X's layouts, in the middle of a training run."""

from __future__ import annotations

import pathlib

import inputs
import numpy as np
from inputs import Shape
from losses import LOSS_BOUND, WAYS
from peer import Finding, Peer, distance
from side import read_arrays

LAYOUTS = ("orbax", "legacy")
SHAPES = [
    Shape("1.0", mlp_dim=256, num_encoder_layers=2, num_decoder_layers=2),
    Shape("1.1", num_heads=3, head_dim=48, num_encoder_layers=2, num_decoder_layers=3),
]
MIDDLE = inputs.STEPS // 2


def compare(peer: Peer) -> list[Finding]:
    """Each side saves after half of the steps; each restores the other's, and both go on."""
    findings = []
    folders = {}
    for shape in SHAPES:
        folder = peer.work / "exchange" / str(SHAPES.index(shape))
        gin = inputs.run_gin(shape, inputs.WARM_TO_LOW_RATE)
        batches = inputs.packed_batches(shape, seed=2)
        folders[shape] = inputs.write(folder, gin, inputs.initial_weights(shape, 1), batches)
    peer.run("theirs", [_job("save", folder, "theirs") for folder in folders.values()], "save")
    peer.run("ours", [job for folder in folders.values() for job in _our_saves(folder)], "save")
    taken = [job for folder in folders.values() for job in _their_restores(folder)]
    peer.run("theirs", taken, "restore")
    peer.run("ours", [job for f in folders.values() for job in _our_restores(f)], "restore")
    for shape, folder in folders.items():
        findings += _findings(f"T5 {shape.version}", folder)
    return findings


def _job(do: str, folder: pathlib.Path, output: str, bindings=(), **options) -> dict:
    return {
        "do": do,
        "folder": str(folder),
        "output": output,
        "bindings": list(bindings),
        "options": options,
    }


def _our_saves(folder: pathlib.Path) -> list[dict]:
    return [
        _job("save", folder, f"ours_{way}", bindings, way=way) for way, bindings in WAYS.items()
    ]


def _their_restores(folder: pathlib.Path) -> list[dict]:
    jobs = []
    for way in WAYS:
        for layout in LAYOUTS:
            path = str(folder / f"ours_{way}_{layout}" / f"checkpoint_{MIDDLE}")
            jobs.append(_job("restore", folder, f"theirs_of_{way}_{layout}", path=path))
    older = _job("restore", folder, "theirs_of_unrolled_by_older", path=jobs[1]["options"]["path"])
    older["options"]["use_orbax"] = False
    return [*jobs, older]


def _our_restores(folder: pathlib.Path) -> list[dict]:
    jobs = []
    for way, bindings in WAYS.items():
        for layout in LAYOUTS:
            path = str(folder / f"theirs_{layout}" / f"checkpoint_{MIDDLE}")
            name = f"taken_{way}_{layout}"
            output = f"ours_of_{layout}_{way}"
            jobs.append(_job("restore", folder, output, bindings, path=path, name=name))
    return jobs


def _findings(shape: str, folder: pathlib.Path) -> list[Finding]:
    findings = []
    for way in WAYS:
        ours = read_arrays(folder / f"ours_{way}.npz")
        outputs = [f"theirs_of_{way}_{layout}" for layout in LAYOUTS]
        if way == "unrolled":
            outputs.append("theirs_of_unrolled_by_older")
        for output in outputs:
            restored = read_arrays(folder / f"{output}.npz")
            layout = output.removeprefix(f"theirs_of_{way}_").replace(
                "by_older", "legacy, old reader"
            )
            findings += _pair(f"{shape}, ours ({way}, {layout}) there", restored, ours)
    theirs = read_arrays(folder / "theirs.npz")
    for layout in LAYOUTS:
        for way in WAYS:
            restored = read_arrays(folder / f"ours_of_{layout}_{way}.npz")
            what = f"{shape}, theirs ({layout}) here ({way})"
            findings += _pair(what, restored, theirs)
            begun = distance(restored["loss_of_params"], theirs["losses"][0])
            findings.append(
                Finding("exchange", f"{what}: first loss of a run from it", begun, LOSS_BOUND)
            )
    return findings


def _pair(what: str, restored: dict, saved: dict) -> list[Finding]:
    """A restored state and the losses after it, beside those of the run that saved it."""
    names = {name for name in saved if name.startswith(("params/", "memory/"))}
    there = {name for name in restored if name.startswith(("params/", "memory/"))}
    different = len(names ^ there) + int(restored["step"] != saved["step"])
    different += sum(
        restored[name].dtype != saved[name].dtype or not np.array_equal(restored[name], saved[name])
        for name in names & there
    )
    apart = max(map(distance, restored["losses"], saved["losses"]))
    note = f"of {len(names)}"
    return [
        Finding("exchange", f"{what}: arrays that are not equal bit for bit", different, 0, note),
        Finding("exchange", f"{what}: {len(saved['losses'])} losses after it", apart, LOSS_BOUND),
    ]
