"""Convert a checkpoint from and to Hugging Face, T5X and our own layout.

python -m clinical_t5x.convert downloads/t5-base runs/t5_base --to native
python -m clinical_t5x.convert runs/clinical_large exported --to hf --vocabulary clinical
python -m clinical_t5x.convert downloads/t5-base runs/t5 --to native --extend_vocabulary t5_deid
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from clinical_t5x.console import (
    EXIT_DONE,
    Progress,
    UserError,
    run_command,
    say,
    say_json,
)

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU"}
_ONLY_FOR = {
    "vocabulary": "hf",
    "max_shard_size": "hf",
    "scan_layers": "native",
    "t5x_layout": "t5x",
}
_SPARE = 1.05  # of the weights' size, for everything else that is written


def main(argv: Sequence[str]) -> int:
    """Open SRC, say what it is, and write DST."""
    options = _parser().parse_args(argv)
    from clinical_t5x.interop.source import CheckpointError

    try:
        return _convert(options)
    except CheckpointError as error:
        raise UserError(str(error)) from error


def _convert(options: argparse.Namespace) -> int:
    from clinical_t5x.interop import recognise
    from clinical_t5x.interop.watched import Watched

    _refuse_what_means_nothing(options)
    source = Watched(_extended(options, recognise.open_checkpoint(options.source)))
    target = _target(options, source)
    _refuse_to_lose(options, source, target)
    files = _files_beside(options, source, target)
    _announce(options, source)
    summary = _summary(options, source, target)
    if options.dry_run:
        say("Nothing was written (--dry_run).")
    else:
        with Progress("writing", len(source.infos), unit="tensors") as progress:
            _write(options, source, target, files, lambda name: progress.advance(note=name))
        _say_what_was_made(options, source, target)
        summary |= {"not_finite": source.not_finite, "files_beside": sorted(files)}
    if options.json:
        say_json(summary)
    return EXIT_DONE


def _extended(options: argparse.Namespace, source: Any) -> Any:
    """The source with rows for the tokens that were added to its vocabulary, where it is asked."""
    if options.extend_vocabulary is None:
        return source
    from clinical_t5x.data.vocabulary_comparison.named import named_vocabulary
    from clinical_t5x.data.vocabulary_extension import extension_of
    from clinical_t5x.interop.extended import ExtendedSource

    vocabulary = named_vocabulary(options.extend_vocabulary, options.data_dir).vocabulary
    extension = extension_of(vocabulary)
    if extension is None:
        raise UserError(
            f"{vocabulary.sentencepiece_model_file} has no added tokens; python -m"
            " clinical_t5x.vocabulary extend BASE --name NAME makes a vocabulary that has"
        )
    return ExtendedSource(
        source, extension.base_size, extension.former_pieces, vocabulary.extra_ids
    )


def _refuse_what_means_nothing(options: argparse.Namespace) -> None:
    """Refuse options of another layout than the one that is written."""
    for name, layout in _ONLY_FOR.items():
        if options.to != layout and getattr(options, name) != _parser().get_default(name):
            raise UserError(f"--{name} is for --to {layout}; leave it out with --to {options.to}")


def _target(options: argparse.Namespace, source: Any) -> Any:
    """The directory that will be made."""
    from clinical_t5x.storage import absolute

    directory = absolute(options.destination)
    if options.to == "hf":
        return directory
    from clinical_t5x.interop.t5x_checkpoint import checkpoint_directory

    return checkpoint_directory(directory, source.step)[0]


def _refuse_to_lose(options: argparse.Namespace, source: Any, target: Any) -> None:
    """Refuse to replace what was not meant, the source itself, or to run out of disk."""
    from clinical_t5x import storage
    from clinical_t5x.interop import recognise

    end = os.fspath(target)
    if _holds(end, os.fspath(storage.absolute(source.path))):
        raise UserError(f"{target} is, or holds, the source: choose another DST")
    if os.path.islink(end):  # what it leads to would stay, and only the link be replaced
        raise UserError(f"{target} is a symbolic link; name the directory itself as DST")
    if target.exists() and not _is_empty(target):
        if not options.overwrite:
            raise UserError(f"{target} exists; choose another DST, or --overwrite")
        if not target.is_dir() or not recognise.is_checkpoint(target):
            raise UserError(f"{target} is no checkpoint; it is not replaced: choose another DST")
    if "://" not in end:
        needed = int(_SPARE * sum(_stored_bytes(options, info) for info in source.infos.values()))
        free = storage.free_bytes(end)
        if free < needed:
            raise UserError(f"{target} needs {_size(needed)}; {_size(free)} are free there")


def _holds(end: str, origin: str) -> bool:
    """Whether `origin` is or lies in `end`, as both are written or where their links lead."""
    pairs = [(end, origin)]
    if "://" not in end and "://" not in origin:
        pairs.append((os.path.realpath(end), os.path.realpath(origin)))
    return any(one == two or two.startswith(one.rstrip("/") + "/") for one, two in pairs)


def _size(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


def _is_empty(target: Any) -> bool:
    return target.is_dir() and not any(target.iterdir())


def _stored_bytes(options: argparse.Namespace, info: Any) -> int:
    dtype = options.dtype or info.dtype
    return info.size * (4 if dtype == "float32" else 2)


def _write(
    options: argparse.Namespace,
    source: Any,
    target: Any,
    files: Mapping[str, bytes],
    on_tensor: Any,
) -> None:
    # What may be replaced has been checked before.
    common = {"dtype": options.dtype, "overwrite": target.exists(), "on_tensor": on_tensor}
    if options.to == "hf":
        from clinical_t5x.interop.huggingface_writer import write_huggingface

        largest = options.max_shard_size
        write_huggingface(source, target, largest_file=largest, other_files=files, **common)
    elif options.to == "t5x":
        from clinical_t5x.interop.t5x_checkpoint import write_t5x

        write_t5x(source, target, layout=options.t5x_layout, **common)
    else:
        from clinical_t5x.interop.native import write_native

        write_native(source, target, scan_layers=options.scan_layers, **common)


def _files_beside(options: argparse.Namespace, source: Any, target: Any) -> Mapping[str, bytes]:
    """Tokenizer and model card of a Hugging Face directory; the source gets a note on them."""
    if options.to != "hf":
        return {}
    from clinical_t5x.interop.huggingface import config_json

    try:
        config_json(source.config)
    except ValueError as error:
        raise UserError(f"{source.path}: {error}") from None
    from clinical_t5x.convert.beside import collect

    beside = collect(
        source,
        vocabulary=options.vocabulary or options.extend_vocabulary,
        data_dir=options.data_dir,
        dtype=options.dtype,
        name=target.name,
    )
    source.notes.append(beside.note)
    return beside.files


def _announce(options: argparse.Namespace, source: Any) -> None:
    """Say what the source is: layout, sizes, the table of its tensors."""
    from clinical_t5x.interop import tensor_table

    step = "" if source.step is None else f", step {source.step:,}"
    say(f"{source.path}: {source.kind}{step}")
    for note in source.notes:
        say(f"  note: {note}")
    _print_table(tensor_table.rows(source.infos, every=options.all))
    total = sum(info.size for info in source.infos.values())
    dtypes = ", ".join(sorted({info.dtype for info in source.infos.values()}))
    say(f"{total:,} parameters in {len(source.infos)} tensors, {dtypes}: {_version(source)}")


def _version(source: Any) -> str:
    config = source.config
    tied = "tied" if config.logits_via_embedding else "untied"
    activation = config.mlp_activations[0]
    mlp = "gated " if len(config.mlp_activations) == 2 else ""
    layers = f"{config.num_encoder_layers} + {config.num_decoder_layers} layers"
    return (
        f"T5 with {layers}, {mlp}{_ACTIVATIONS.get(activation, activation)} and {tied} embeddings"
    )


def _print_table(rows: Sequence[Any]) -> None:
    """A table with lines on a terminal, aligned columns elsewhere."""
    head = ("tensor", "shape", "dtype", "tensors", "parameters")
    cells = [
        (row.name, _shape(row.shape), row.dtype, str(row.count), f"{row.parameters:,}")
        for row in rows
    ]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table()
        for name, side in zip(head, ("left", "right", "left", "right", "right"), strict=True):
            table.add_column(name, justify=side, overflow="fold")
        for line in cells:
            table.add_row(*line)
        Console().print(table)
        return
    widths = [max(len(line[i]) for line in [head, *cells]) for i in range(len(head))]
    for line in [head, *cells]:
        name, shape, dtype, count, parameters = line
        say(
            f"  {name:<{widths[0]}}  {shape:>{widths[1]}}  {dtype:<{widths[2]}}"
            f"  {count:>{widths[3]}}  {parameters:>{widths[4]}}"
        )


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _say_what_was_made(options: argparse.Namespace, source: Any, target: Any) -> None:
    if source.not_finite:
        say(
            f"warning: {len(source.not_finite)} tensors hold NaN or infinity, "
            f"{source.not_finite[0]} first; they were written as they are"
        )
    say(f"Made: {target}")
    if options.to == "hf":
        say(f"Next: transformers.T5ForConditionalGeneration.from_pretrained({str(target)!r})")
    else:
        say(
            "Next: python -m t5x.train --gin_file=gin/models/MODEL.gin --gin_file=gin/FINETUNE.gin"
            f" --gin.INITIAL_CHECKPOINT_PATH={shlex.quote(str(target))}"
        )


def _summary(options: argparse.Namespace, source: Any, target: Any) -> dict[str, Any]:
    return {
        "source": source.path,
        "kind": source.kind,
        "step": source.step,
        "to": options.to,
        "made": None if options.dry_run else str(target),
        "parameters": sum(info.size for info in source.infos.values()),
        "tensors": len(source.infos),
        "dtypes": sorted({info.dtype for info in source.infos.values()}),
        "notes": list(source.notes),
        "config": dataclasses.asdict(source.config),
    }


def _bytes(text: str) -> int:
    """A size as people write it, "5GB" or "500MiB", in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip(), re.IGNORECASE)
    if match is None or match[2].upper() not in _UNITS or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 5GB, 500MB or bytes")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.convert",
        description="Convert a checkpoint; its layout is inferred (docs/checkpoints.md).",
    )
    parser.add_argument(
        "source",
        metavar="SRC",
        help="a Hugging Face directory or file of weights, a T5X checkpoint, one of ours, or a"
        " MODEL_DIR (its newest checkpoint)",
    )
    parser.add_argument("destination", metavar="DST", help="the directory to make")
    parser.add_argument("--to", required=True, choices=("hf", "t5x", "native"), help="its layout")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), help="of what is written; default: as it is"
    )
    parser.add_argument(
        "--vocabulary",
        metavar="PATH|NAME",
        help="hf: the tokenizer's SentencePiece model, by path or by its name in the data home",
    )
    parser.add_argument(
        "--extend_vocabulary",
        metavar="PATH|NAME",
        help="give a checkpoint of the base vocabulary rows for the tokens that `vocabulary extend`"
        " added (once: it begins them anew)",
    )
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument(
        "--max_shard_size",
        type=_bytes,
        default=_bytes("5GB"),
        metavar="SIZE",
        help="hf: bytes of a file of weights at most (5GB)",
    )
    parser.add_argument(
        "--scan_layers",
        action="store_true",
        help="native: stack the layers, for models with scan_layers",
    )
    parser.add_argument(
        "--t5x_layout",
        choices=("orbax", "legacy"),
        default="orbax",
        help="t5x: today's layout or the older one (%(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a checkpoint at DST")
    parser.add_argument("--dry_run", action="store_true", help="check and show, write nothing")
    parser.add_argument("--all", action="store_true", help="a line for every tensor")
    parser.add_argument("--json", action="store_true", help="end with a summary as one JSON line")
    return parser


if __name__ == "__main__":
    run_command(main)
