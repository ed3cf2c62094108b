"""HTTP for registries: every wait and every body bounded, TLS by the operator's rules.

Duty: send one request and read its answer within a deadline; know which registries may be spoken
to without proof of name; say in words what a failed request came to.
Not here: the registry's protocol (client), credentials (auth).
Invariants (tests/unit/scheduler/registry/test_transport.py, tests/contract/test_registry*.py): a
trickling or endless body ends with an error; nothing is added to a request from ~/.netrc.
"""

import ipaddress
import os
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3

from berth.clock import Clock
from berth.errors import ConfigError, Fault
from berth.model.instant import Instant

_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_BODY_BYTES_MAX: Final = 4 * 1024 * 1024  # The most that registries accept for a manifest.
_CHUNK_BYTES: Final = 64 * 1024
_REDIRECTS_MAX: Final = 5
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")
_USER_AGENT: Final = "berth"


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """How registries are asked.

    `insecure_registries` are `HOST[:PORT]` or CIDR: with these TLS certificates are not checked,
    and plain HTTP is spoken where TLS is not. Loopback always counts as one, as in Docker.
    `ca_file` holds the authorities to trust, in PEM; "" means those of the system, as Docker does.
    `total_timeout_s` bounds one resolution, from asking to answer.
    """

    insecure_registries: tuple[str, ...] = ()
    ca_file: str = ""
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    total_timeout_s: float = 30.0
    concurrency_max: int = 8

    def __post_init__(self) -> None:
        faults = [
            Fault("insecure_registries", f'"{entry}" is not HOST, HOST:PORT or CIDR')
            for entry in self.insecure_registries
            if not entry or "://" in entry or ("/" in entry and _network(entry) is None)
        ]
        limits = ("connect_timeout_s", "read_timeout_s", "total_timeout_s", "concurrency_max")
        faults += [
            Fault(name, f"{getattr(self, name)} is not above 0")
            for name in limits
            if getattr(self, name) <= 0
        ]
        if self.ca_file and not Path(self.ca_file).is_file():
            faults.append(Fault("ca_file", f'"{self.ca_file}" is not a file'))
        if faults:
            lines = "; ".join(str(fault) for fault in faults)
            raise ConfigError(f"invalid registry settings: {lines}", faults)

    def is_insecure(self, authority: str) -> bool:
        """Tell whether `authority` (HOST or HOST:PORT) may be spoken to without proof of name.

        A name is looked up only to compare it with a CIDR that the operator listed: were names
        compared with loopback too, whoever forges DNS answers could turn TLS off.
        """
        host = urlsplit(f"//{authority}").hostname or ""
        if host == "localhost" or any(
            entry.lower() in (authority.lower(), host) for entry in self.insecure_registries
        ):
            return True
        listed = [network for entry in self.insecure_registries if (network := _network(entry))]
        literal = _address(host)
        if literal is not None:
            return any(literal in network for network in (*_LOOPBACK, *listed))
        return bool(listed) and any(
            address in network for address in _addresses(host) for network in listed
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; the body is whole."""

    status: int
    headers: "requests.structures.CaseInsensitiveDict[str]"
    body: bytes


class Transport:
    """The connections of one conversation. For one thread at a time; close it."""

    def __init__(self, settings: RegistrySettings, clock: Clock, deadline: Instant) -> None:
        self._settings = settings
        self._clock = clock
        self._deadline = deadline
        self._session = requests.Session()
        self._session.max_redirects = _REDIRECTS_MAX
        self._session.auth = _leave_headers_alone
        self._trusted = settings.ca_file or _system_authorities()

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        *,
        is_verified: bool,
        query: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request and return its answer, whatever its status.

        Raises:
            requests.RequestException: there is no whole answer; `reason` puts it in words.
        """
        if not is_verified:  # The operator listed it, or it is this machine: no need to warn.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        left_s = self._deadline - self._clock.instant()
        if left_s <= 0:
            raise requests.Timeout("out of time")
        with self._session.request(
            method,
            url,
            headers={"User-Agent": _USER_AGENT, **headers},
            params=query,
            data=form,
            timeout=(
                min(self._settings.connect_timeout_s, left_s),
                min(self._settings.read_timeout_s, left_s),
            ),
            verify=self._trusted if is_verified else False,
            stream=True,
        ) as response:
            return Answer(response.status_code, response.headers, self._read(response))

    def _read(self, response: requests.Response) -> bytes:
        """Read a body piece by piece, so that neither its size nor a trickle is without bound."""
        body = bytearray()
        try:
            while piece := response.raw.read1(_CHUNK_BYTES, decode_content=True):
                body += piece
                if len(body) > _BODY_BYTES_MAX:
                    raise requests.RequestException(f"body above {_BODY_BYTES_MAX} bytes")
                if self._clock.instant() > self._deadline:
                    raise requests.Timeout("out of time within a body")
        except urllib3.exceptions.TimeoutError as error:
            raise requests.Timeout(str(error)) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise requests.ConnectionError(str(error)) from error
        return bytes(body)


def _system_authorities() -> str | bool:
    """Return where the system keeps the authorities that it trusts; True for those of `requests`.

    A company's own authority is installed there for its Engines, and must count here too.
    """
    if os.environ.get("REQUESTS_CA_BUNDLE"):
        return True
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    if paths.capath and any(Path(paths.capath).glob("*.0")):
        return paths.capath
    return True


def _leave_headers_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand where `requests` would otherwise add a password of ~/.netrc."""
    return request


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return what `host` resolves to; nothing when it does not: the request will say so."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def reason(error: requests.RequestException) -> str:
    """Say in a few words what a failed request came to."""
    match error:
        case requests.exceptions.SSLError():
            return (
                f"offers no TLS that can be trusted ({clean(_innermost(error))}); install its CA, "
                "name it as ca_file, or list the registry in insecure_registries"
            )
        case requests.ConnectTimeout():
            return "does not answer (connect timeout)"
        case requests.Timeout():
            return "does not answer in time"
        case requests.TooManyRedirects():
            return "redirects without end"
        case _:
            return f"cannot be reached ({clean(_innermost(error))})"


def _innermost(error: requests.RequestException) -> str:
    """Return what the system or the peer said, without the layers that wrapped it."""
    inner: object = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(inner, urllib3.exceptions.HTTPError):
        inner = inner.__cause__ or (inner.args[0] if inner.args else inner)
    return _ERRNO.sub("", str(inner or error))


def clean(text: str) -> str:
    """Make a stranger's text safe to print, and short."""
    return "".join(char if char.isprintable() else " " for char in text)[:200]
