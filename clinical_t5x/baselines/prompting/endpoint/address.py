"""Where a server is, and whether clinical text may be sent there."""

from __future__ import annotations

import dataclasses
import ipaddress
import urllib.parse

from clinical_t5x.console import UserError

COMPLETIONS, CHAT = "completions", "chat"
APIS = (COMPLETIONS, CHAT)
AGREEMENT_FLAG = "--data_use_agreement_allows_endpoint"
_PATHS = {COMPLETIONS: "completions", CHAT: "chat/completions"}


@dataclasses.dataclass(frozen=True)
class Address:
    """Where requests go.

    Attributes:
      scheme: "http" or "https".
      host: name or number.
      port: of the server.
      target: path and query of the requests.
      azure: whether the server wants Azure's header for the key.
    """

    scheme: str
    host: str
    port: int
    target: str
    azure: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it is this machine: what is sent there stays here."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name: who it is today, it may not be tomorrow
            return False

    @property
    def shown(self) -> str:
        """For people: no query, and never a key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.target.split('?')[0]}"


def address_of(url: str, api: str, model: str, *, azure_api_version: str | None = None) -> Address:
    """The address of an API of a server.

    Args:
      url: of the server, as http://127.0.0.1:8000/v1; "/v1" is added where there is no path. For
        Azure the resource, https://NAME.openai.azure.com.
      api: "completions" or "chat".
      model: of Azure, the deployment.
      azure_api_version: makes it Azure's form.

    Raises:
      UserError: no such kind of URL, or one with a user, password, query or fragment in it.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise UserError(f"--endpoint {url!r} is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"--endpoint {url!r} must begin with http:// or https:// and name a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError(
            "--endpoint takes no user, password, query or fragment: a key comes from the"
            " environment (--api_key_variable), Azure's version from --azure_api_version"
        )
    path = parts.path.rstrip("/")
    if azure_api_version is not None:
        deployment = urllib.parse.quote(model, safe="")
        version = urllib.parse.quote(azure_api_version, safe="")
        path = f"{path.removesuffix('/openai')}/openai/deployments/{deployment}"
        target = f"{path}/{_PATHS[api]}?api-version={version}"
    else:
        target = f"{path or '/v1'}/{_PATHS[api]}"
    port = port or (443 if parts.scheme == "https" else 80)
    return Address(parts.scheme, parts.hostname, port, target, azure_api_version is not None)


def check_allowed(address: Address, *, synthetic: bool, agreement_allows: bool) -> None:
    """Refuse to send clinical text to another machine unless its user says that they may.

    Args:
      address: where it would go.
      synthetic: whether the data set says that it is synthetic; such text may go anywhere.
      agreement_allows: the user's statement.

    Raises:
      UserError: they have not said so, or the text would travel unencrypted.
    """
    if address.is_local or synthetic:
        return
    if not agreement_allows:
        raise UserError(
            f"{address.host} is not this machine. PhysioNet's data-use agreement forbids to share"
            " credentialed data with third parties, and its policy (physionet.org: 'Responsible use"
            " of MIMIC data with online services like GPT') allows only services that neither keep"
            " nor review what is sent. If your agreement and this service's"
            f" contract allow it, say so with {AGREEMENT_FLAG}; else run a server on this machine"
            " (vLLM, llama.cpp), or try everything on the synthetic PhysioNet"
        )
    if address.scheme != "https":
        raise UserError(
            f"{address.host} would get clinical text unencrypted; use https, or a tunnel: ssh -L"
            f" {address.port}:127.0.0.1:{address.port} {address.host}, and --endpoint"
            f" http://127.0.0.1:{address.port}"
        )
