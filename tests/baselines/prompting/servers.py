"""The server as a process of its own, and what it says that it billed."""

import collections
import contextlib
import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("openai_server.py")


class Running:
    """A server that runs.

    Attributes:
      url: of its API.
      state: where it writes.
    """

    def __init__(self, url, state):
        self.url, self.state = url, state

    def _lines(self, name):
        path = self.state / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def billed(self):
        """How often each request was billed."""
        return collections.Counter(line["request"] for line in self._lines("billed"))

    @property
    def failed(self):
        """How often each fault was made."""
        return collections.Counter(line["path"] for line in self._lines("failed"))

    @property
    def seen(self):
        """Requests as they came, their failures included."""
        return self._lines("seen")


@contextlib.contextmanager
def running(state, **plan):
    """A server on a port of its own."""
    state.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, PROGRAM, state, json.dumps(plan)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield Running(f"http://127.0.0.1:{int(process.stdout.readline())}/v1", state)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
