"""One attempt over HTTP, and what its outcome means for the next."""

from __future__ import annotations

import dataclasses
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any

from clinical_t5x.baselines.prompting.answering import Query
from clinical_t5x.baselines.prompting.endpoint import wire
from clinical_t5x.baselines.prompting.endpoint.address import Address
from clinical_t5x.baselines.prompting.endpoint.patience import asked_wait
from clinical_t5x.baselines.prompting.replies import Reply
from clinical_t5x.console import UserError

_LARGEST_REPLY = 16 << 20  # bytes
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 524, 529})
_NO_MONEY = ("insufficient_quota", "billing")


class PassingError(Exception):
    """An attempt that may succeed another time.

    Attributes:
      wait: seconds that the server asked to wait, or None.
      busy: whether the server said that it is asked too much.
      refused: whether it is sure that the server did no work.
    """

    def __init__(
        self,
        message: str,
        *,
        wait: float | None = None,
        busy: bool = False,
        refused: bool = False,
    ):
        super().__init__(message)
        self.wait, self.busy, self.refused = wait, busy, refused


@dataclasses.dataclass(frozen=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    data: bytes


class Sender:
    """Sends bodies to an address; each thread keeps a connection of its own.

    Redirects are not followed, proxies of the environment are not used, and nothing that was sent
    or received gets into a message.

    Args:
      address: of the API.
      api: "completions" or "chat".
      key: the secret, or None.
      timeout: seconds without a byte.
    """

    def __init__(self, address: Address, api: str, key: str | None, timeout: float):
        self._address, self._api, self._timeout = address, api, timeout
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            name, value = ("api-key", key) if address.azure else ("Authorization", f"Bearer {key}")
            self._headers[name] = value
        self._local = threading.local()

    def send(self, body: Mapping[str, Any], query: Query, *, request: str, count: Any) -> Reply:
        """Make one attempt.

        Args:
          body: of the request.
          query: what it asks.
          request: its hash, the same for every attempt: servers that know idempotency keys do not
            work, or bill, twice.
          count: tokens of an answer, where the server does not say.

        Raises:
          PassingError: another attempt may succeed.
          UserError: none would.
        """
        response = self._exchange(json.dumps(body).encode(), request)
        if response.status == http.HTTPStatus.OK:
            try:
                return wire.reply_of(self._api, response.data, query, count)
            except wire.MalformedReplyError as error:
                raise PassingError(str(error)) from None
        return self._refusal(response)

    def _exchange(self, data: bytes, request: str) -> _Response:
        headers = {**self._headers, "Idempotency-Key": request}
        try:
            connection = self._connection()
            connection.request("POST", self._address.target, body=data, headers=headers)
            answer = connection.getresponse()
            received = answer.read(_LARGEST_REPLY + 1)
            found = {name.lower(): value for name, value in answer.getheaders()}
            if len(received) < _length(found) <= _LARGEST_REPLY:
                raise http.client.IncompleteRead(b"")
        except ssl.SSLCertVerificationError:
            self._close()
            raise UserError(
                f"the certificate of {self._address.host} does not prove who it is; name your"
                " authority's file in SSL_CERT_FILE"
            ) from None
        except (http.client.HTTPException, OSError) as error:
            self._close()
            refused = isinstance(error, ConnectionRefusedError)
            raise PassingError(_plain(error), refused=refused) from None
        if len(received) > _LARGEST_REPLY or answer.will_close:
            self._close()
        if len(received) > _LARGEST_REPLY:
            raise PassingError("a reply without an end")
        return _Response(answer.status, found, received)

    def _connection(self) -> http.client.HTTPConnection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            address = self._address
            if address.scheme == "https":
                connection = http.client.HTTPSConnection(
                    address.host,
                    address.port,
                    timeout=self._timeout,
                    context=ssl.create_default_context(),
                )
            else:
                connection = http.client.HTTPConnection(
                    address.host, address.port, timeout=self._timeout
                )
            self._local.connection = connection
        return connection

    def _close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _refusal(self, response: _Response) -> Reply:
        status, code = response.status, wire.error_code(response.data)
        what = f"{self._address.shown} answered {status}" + (f" ({code})" if code else "")
        no_money = any(word in code for word in _NO_MONEY)
        if status in _PASSING and not no_money:
            wait = asked_wait(response.headers, time.time())
            raise PassingError(what, wait=wait, busy=status in (429, 503, 529), refused=True)
        failure = wire.failure_of(code, response.data) if status in (400, 413, 422) else None
        if failure is not None:
            return Reply("", failure=failure)
        raise UserError(f"{what}: {_advice(status, no_money)}")


def _length(headers: Mapping[str, str]) -> int:
    """Bytes that a reply says it has; 0 where it does not say."""
    value = headers.get("content-length", "")
    return int(value) if value.isdigit() else 0


def _advice(status: int, no_money: bool) -> str:
    if no_money:
        return "the account has no money left, or no such quota"
    if status == http.HTTPStatus.UNAUTHORIZED or status == http.HTTPStatus.FORBIDDEN:
        return "the key is missing, wrong, or not for this model; see --api_key_variable"
    if status == http.HTTPStatus.NOT_FOUND:
        return "there is no such API or model; check --endpoint, --endpoint_model and --api"
    if 300 <= status < 400:
        return "it sends requests elsewhere, which is not followed; name the final address"
    return (
        "it does not take this request; fields are added or taken away with --request_fields"
        ' (such as \'{"max_tokens": null, "max_completion_tokens": 500, "temperature": null}\')'
    )


def _plain(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no reply in time"
    if isinstance(error, http.client.IncompleteRead):
        return "a reply that was cut off"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return "the server hung up"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return type(error).__name__


def check_reachable(address: Address, timeout: float = 10.0) -> None:
    """Raise UserError where nobody listens at an address; nothing is sent."""
    try:
        socket.create_connection((address.host, address.port), timeout).close()
    except OSError as error:
        raise UserError(
            f"nothing answers at {address.shown} ({type(error).__name__}); start the server, or"
            " check --endpoint"
        ) from None
