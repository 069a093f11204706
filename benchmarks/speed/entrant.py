"""An entrant's process: `python entrant.py MODULE FUNCTION OPTIONS_AS_JSON`.

MODULE's FUNCTION(**options) sets up, warms up and returns what to tell about it and a function that
does a piece of work and returns what to answer. Requests come as JSON lines on standard input;
answers go to standard output, to which nothing else is written.
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peer_t5x"))
from side import train  # noqa: F401 - T5X's run files look for it in the program that runs


def main() -> None:
    module, function, options = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the log
    begun = time.perf_counter()
    about, work = getattr(importlib.import_module(module), function)(**json.loads(options))
    about["first_seconds"] = time.perf_counter() - begun
    print(json.dumps(about), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        begun, worked = time.perf_counter(), time.process_time()
        answer = work(**request)
        answer["seconds"] = time.perf_counter() - begun
        answer["processor_seconds"] = time.process_time() - worked  # of all threads
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
