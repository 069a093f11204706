"""What was answered, on disk at once: no request is made twice, whatever kills the run.

`RUN/replies/replies.jsonl` only grows. A line says that something is about to be asked (by the hash
of the request's content), that it was refused, or what came back. A line that a kill cut off is
dropped. Prompts are never written; replies may repeat words of notes, so the directory is as
confidential as the notes are.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clinical_t5x.console import UserError

DIRECTORY, FILE, NOTICE_FILE = "replies", "replies.jsonl", "CONFIDENTIAL.txt"
_NOTICE = """\
The files here hold what a model answered to questions about clinical notes. Answers may repeat
words of the notes: keep them where the notes may be, and treat them as the notes' data-use
agreement says. Whoever removes replies.jsonl pays for its answers again.
"""


@dataclasses.dataclass(frozen=True)
class Reply:
    """What came back for one request.

    Attributes:
      text: as the model wrote it; empty where nothing was answered.
      prompt_tokens, completion_tokens: as the model or server counts them.
      at_limit: whether it was cut off by the limit.
      failure: why there is no answer, in a word ("content_filter"); None where there is one.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    at_limit: bool = False
    failure: str | None = None


class ReplyStore:
    """Replies by the hash of what was asked, kept in a run directory.

    Use as a context manager; only one process at a time has a run's replies open. Safe to use from
    several threads.

    Args:
      run_directory: on a local disk; it gets `replies/`, readable to its owner only.

    Raises:
      UserError: on entering, when another process is at work there, or a line is no reply.
    """

    def __init__(self, run_directory: str | os.PathLike):
        self.directory = Path(run_directory) / DIRECTORY
        self.path = self.directory / FILE
        self._open: Counter[str] = Counter()  # attempts that no refusal answered
        self._replies: dict[str, Reply] = {}
        self._lock = threading.Lock()
        self._file = -1

    def __enter__(self) -> ReplyStore:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.directory / NOTICE_FILE).write_text(_NOTICE)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise UserError(
                f"another process is at work in {self.directory.parent}; wait for it, or choose"
                " another --out"
            ) from None
        self._read()
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._file)

    def _read(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # a line that a kill cut off
            os.ftruncate(self._file, whole)
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                value = json.loads(line)
                if "asked" in value:
                    self._open[value["asked"]] += 1
                elif "refused" in value:
                    self._open[value["refused"]] -= 1
                else:
                    key = value.pop("request")
                    self._replies[key] = Reply(**value)
            except (ValueError, TypeError, KeyError):
                raise UserError(
                    f"{self.path}, line {number} is no reply; remove that line to go on (what it"
                    " was is asked again)"
                ) from None

    @property
    def unfinished(self) -> int:
        """Requests of which nothing came back; a server may have billed them."""
        return sum(count > 0 and key not in self._replies for key, count in self._open.items())

    @property
    def perhaps_billed_twice(self) -> int:
        """Attempts beside those that were answered which a server may have worked on and billed."""
        return sum(max(0, count - (key in self._replies)) for key, count in self._open.items())

    def __contains__(self, key: str) -> bool:
        return key in self._replies

    def __getitem__(self, key: str) -> Reply:
        return self._replies[key]

    def get(self, key: str) -> Reply | None:
        """The reply to a request, or None."""
        return self._replies.get(key)

    def all(self) -> list[Reply]:
        """Every reply, of whatever prompt."""
        return list(self._replies.values())

    def note_asked(self, key: str) -> None:
        """Write down that a request is about to be made."""
        with self._lock:
            self._append({"asked": key})
            self._open[key] += 1

    def note_refused(self, key: str) -> None:
        """Write down that the request was refused as a whole: nothing was worked on."""
        with self._lock:
            self._append({"refused": key})
            self._open[key] -= 1

    def add(self, key: str, reply: Reply) -> None:
        """Keep a reply, the first one of a request."""
        with self._lock:
            if key in self._replies:
                return
            self._append({"request": key, **dataclasses.asdict(reply)})
            self._replies[key] = reply

    def _append(self, value: Mapping[str, Any]) -> None:
        # One write a line: what the system has taken outlives a kill of this process.
        line = json.dumps(value) + "\n"
        os.write(self._file, line.encode())
