"""What the gateway is told at the start, and where the Docker API may be served.

Duty: the settings, and the rule for TCP. Not here: listening (scheduler.process), reading files.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

LOCAL_NAMES: Final = frozenset({"localhost", "ip6-localhost"})


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Who this scheduler is, as clients are told.

    `socket` is the path of the unix socket, "" without one.
    """

    scheduler: str
    software_version: str
    socket: str = ""


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach a listener on `address` (HOST:PORT, unix:PATH)."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]").partition("%")[0]
    if host in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # A name may mean anything, and an empty host means every address.


def refusal_of_tcp(address: str, socket: str, *, has_tls: bool) -> str:
    """Return what a client is told where the Docker API is not served without TLS.

    Args:
        address: what the setting `http_listen` says.
        socket: the path of the unix socket, "" without one.
        has_tls: whether certificates are set up, so that the same address serves it with TLS.
    """
    ways = []
    if has_tls:
        ways.append("use TLS with a client's certificate: DOCKER_TLS_VERIFY=1, DOCKER_CERT_PATH")
    else:
        ways.append("set the files in [tls] and come with a client's certificate")
    ways.append(f"use the unix socket: DOCKER_HOST=unix://{socket}" if socket else "")
    ways.append("" if socket else "set docker_socket")
    ways.append("let http_listen be a loopback address")
    ways.append("set docker_insecure_tcp = true")
    return (
        f'the Docker API is not served without TLS here (http_listen = "{address}", '
        "docker_insecure_tcp = false), because everybody who reaches this address could use the "
        f"cluster; {', or '.join(filter(None, ways))}"
    )
