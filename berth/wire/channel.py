"""The one place that builds gRPC channels and servers.

Duty: the options that every connection of Berth has: TLS, keepalive, sizes, reconnecting; and the
channels that a process keeps open, which a renewed certificate replaces.
Not here: etcd's own transport rules beyond these options (scheduler.store), errors (wire.status).
Invariants (tests/contract/test_channel.py): a frozen peer is noticed within
`keepalive.time_s + keepalive.timeout_s` and a little; a second server on a taken port is refused;
no proxy from the environment stands between the parts of a cluster.
"""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio

from berth.errors import ConfigError, Fault
from berth.wire import kernel_keepalive
from berth.wire.tls import Role, TlsSource

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
METADATA_BYTES_MAX: Final = 64 * 1024  # Faults of a large request travel as trailing metadata.
_READ_AHEAD_BYTES: Final = 1024 * 1024  # Of one stream: 10 MB a second where the way takes 0.1 s.
_RECONNECT_DELAY_S_MIN: Final = 0.1
_RECONNECT_DELAY_S_MAX: Final = 2.0
_CONNECT_TIMEOUT_S: Final = 5.0
# Clients may ping each second; half of it, so that a ping which the network held up does not make
# the next one look too early.
_CLIENT_PING_INTERVAL_S_MIN: Final = 0.5

Options = list[tuple[str, str | int]]


@dataclass(frozen=True, slots=True)
class Keepalive:
    """When to ask a silent peer whether it is there, and how long to wait for its word."""

    time_s: float
    timeout_s: float

    def __post_init__(self) -> None:
        assert self.time_s >= 1.0, "gRPC's floor for a server is one second"
        assert self.timeout_s > 0


# Together well under `lost_after` (5 s): a dead machine is disconnected before it is lost.
CHANNEL_KEEPALIVE: Final = Keepalive(time_s=2.0, timeout_s=2.0)

# Where the kernel watches the peer's machine, PINGs need only find processes that do not turn. One
# side asks, and both know, since a PING is a sign of life itself. It is the agent: a leader, which
# has thousands, then neither has a timer that fires for each nor twice as many changes of threads.
# It asks those itself that did not ask in time.
SERVER_KEEPALIVE: Final = Keepalive(time_s=5.0, timeout_s=2.0)
SESSION_KEEPALIVE: Final = Keepalive(time_s=4.5, timeout_s=2.0)


def open_channel(
    target: str,
    tls: TlsSource | None,
    *,
    keepalive: Keepalive = CHANNEL_KEEPALIVE,
    server_name: str = Role.SCHEDULER.tls_name,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> grpc.aio.Channel:
    """Open a channel to `target` (HOST:PORT or unix:PATH); it connects when first used.

    Args:
        target: one address. Choosing between several is the caller's.
        tls: our certificate; None speaks in the clear.
        keepalive: for the time that a call is open; an idle channel sends nothing.
        server_name: what the server's certificate must name, whatever its address; "" checks
            the address itself, for servers that are not Berth's.
        interceptors: for the client side.
    """
    options = _options(keepalive)
    options += [
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.initial_reconnect_backoff_ms", _ms(_RECONNECT_DELAY_S_MIN)),
        ("grpc.max_reconnect_backoff_ms", _ms(_RECONNECT_DELAY_S_MAX)),
        # Despite its name the time that one attempt to connect may take.
        ("grpc.min_reconnect_backoff_ms", _ms(_CONNECT_TIMEOUT_S)),
        # A connection and a back-off of its own, though another channel has the same target.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    ]
    if tls is None:
        return grpc.aio.insecure_channel(target, options, interceptors=interceptors)
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    return grpc.aio.secure_channel(
        target, tls.channel_credentials(), options, interceptors=interceptors
    )


class Channels:
    """Channels by address, each opened when it is first asked for. Close them."""

    def __init__(self, open_one: Callable[[str], grpc.aio.Channel], limit: int = 8) -> None:
        """Open nothing yet.

        Args:
            open_one: how a channel to an address is opened.
            limit: how many are kept; the oldest goes first.
        """
        self._open_one = open_one
        self._limit = limit
        self._open: dict[str, grpc.aio.Channel] = {}
        self._retired: list[grpc.aio.Channel] = []

    async def to(self, address: str) -> grpc.aio.Channel:
        """Return the channel to `address`."""
        channel = self._open.get(address)
        if channel is None:
            channel = self._open[address] = self._open_one(address)
            while len(self._open) > self._limit:
                await self._open.pop(next(iter(self._open))).close(None)
            while len(self._retired) > self._limit:
                await self._retired.pop(0).close(None)
        return channel

    def renew(self) -> None:
        """Connect anew from the next call on; calls under way end on the connections they have."""
        self._retired += self._open.values()
        self._open = {}

    async def aclose(self) -> None:
        """Close all of them; calls under way are cancelled."""
        channels = [*self._retired, *self._open.values()]
        self._retired, self._open = [], {}
        for channel in channels:
            await channel.close(None)


def make_server(
    *,
    keepalive: Keepalive | None = None,
    interceptors: "Sequence[grpc.aio.ServerInterceptor[Any, Any]]" = (),
) -> grpc.aio.Server:
    """Make a server that listens nowhere yet; `bind` it, add its services, start it.

    Args:
        keepalive: SERVER_KEEPALIVE, or more often where the kernel does not help, unless given.
        interceptors: for the server side.
    """
    if keepalive is None:
        keepalive = SERVER_KEEPALIVE if kernel_keepalive.is_available() else CHANNEL_KEEPALIVE
    options = _options(keepalive)
    options += [
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(_CLIENT_PING_INTERVAL_S_MIN)),
        # Two schedulers on one port would share its connections between them.
        ("grpc.so_reuseport", 0),
    ]
    return grpc.aio.server(interceptors=list(interceptors), options=options)


def bind(server: grpc.aio.Server, address: str, tls: TlsSource | None) -> int:
    """Listen on `address` (HOST:PORT or unix:PATH); return the port, chosen by the system for 0.

    Raises:
        ConfigError: the address is taken or not ours, or TLS is set up wrongly.
    """
    credentials = None if tls is None else tls.server_credentials()
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        problem = f'cannot listen on "{address}": {_bind_problem(address)}'
        raise ConfigError(problem, [Fault("grpc_listen", problem)]) from error
    if not address.startswith("unix:") and kernel_keepalive.is_available():
        armed = kernel_keepalive.arm_listeners(port)
        assert armed, f"gRPC listens on port {port} by a socket that is not ours"
    return port


def _options(keepalive: Keepalive) -> Options:
    return [
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.keepalive_time_ms", _ms(keepalive.time_s)),
        ("grpc.keepalive_timeout_ms", _ms(keepalive.timeout_s)),
        # grpcio 1.85 takes the time to wait for a ping's answer from here, 60 s if unset.
        ("grpc.http2.ping_timeout_ms", _ms(keepalive.timeout_s)),
        ("grpc.http2.max_pings_without_data", 0),  # A quiet stream is pinged for ever.
        # Else nearly every message is followed by a PING that measures the way, and by its answer:
        # two fifths of what a message costs either side. In its stead a window for most ways.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _READ_AHEAD_BYTES),
    ]


def _bind_problem(address: str) -> str:
    """Find out by a socket of our own what gRPC does not tell: why nobody can listen there."""
    fix = "stop what listens there, or choose another address"
    if address.startswith("unix:"):
        return f"check that its folder exists and may be written; {fix}"
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _name, place in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        return f"{reason}; {fix}"
    return fix


def _ms(time_s: float) -> int:
    return round(time_s * 1000)
