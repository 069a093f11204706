"""One preparation of MIMIC-III's notes as the paper did it, with the seconds of every stage.

`corpus_against_pandas.py` runs it as a process of its own, which imports no more than it needs.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from etils import epath

from clinical_t5x.console import run_command
from clinical_t5x.corpus import inputs, pipeline


def main(argv: Sequence[str]) -> None:
    """Prepare the corpus."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--physionet", type=epath.Path, required=True, help="a PhysioNet root")
    parser.add_argument("--patients", type=epath.Path, help="a list of patients to leave out")
    parser.add_argument("--out", type=epath.Path, required=True, help="where the corpus goes")
    arguments = parser.parse_args(argv)
    files = inputs.resolve(
        physionet=arguments.physionet,
        names=["mimic-iii"],
        notes=None,
        columns=None,
        exclusions=[arguments.patients] if arguments.patients else [],
    )
    options = pipeline.CorpusOptions(name="ours", paper=True)
    pipeline.prepare_corpus(files, options, arguments.out, on_stage=_timed)


@contextlib.contextmanager
def _timed(description: str, total: int | None = None, unit: str = "") -> Iterator[Callable]:
    started = time.perf_counter()
    yield lambda amount: None
    print(f"{description:60} {time.perf_counter() - started:8.2f} s", flush=True)


if __name__ == "__main__":
    run_command(main)
