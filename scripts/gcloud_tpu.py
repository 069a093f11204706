"""gcloud's TPU commands: which mistakes to try again, which to explain, and what to show of a call.

Only the standard library, so that it runs wherever gcloud does (Python 3.9 or later).
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

_TRIES = 6
_LONGEST_PAUSE = 60.0

# The order matters: a project's quota is answered with HTTP 429 as well, and waiting does not help.
_QUOTA = re.compile(r"quota limit '(?!.*per minute)|insufficient.*quota", re.I | re.S)
_ABSENT = re.compile(r"NOT_FOUND|was not found|not be found", re.I)
_PRESENT = re.compile(r"ALREADY_EXISTS|already exists", re.I)
_DENIED = re.compile(
    r"PERMISSION_DENIED|UNAUTHENTICATED|permission denied on|do not currently have an active"
    r" account|reauth",
    re.I,
)
_PASSING = re.compile(
    r"\b429\b|rate.?limit|too many requests|per minute|\b50[0234]\b|UNAVAILABLE|internal error"
    r"|deadline exceeded|connection (timed out|refused|reset|closed)|\[255\]|exit(ed with)? "
    r"(code|status) 255",
    re.I,
)


class Failure(Exception):  # noqa: N818 - a message for the person, as UserError in the package
    """Something that a person has to see to; the message says what."""


class Absent(Failure):
    """The thing asked about is not there."""


class Present(Failure):
    """The thing to be made is there already."""


@dataclasses.dataclass
class Gcloud:
    """Calls gcloud for one project and zone.

    Attributes:
      project, zone: where; None leaves them to gcloud's own configuration.
      dry_run: print the commands that change something instead of running any.
      pause: seconds before the first repetition; doubles each time.
    """

    project: str | None
    zone: str | None
    dry_run: bool = False
    pause: float = 5.0

    def ask(self, *arguments: str) -> Any:
        """What a command that changes nothing answers, as JSON."""
        if self.dry_run:
            self._show(arguments)
            raise Absent("a dry run asks nothing")
        return json.loads(self._repeated([*arguments, "--format=json"]) or "null")

    def do(self, *arguments: str) -> str:
        """Run a command that changes something; what it printed."""
        if self.dry_run:
            self._show(arguments)
            return ""
        return self._repeated(arguments)

    def follow(self, *arguments: str) -> int:
        """Run a command whose output goes to the terminal as it comes; its exit code."""
        if self.dry_run:
            self._show(arguments)
            return 0
        return subprocess.run(self._complete(arguments), check=False).returncode

    def _complete(self, arguments: Sequence[str]) -> list[str]:
        where = [
            f"--{name}={value}"
            for name, value in (("project", self.project), ("zone", self.zone))
            if value
        ]
        return ["gcloud", "compute", "tpus", *arguments, *where, "--quiet"]

    def _show(self, arguments: Sequence[str]) -> None:
        print(shlex.join(self._complete(arguments)), flush=True)

    def _repeated(self, arguments: Sequence[str]) -> str:
        pause = self.pause
        for attempt in range(1, _TRIES + 1):
            ended = self._run(arguments)
            if ended.returncode == 0:
                return ended.stdout
            problem = f"{ended.stderr}\n{ended.stdout}"
            if attempt == _TRIES or not is_passing(problem):
                raise explained(arguments, problem)
            _tell(f"gcloud: {first_error(problem)}; again in {pause:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise AssertionError

    def _run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess:
        try:
            return subprocess.run(
                self._complete(arguments),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise Failure(
                "there is no gcloud on this machine: install Google Cloud's command line, then say "
                "gcloud auth login"
            ) from None


def is_passing(problem: str) -> bool:
    """Whether the same command may succeed in a while."""
    final = (_QUOTA, _ABSENT, _PRESENT, _DENIED)
    return not any(kind.search(problem) for kind in final) and bool(_PASSING.search(problem))


def explained(arguments: Sequence[str], problem: str) -> Failure:
    """A problem as what it means to the caller, with the cure where there is one."""
    told = first_error(problem)
    what = " ".join(arguments[:2])
    if _QUOTA.search(problem):
        return Failure(
            f"{told}\nThe project has no quota for these chips in this zone: ask for it at "
            "https://console.cloud.google.com/iam-admin/quotas, or choose another zone, a smaller "
            "--accelerator-type, or --spot"
        )
    if _ABSENT.search(problem):
        return Absent(told)
    if _PRESENT.search(problem):
        return Present(told)
    if _DENIED.search(problem):
        return Failure(
            f"{told}\nSay gcloud auth login, and see that the project is right, has the TPU API "
            "(gcloud services enable tpu.googleapis.com) and lets you use it (role TPU Admin)"
        )
    return Failure(f"gcloud {what} failed: {told}")


def first_error(problem: str) -> str:
    """The line of gcloud's output that says what is wrong."""
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "error", "FAILED"))]
    return (errors or lines or ["no message"])[0][:400]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
