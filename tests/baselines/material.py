"""Data for these tests, made and read by a process of its own: this one has torch."""

import concurrent.futures
import multiprocessing
import os

from etils import epath

from clinical_t5x.baselines.finetuning import reading


def in_a_process(function, *arguments):
    """What a function returns in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(function, *arguments).result()


def make(root):
    """A data home, and everything that `read_benchmark` reads of it: (home, benchmarks)."""
    from tests.data import tiny

    home = os.fspath(tiny.make_home(epath.Path(root)))
    read = {}
    for name in reading.KINDS:
        benchmark = reading.read_benchmark(name, data_dir=home)
        read[name] = (benchmark.task_name, benchmark.train, dict(benchmark.scored))
    return home, read
