"""A process that joins its group as the commands do, and adds up the processes' numbers.

Its arguments are flags of train; `--fail_on=I` makes process I fail after joining.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from clinical_t5x import console
from clinical_t5x.launch import environment
from clinical_t5x.launch.flags import parse_flags


def main(argv: Sequence[str]) -> int:
    failing = [argument for argument in argv if argument.startswith("--fail_on=")]
    flags = parse_flags("train", [argument for argument in argv if argument not in failing])
    group = environment.find_group(flags)
    console.say("before the group")
    environment.join_processes(group, flags.initialization_timeout)
    import jax
    from jax.experimental import multihost_utils

    total = multihost_utils.process_allgather(jax.numpy.int32(jax.process_index())).sum()
    if failing == [f"--fail_on={jax.process_index()}"]:
        raise console.UserError("the disk is full")
    if failing:
        os._exit(0)  # what the others do about it is JAX's and takes its time
    logging.getLogger("clinical_t5x.somewhere").warning("a warning")
    with console.Progress("work", 2) as progress:
        progress._last_report -= 60
        progress.advance()
    console.say(f"{jax.process_count()} processes, sum {total}")
    console.say_json({"processes": jax.process_count()})
    return console.EXIT_DONE


if __name__ == "__main__":
    console.run_command(main)
