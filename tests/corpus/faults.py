"""`prepare` in a process of its own that something happens to: a signal, or a small disk.

    FAULTS='{"at": "clinical_t5x.corpus.writing:shard_path", "call": 3}' python faults.py ...

When a function is called for the n-th time the process sends itself a signal (SIGKILL, unless
another is named) or fills the disk. Files are read in small blocks, so that a few notes make many
batches.
"""

import contextlib
import functools
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

BLOCK_BYTES = 200
ROOT = Path(__file__).parents[2]


def command(*arguments):
    return [sys.executable, __file__, *map(str, arguments)]


def environment(**faults):
    """What a process needs in its environment for these faults (see `main`)."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "FAULTS": json.dumps(faults)}


def run(*arguments, before=(), **faults):
    """Run `prepare` to its end, whichever that is; `before` is a command that runs it."""
    return subprocess.run(
        [*map(str, before), *command(*arguments)],
        env=environment(**faults), cwd=ROOT, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


def start(*arguments, **faults):
    """Start `prepare` and leave it running."""
    return subprocess.Popen(
        command(*arguments), env=environment(**faults), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def fill_disk(path):
    """Write a file until the disk that it is on is full."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def happen_at(place, call, what):
    """Do something at the call of "module:function" that has this number."""
    module_name, _, name = place.partition(":")
    module = importlib.import_module(module_name)
    original = getattr(module, name)
    lock, calls = threading.Lock(), [0]

    @functools.wraps(original)
    def counted(*arguments, **options):
        with lock:
            calls[0] += 1
            if calls[0] == call:
                what()
        return original(*arguments, **options)

    setattr(module, name, counted)


def main():
    faults = json.loads(os.environ.get("FAULTS", "{}"))
    from clinical_t5x import prepare
    from clinical_t5x.console import run_command
    from clinical_t5x.corpus import csv_blocks

    # Whoever runs the tests in the background may have had it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    csv_blocks.BLOCK_BYTES = faults.get("block_bytes", BLOCK_BYTES)
    if not faults.get("data_sets", False):
        prepare._build_data_sets = lambda *_: []
    if "file_bytes" in faults:
        resource.setrlimit(resource.RLIMIT_FSIZE, (faults["file_bytes"],) * 2)
    if "at" in faults:
        number = getattr(signal, faults.get("signal", "SIGKILL"))
        what = functools.partial(os.kill, os.getpid(), number)
        if "fill" in faults:
            what = functools.partial(fill_disk, faults["fill"])
        happen_at(faults["at"], faults.get("call", 1), what)
    run_command(prepare.main)


if __name__ == "__main__":
    main()
