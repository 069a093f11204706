"""Handing a pipeline to a runner, with what can go wrong said in one line."""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from clinical_t5x.console import UserError
from clinical_t5x.corpus.cluster import job

# Beam puts it behind the message of every error of a worker.
_WHILE_RUNNING = re.compile(r"\s*\[while running .*\]\s*$", re.DOTALL)
# What a remote worker reports of a mistake in the input, somewhere in a traceback.
_REPORTED = re.compile(r"\bUserError: (.+)")
_CHECKED = re.compile("Pipeline has validations errors|Unexpected pipeline runner")
_OPTIONS_LOGGER = "apache_beam.options.pipeline_options"


def run(plan: job.Plan, flags: Sequence[str]) -> dict:
    """Run a job, wait for it, and return the manifest that it wrote.

    Args:
        plan: the job.
        flags: Beam's own flags, `--runner=...` among them.

    Raises:
        UserError: a mistake in the input or in the flags.
    """
    options = options_of(flags)
    made_from = plan.made_from()
    with _mistakes_in_one_line(), _quiet_if_local(options):
        pipeline = beam.Pipeline(options=options)
        plan.output.begin(made_from)
        job.build(pipeline, plan, made_from)
        pipeline.run().wait_until_finish()
    if not plan.output.is_complete(made_from):
        raise UserError(
            f"the job ended without a whole result in {plan.directory}; its log says why. Run the "
            "same command again to go on from what is there"
        )
    return plan.output.manifest()


def options_of(flags: Sequence[str]) -> PipelineOptions:
    """Beam's options; a flag that Beam does not know is refused, not ignored.

    Raises:
        UserError: a flag or its value is wrong.
    """
    options = PipelineOptions(list(flags))
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), _at_level(_OPTIONS_LOGGER, logging.ERROR):
            known = options.get_all_options()
            every = options.get_all_options(retain_unknown_options=True)
    except SystemExit as error:  # as argparse does
        why = said.getvalue().strip().rpartition("error: ")[2]
        raise UserError(f"an option of Apache Beam is wrong: {why}") from error
    unknown = sorted(set(every) - set(known))
    if unknown:
        names = ", ".join(f"--{name}" for name in unknown)
        raise UserError(f"neither this command nor Apache Beam has an option {names}")
    return options


@contextlib.contextmanager
def _mistakes_in_one_line() -> Iterator[None]:
    """Turn the many ways in which runners report a mistake into a `UserError`."""
    try:
        yield
    except UserError as error:
        raise UserError(_WHILE_RUNNING.sub("", str(error))) from error
    except Exception as error:
        reported = _REPORTED.findall(str(error))
        if reported:
            raise UserError(_WHILE_RUNNING.sub("", reported[-1])) from error
        # What Beam checks before it begins: options that a runner misses, a runner's name.
        if isinstance(error, ValueError) and _CHECKED.match(str(error)):
            raise UserError(" ".join(str(error).split())) from error
        raise


@contextlib.contextmanager
def _quiet_if_local(options: PipelineOptions) -> Iterator[None]:
    """Let remote runners say what they do; a local one would only repeat errors as tracebacks."""
    is_local = (options.get_all_options()["runner"] or "DirectRunner").startswith("Direct")
    if not is_local:
        logging.basicConfig(format="%(message)s")
    with _at_level("apache_beam", logging.CRITICAL if is_local else logging.INFO):
        yield


@contextlib.contextmanager
def _at_level(name: str, level: int) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
