"""The first stages of `prepare` on many machines, as an Apache Beam pipeline.

    python -m clinical_t5x.prepare_beam --physionet gs://BUCKET/physionet --output gs://BUCKET/staged
        --runner DataflowRunner --project PROJECT --region REGION --temp_location gs://BUCKET/tmp
    python -m clinical_t5x.prepare --physionet gs://BUCKET/physionet --staged gs://BUCKET/staged

Options that are not listed are Beam's own. docs/corpus.md has commands for Dataflow, Flink and
Spark, and says what is written.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import time
from collections.abc import Sequence
from importlib import util

from etils import epath

from clinical_t5x import prepare, storage
from clinical_t5x.console import UserError, run_command, say, say_json


def main(argv: Sequence[str]) -> int | None:
    """Stage the notes and leave out repeats; what is there already is left as it is."""
    arguments, flags = _parser().parse_known_args(argv)
    if util.find_spec("apache_beam") is None:
        raise UserError("Apache Beam is not installed; pip install 'clinical_t5x[beam]'")
    files = prepare.note_files(arguments)
    logging.getLogger().setLevel(logging.ERROR)  # Beam warns of what it could also have imported
    from clinical_t5x.corpus import pipeline
    from clinical_t5x.corpus.cluster import job, running

    options = pipeline.CorpusOptions(
        deid=arguments.deid, strict=arguments.strict, paper=arguments.paper
    )
    plan = job.plan_job(files, options, storage.absolute(arguments.output))
    say(f"Preparing {plan.directory} with Apache Beam ({arguments.runner}) from")
    prepare.announce(files)
    if plan.output.is_complete(plan.made_from()):
        say("It is there already, made from the same files with the same options.")
        manifest = plan.output.manifest()
    else:
        started = time.monotonic()
        manifest = running.run(plan, [f"--runner={arguments.runner}", *flags])
        say(f"The job took {time.monotonic() - started:.0f} s.")
    _report(manifest, plan.output.directory, arguments)
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.prepare_beam",
        description="Prepare notes up to exact de-duplication on many machines (docs/corpus.md).",
        epilog="All other options go to Apache Beam: --project, --region, --temp_location, "
        "--flink_master, --spark_master_url, --sdk_container_image, ...",
        allow_abbrev=False,
    )
    prepare.add_note_arguments(parser)
    parser.add_argument(
        "--output", required=True, help="directory or bucket path that all machines can write to"
    )
    parser.add_argument(
        "--runner",
        default="DirectRunner",
        help="DirectRunner (here), DataflowRunner, FlinkRunner, SparkRunner, ... (%(default)s)",
    )
    return parser


def _report(manifest: dict, output: epath.Path, arguments: argparse.Namespace) -> None:
    prepare.say_fates(manifest["counts"])
    left = manifest["after_exact_duplicates"]
    say()
    say(f"Left: {left['documents']:,} notes, SHA-256 sum {left['sha256_sum']}")
    say(f"Documents: {output / 'documents'}")
    next_command = _next_command(arguments, output)
    say(f"Next: {next_command}")
    if arguments.json:
        summary = {"output": str(output), "after_exact_duplicates": left, "next": next_command}
        say_json({**summary, "stages": manifest["stages"]})


def _next_command(arguments: argparse.Namespace, output: epath.Path) -> str:
    """The command that goes on from here, with the same files and options."""
    words = ["python", "-m", "clinical_t5x.prepare"]
    for name in ("physionet", "sources", "notes", "columns"):
        if value := getattr(arguments, name):
            words += [f"--{name}", value]
    words += ["--deid", "keep"] if arguments.deid == "keep" else []
    words += ["--paper"] if arguments.paper else []
    return shlex.join([*words, "--staged", str(output)])


if __name__ == "__main__":
    run_command(main)
