"""The roll call before a group of processes starts JAX: who is there, and who is missing.

JAX's own start ends a process that waits too long with a stack trace that names nobody. So the
processes meet first, on the very port where JAX's coordinator will listen a moment later: all tell
the first one their number and machine, and it answers when everyone is there, or says who is not.
One line of JSON each way; nothing else is ever read from the connection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import selectors
import socket
import time
from collections.abc import Mapping
from typing import Any

from clinical_t5x.console import Progress, UserError

_GREETING = "clinical_t5x roll call 1"
_LONGEST_LINE = 1 << 20
_BETWEEN_TRIES = 0.2
_TICK = 1.0
# Whoever waits says so this often; a machine that is gone without a word is no longer counted.
_BETWEEN_SIGNS, _SILENCE = 2.0, 20.0
# How long the others wait beyond the first one's patience, for its answer to be theirs.
_GRACE = 15.0


@dataclasses.dataclass(frozen=True)
class Member:
    """One process of the group, as it introduces itself.

    Attributes:
      index: its number.
      count: how many processes it believes in.
      machine: the name of its machine.
    """

    index: int
    count: int
    machine: str


def call_roll(
    member: Member,
    address: str,
    *,
    timeout: float,
    places: Mapping[int, str] | None = None,
) -> list[str]:
    """Wait until all processes of the group are there.

    Args:
      member: this process; number 0 keeps the roll.
      address: HOST:PORT of number 0.
      timeout: seconds to wait.
      places: where other processes were to be started, as far as that is known, for messages.

    Returns:
      The machines' names, by number.

    Raises:
      UserError: somebody is missing, or processes do not agree on who they are.
    """
    host, port = split_address(address)
    if member.index == 0:
        return _Roll(member, port, timeout, places or {}).keep()
    return _report(member, host, port, timeout)


def split_address(address: str) -> tuple[str, int]:
    """Host and port of HOST:PORT or [IPv6]:PORT.

    Raises:
      UserError: the address is not of that form.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UserError(
            f"--coordinator_address={address}: give HOST:PORT, such as 10.0.0.1:8482, the same on "
            "every host"
        )
    return host.strip("[]"), int(port)


@dataclasses.dataclass
class _Line:
    """A connection to the roll: what was read of it, when it was last heard, who it is."""

    heard: float
    text: bytes = b""
    member: Member | None = None


class _Roll:
    """What the first process does: listens, writes down, answers."""

    def __init__(self, member: Member, port: int, timeout: float, places: Mapping[int, str]):
        self._member, self._port, self._places = member, port, places
        self._timeout, self._deadline = timeout, time.monotonic() + timeout
        self._selector = selectors.DefaultSelector()
        self._lines: dict[socket.socket, _Line] = {}

    def keep(self) -> list[str]:
        """Wait for all; their machines by number."""
        if self._member.count == 1:
            return [self._member.machine]
        listener = self._listen()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        try:
            self._gather(listener)
            answer: dict[str, Any] = {"machines": self._machines()}
        except UserError as error:
            answer = {"error": str(error)}
            raise
        finally:
            # closed before the answer: whoever has it may try JAX's coordinator at once
            listener.close()
            self._answer(answer)
        return answer["machines"]

    def _listen(self) -> socket.socket:
        while True:
            try:
                return _listening_socket(self._port)
            except OSError as error:
                if time.monotonic() > self._deadline:
                    raise UserError(
                        f"port {self._port} of this machine ({self._member.machine}) cannot be "
                        f"used: {error.strerror}; end the process that holds it, or choose another "
                        "port with --coordinator_address"
                    ) from None
                time.sleep(_BETWEEN_TRIES)

    def _gather(self, listener: socket.socket) -> None:
        with Progress("processes present", self._member.count, unit="process") as progress:
            shown = 0
            while missing := self._missing():
                if time.monotonic() > self._deadline:
                    raise UserError(self._missing_text(missing))
                present = self._member.count - len(missing)
                names = ", ".join(map(str, missing[:8]))
                progress.advance(present - shown, note=f"missing: {names}")
                shown = present
                for key, _ in self._selector.select(_TICK):
                    if key.fileobj is listener:
                        self._accept(listener)
                    else:
                        self._read(key.fileobj)
                self._forget_silent()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            connection.setblocking(False)
            self._lines[connection] = _Line(time.monotonic())
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            part = connection.recv(1 << 16)
        except OSError:
            part = b""
        line = self._lines[connection]
        line.heard = time.monotonic()
        if not part or len(line.text) > _LONGEST_LINE:
            self._forget(connection)
        elif line.member is None:
            line.text += part
            if b"\n" in line.text:
                self._write_down(connection, line)

    def _write_down(self, connection: socket.socket, line: _Line) -> None:
        member, mine = _introduction(line.text.partition(b"\n")[0]), self._member
        if member is None:
            self._forget(connection)  # somebody else's program
            return
        if member.count != mine.count:
            raise UserError(
                f"the process on {member.machine} was started for {member.count} processes, the "
                f"first one ({mine.machine}) for {mine.count}: give the same --process_count "
                "everywhere"
            )
        present = {0: mine.machine} | {i: found.machine for i, found in self._present().items()}
        if member.index in present:
            raise UserError(
                f"two processes have the number {member.index}, on {present[member.index]} and on "
                f"{member.machine}: give each its own --process_index"
            )
        line.member = member

    def _present(self) -> dict[int, Member]:
        found = [line.member for line in self._lines.values() if line.member is not None]
        return {member.index: member for member in found}

    def _machines(self) -> list[str]:
        members = self._present() | {0: self._member}
        return [members[index].machine for index in range(self._member.count)]

    def _forget(self, connection: socket.socket) -> None:
        """A process that went away before all were there may come back."""
        self._selector.unregister(connection)
        del self._lines[connection]
        connection.close()

    def _forget_silent(self) -> None:
        oldest = time.monotonic() - _SILENCE
        for connection in [c for c, line in self._lines.items() if line.heard < oldest]:
            self._forget(connection)

    def _missing(self) -> list[int]:
        present = self._present()
        return [i for i in range(1, self._member.count) if i not in present]

    def _missing_text(self, missing: list[int]) -> str:
        named = [f"{i} ({self._places[i]})" if i in self._places else str(i) for i in missing[:16]]
        more = f" and {len(missing) - 16} more" if len(missing) > 16 else ""
        return (
            f"after {self._timeout:.0f} s, {len(missing)} of {self._member.count} processes are "
            f"missing: number {', '.join(named)}{more}. Look at those hosts' logs, see that they "
            f"reach port {self._port} of {self._member.machine}, and start the same command on "
            "every host (--initialization_timeout=SECONDS waits longer)"
        )

    def _answer(self, answer: dict[str, Any]) -> None:
        text = json.dumps(answer).encode() + b"\n"
        for connection in self._lines:
            with contextlib.suppress(OSError):
                connection.settimeout(5.0)
                connection.sendall(text)
            connection.close()
        self._selector.close()


def _listening_socket(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024
            )
    return socket.create_server(("", port), backlog=1024)


def _introduction(line: bytes) -> Member | None:
    """Who says so in this line; None where it is nobody's introduction."""
    try:
        said = json.loads(line)
        if said.pop("greeting") != _GREETING:
            return None
        member = Member(**said)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    whole = isinstance(member.index, int) and isinstance(member.count, int)
    return member if whole and member.index >= 0 else None


def _report(member: Member, host: str, port: int, timeout: float) -> list[str]:
    """What the other processes do: introduce themselves, and wait for the answer."""
    deadline = time.monotonic() + timeout
    reached = False
    while True:
        left = deadline - time.monotonic()
        if left < 0:
            raise UserError(_nobody_text(host, port, timeout, reached=reached))
        try:
            with socket.create_connection((host, port), timeout=min(10.0, left + 0.1)) as line:
                reached = True
                introduction = {"greeting": _GREETING, **dataclasses.asdict(member)}
                line.sendall(json.dumps(introduction).encode() + b"\n")
                answer = _answered(line, deadline + _GRACE)
        except OSError:
            answer = None
        if answer is not None:
            if "error" in answer:
                raise UserError(str(answer["error"]))
            return [str(machine) for machine in answer["machines"]]
        time.sleep(_BETWEEN_TRIES)


def _answered(line: socket.socket, deadline: float) -> dict[str, Any] | None:
    """The roll keeper's answer, however long others take; None when there is none."""
    received = b""
    line.settimeout(_BETWEEN_SIGNS)
    while b"\n" not in received and len(received) < _LONGEST_LINE:
        try:
            part = line.recv(1 << 16)
        except TimeoutError:
            if time.monotonic() > deadline:
                return None
            line.sendall(b"\n")  # a sign of life
            continue
        if not part:
            break
        received += part
    try:
        answer = json.loads(received)
    except ValueError:  # an earlier run's coordinator, which is about to go
        return None
    known = isinstance(answer, dict) and ("error" in answer or "machines" in answer)
    return answer if known else None


def _nobody_text(host: str, port: int, timeout: float, *, reached: bool) -> str:
    found = "answers, but not as the first process of this run" if reached else "does not answer"
    return (
        f"after {timeout:.0f} s, {host}:{port} {found}: see that process 0 runs there, that the "
        "address is right, and that the network lets this port through "
        "(--initialization_timeout=SECONDS waits longer)"
    )
