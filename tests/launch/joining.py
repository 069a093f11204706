"""A process that joins its group as the commands do, and adds up the processes' numbers.

Its arguments are flags of train; `--fail_on=I` makes process I fail after joining, `--data=HASH` is
the data that it opened.
"""

from __future__ import annotations

import logging
import os
import types
from collections.abc import Sequence

from clinical_t5x import console
from clinical_t5x.launch import environment
from clinical_t5x.launch.flags import parse_flags


def main(argv: Sequence[str]) -> int:
    failing = [argument for argument in argv if argument.startswith("--fail_on=")]
    data = [argument for argument in argv if argument.startswith("--data=")]
    flags = parse_flags("train", [word for word in argv if word not in (*failing, *data)])
    group = environment.find_group(flags)
    console.say("before the group")
    environment.join_processes(group, flags.initialization_timeout)
    import jax
    from jax.experimental import multihost_utils

    total = multihost_utils.process_allgather(jax.numpy.int32(jax.process_index())).sum()
    from clinical_t5x.training.shared_input import meet_with_the_same_data

    opened = types.SimpleNamespace(manifest_hash=" ".join(data))
    meet_with_the_same_data({"train": opened, "infer": object()})
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
