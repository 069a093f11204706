"""The directory that an export writes, and the check that what is in it works.

The check runs the loader example in a process of its own, which imports nothing of this project, on
random token ids (never on text), and compares with what the model itself gives. Both compute on the
CPU where the programs allow it: an accelerator that this process holds is closed to another.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from etils import epath

import clinical_t5x
from clinical_t5x import console
from clinical_t5x.console import UserError
from clinical_t5x.export import functions
from clinical_t5x.export.functions import FUNCTIONS, Lengths
from clinical_t5x.interop.safetensors_file import write_safetensors
from clinical_t5x.interop.source import TensorInfo
from clinical_t5x.storage import sha256_file, stage_directory, write_json_atomically

LOADER = "load_example.py"
PARAMETERS = "parameters.safetensors"
CHECK_FILE = "self_check.npz"
MANIFEST = "manifest.json"
VOCABULARY = "vocabulary"
_README = "README.md"

_PLATFORM_OF_JAX = {"gpu": "cuda"}
_ROWS_TO_CHECK = 4
# The program is compiled for itself, so that sums may be taken in another order.
_TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}


@dataclasses.dataclass(frozen=True)
class Content:
    """What is exported.

    Attributes:
      model: An EncoderDecoderModel.
      params: Its parameters.
      lengths: Of the token arrays.
      platforms: What the programs may run on.
      default_mode: 'predict' or 'score'.
      about: Where the model comes from, for the manifest.
    """

    model: Any
    params: Any
    lengths: Lengths
    platforms: tuple[str, ...]
    default_mode: str
    about: Mapping[str, Any]


def write(
    content: Content, directory: epath.Path, summarize: Callable[[str, Any, int], None] | None
) -> epath.Path:
    """Write the export beside `directory`, check it, and put it in place.

    Args:
      content: What to export.
      directory: A local directory; replaced when the check has passed.
      summarize: Writes config.gin, as in training.

    Raises:
      UserError: `directory` is something else than an export, or the check failed.
    """
    refuse_to_replace(directory)
    made_from = {"export": dict(content.about), "lengths": dataclasses.asdict(content.lengths)}
    with stage_directory(directory, made_from) as partial:
        programs = _write_programs(content, partial)
        console.say(f"programs: {', '.join(programs)} for {', '.join(content.platforms)}")
        flat = functions.flat_parameters(content.params)
        infos = {name: TensorInfo(leaf.shape, str(leaf.dtype)) for name, leaf in flat.items()}
        write_safetensors(partial / PARAMETERS, infos, lambda name: np.asarray(flat[name]))
        count = sum(leaf.size for leaf in flat.values())
        console.say(f"parameters: {count:,} in {len(flat)} arrays ({PARAMETERS})")
        vocabulary = write_vocabulary(content.model.output_vocabulary, partial / VOCABULARY)
        shutil.copyfile(Path(__file__).with_name("loader_example.py"), partial / LOADER)
        manifest = _manifest(content, partial, programs, count, vocabulary)
        write_json_atomically(partial / MANIFEST, manifest)
        (partial / _README).write_text(_readme(manifest))
        if summarize is not None:
            summarize(str(partial), None, content.about["checkpoint_step"])
        device = _checking_device(content.platforms)
        _write_check(content, partial, device)
        manifest["self_check"] = run_check(partial, device.platform)
        write_json_atomically(partial / MANIFEST, manifest)
    return directory


def refuse_to_replace(directory: epath.Path) -> None:
    """Raise UserError where an export cannot be put, or would replace something else."""
    if "://" in os.fspath(directory):
        raise UserError(
            f"MODEL_OUTPUT_DIR = {directory}: an export is checked where it lies, on a disk of "
            "this machine; export to a local directory and copy it"
        )
    if directory.exists() and any(directory.iterdir()) and not (directory / MANIFEST).exists():
        raise UserError(
            f"{directory} holds something that is no export; choose another MODEL_OUTPUT_DIR"
        )


def _write_programs(content: Content, directory: epath.Path) -> dict[str, dict[str, Any]]:
    """Write every function; what the manifest says about each, by its name."""
    written = {}
    for mode, make in FUNCTIONS.items():
        exported = functions.export_function(
            make(content.model), content.params, content.lengths, content.platforms
        )
        (directory / f"{mode}.jax_export").write_bytes(bytes(exported.serialize()))
        (directory / f"{mode}.stablehlo").write_bytes(bytes(exported.mlir_module_serialized))
        outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
        written[mode] = {
            "file": f"{mode}.jax_export",
            "stablehlo": f"{mode}.stablehlo",
            "calling_convention_version": exported.calling_convention_version,
            "outputs": {
                name: {"shape": list(map(str, shape.shape)), "dtype": str(shape.dtype)}
                for name, shape in outputs.items()
            },
        }
    return written


def write_vocabulary(vocabulary: Any, directory: epath.Path) -> dict[str, Any]:
    """Copy a vocabulary's file and describe its special ids; what the manifest says about it.

    Args:
      vocabulary: Ours, or SeqIO's SentencePiece or byte vocabulary.
      directory: Made here.

    Raises:
      UserError: it is neither.
    """
    from clinical_t5x.data.vocabulary import sentinel_ids_of

    directory.mkdir(parents=True, exist_ok=True)
    file = getattr(vocabulary, "sentencepiece_model_file", None)
    if file is None and type(vocabulary).__name__ != "ByteVocabulary":
        raise UserError(
            f"the vocabulary {type(vocabulary).__name__} cannot be exported: it has no "
            "SentencePiece file and is no ByteVocabulary"
        )
    if file is not None:
        (directory / "sentencepiece.model").write_bytes(epath.Path(file).read_bytes())
    return {
        "kind": "bytes" if file is None else "sentencepiece",
        "file": None if file is None else f"{directory.name}/sentencepiece.model",
        "vocab_size": int(vocabulary.vocab_size),
        "pad_id": int(vocabulary.pad_id),
        "eos_id": int(vocabulary.eos_id),
        "sentinel_ids": [int(token) for token in sentinel_ids_of(vocabulary)],
    }


def _manifest(
    content: Content,
    directory: epath.Path,
    programs: Mapping[str, Any],
    count: int,
    vocabulary: Mapping[str, Any],
) -> dict[str, Any]:
    config = content.model.config
    return {
        "created_by": f"clinical_t5x {clinical_t5x.__version__}, jax {jax.__version__}",
        **content.about,
        "config": dataclasses.asdict(config),
        "parameters": {
            "file": PARAMETERS,
            "count": int(count),
            "dtypes": sorted({str(leaf.dtype) for leaf in jax.tree.leaves(content.params)}),
            "sha256": sha256_file(directory / PARAMETERS),
        },
        "programs": dict(programs),
        "default_program": content.default_mode,
        "platforms": list(content.platforms),
        "inputs": {
            "inputs": ["batch", content.lengths.inputs],
            "targets": ["batch", content.lengths.targets],
            "dtype": "int32",
            "batch": content.lengths.batch_size,
        },
        "vocabulary": dict(vocabulary),
    }


def _checking_device(platforms: tuple[str, ...]) -> jax.Device:
    """A CPU where the programs run on one, else what this process computes on."""
    if "cpu" in platforms:
        with contextlib.suppress(RuntimeError):  # JAX_PLATFORMS may leave the CPU out
            return jax.devices("cpu")[0]
    return jax.devices()[0]


def _write_check(content: Content, directory: epath.Path, device: jax.Device) -> None:
    """Keep random inputs and what the model itself answers."""
    lengths, model = content.lengths, content.model
    rows = lengths.batch_size or _ROWS_TO_CHECK
    rng = np.random.default_rng(0)
    size = model.output_vocabulary.vocab_size
    arrays = {
        name: _random_rows(rng, rows, length, size, int(model.output_vocabulary.eos_id))
        for name, length in (("inputs", lengths.inputs), ("targets", lengths.targets))
    }
    with jax.default_device(device):
        params = jax.device_put(content.params, device)
        expected = {
            f"{mode}_{name}": np.asarray(value, np.int32 if name == "tokens" else np.float32)
            for mode, make in FUNCTIONS.items()
            for name, value in make(model)(params, **arrays).items()
        }
    with (directory / CHECK_FILE).open("wb") as file:
        np.savez(file, **arrays, **expected)


def _random_rows(
    rng: np.random.Generator, rows: int, length: int, vocab_size: int, eos_id: int
) -> np.ndarray:
    """Token ids [rows, length] of several lengths, each ended and padded."""
    tokens = rng.integers(min(3, vocab_size - 1), vocab_size, (rows, length), dtype=np.int32)
    for row, end in enumerate(rng.integers(0, length, rows)):
        tokens[row, end] = eos_id
        tokens[row, end + 1 :] = 0
    return tokens


def run_check(directory: str | os.PathLike, platform: str = "cpu") -> dict[str, Any]:
    """Run the loader of an export in a process of its own and compare with the model's answers.

    Args:
      directory: Of the export.
      platform: What the loader's process computes on.

    Returns:
      Rows compared, how many had equal tokens, and the largest difference of a score, relative to
      the larger of the score and 1.

    Raises:
      UserError: the loader failed, or gave something else.
    """
    command = [sys.executable, LOADER, "--check"]
    environment = {**os.environ, "JAX_PLATFORMS": _PLATFORM_OF_JAX.get(platform, platform)}
    result = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise UserError(f"the exported program does not run in a process of its own: {lines[-1]}")
    found = json.loads(result.stdout.strip().splitlines()[-1])
    tolerance = max(_TOLERANCE.get(name, 1e-4) for name in found["dtypes"])
    console.say(
        f"checked in a fresh process on {found['platform']}: tokens equal in "
        f"{found['equal_tokens']} of {found['rows']} rows, largest difference of a score "
        f"{found['largest_difference']:.2g}"
    )
    if found["equal_tokens"] != found["rows"] or not found["largest_difference"] <= tolerance:
        raise UserError(
            "the exported program does not give what the model gives (tokens equal in "
            f"{found['equal_tokens']} of {found['rows']} rows, scores within "
            f"{found['largest_difference']:.3g}, allowed {tolerance:g}); nothing was written"
        )
    return {**found, "tolerance": tolerance}


def _readme(manifest: Mapping[str, Any]) -> str:
    rows = manifest["inputs"]["batch"] or "any number of"
    return f"""# {manifest["model_name"]}

Step {manifest["checkpoint_step"]:,} of a T5 model with {manifest["parameters"]["count"]:,}
parameters, exported as StableHLO programs. Try it with JAX alone (and the package `sentencepiece`
where you want text instead of token ids):

    python {LOADER} --check
    python {LOADER} --predict "some input text"

| file | content |
|---|---|
| `{LOADER}` | loads and runs the programs; copy what you need |
| `predict.jax_export`, `score.jax_export` | the programs, for `jax.export.deserialize` |
| `predict.stablehlo`, `score.stablehlo` | the same as StableHLO bytecode, for other tools |
| `{PARAMETERS}` | the parameters, arguments of both programs |
| `{VOCABULARY}/` | the vocabulary |
| `{MANIFEST}` | shapes, sizes, special ids, where the model comes from |
| `{CHECK_FILE}` | random token ids and the model's answers, for `--check` |

`predict` takes the parameters, token ids [batch, {manifest["inputs"]["inputs"][1]}] of the inputs
and an array [batch, {manifest["inputs"]["targets"][1]}] whose length is the limit; `score` takes
the token ids of the targets there. A batch has {rows} rows. Every sequence ends with id
{manifest["vocabulary"]["eos_id"]} and is padded with {manifest["vocabulary"]["pad_id"]}.

A model that was trained on credentialed data (MIMIC) may be given only to people with the same
credential and data-use agreement; an export is such a model.
"""
