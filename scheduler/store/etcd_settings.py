"""Settings of the connection to etcd, validated once.

Duty: hold them, refuse wrong ones with every fault at once, and build gRPC credentials and options.
Not here: reading them from files or the environment (scheduler.config).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from berth.errors import ConfigError, Fault

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """How to reach etcd and how long to wait for it."""

    endpoints: tuple[str, ...]
    """Members, each ``host:port`` with or without ``http://`` or ``https://`` before it."""
    prefix: str = "/berth/"
    """All keys of this cluster begin with it."""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    attempt_timeout_s: float = 2.0
    """How long one member may take before the next is asked. Below 1 s a change of etcd's leader
    is punished with needless switching; above 3 s a hung member costs too much of the lease."""
    call_timeout_s: float = 4.0
    """How long one call may take over all members together."""
    watch_probe_s: float = 2.0
    """A watch that is silent that long is asked for a sign of life, and given up after twice it."""
    max_message_bytes: int = 256 * _MIB

    def __post_init__(self) -> None:
        faults = list(self._find_faults())
        if faults:
            listed = "; ".join(str(fault) for fault in faults)
            raise ConfigError(f"the etcd settings are wrong: {listed}", faults)

    def _find_faults(self) -> list[Fault]:
        faults = []
        if not self.endpoints:
            faults.append(Fault("etcd.endpoints", "is empty: name at least one host:port"))
        for endpoint in self.endpoints:
            host, _, port = address_of(endpoint).rpartition(":")
            if not host or not port.isdigit():
                faults.append(Fault("etcd.endpoints", f'"{endpoint}" is not host:port'))
        if len({endpoint.startswith("https://") for endpoint in self.endpoints}) > 1:
            faults.append(Fault("etcd.endpoints", "mix https:// with plain ones: use one kind"))
        if not (self.prefix.startswith("/") and self.prefix.endswith("/")):
            faults.append(
                Fault("etcd.prefix", f'"{self.prefix}" must begin and end with "/", as "/berth/"')
            )
        if (self.cert_file is None) != (self.key_file is None):
            faults.append(Fault("etcd.cert_file", "needs etcd.key_file, and the other way round"))
        if self.username is not None and not self.password:
            faults.append(Fault("etcd.password", f'is needed for the user "{self.username}"'))
        files = {"ca_file": self.ca_file, "cert_file": self.cert_file, "key_file": self.key_file}
        faults.extend(
            Fault(f"etcd.{name}", f'there is no file "{path}"')
            for name, path in files.items()
            if path is not None and not Path(path).is_file()
        )
        if not 0 < self.attempt_timeout_s <= self.call_timeout_s:
            faults.append(
                Fault("etcd.attempt_timeout_s", "must be above 0 and at most call_timeout_s")
            )
        return faults

    @property
    def uses_tls(self) -> bool:
        """Tell whether members are spoken to over TLS."""
        return self.ca_file is not None or self.endpoints[0].startswith("https://")

    @property
    def addresses(self) -> tuple[str, ...]:
        """The members as ``host:port``."""
        return tuple(address_of(endpoint) for endpoint in self.endpoints)


def address_of(endpoint: str) -> str:
    """Return ``host:port`` of an endpoint that may carry a scheme and a slash."""
    return endpoint.removeprefix("https://").removeprefix("http://").rstrip("/")


@dataclass(frozen=True, slots=True)
class EtcdTlsContent:
    """What the files hold; equal to another if nothing was renewed."""

    ca: bytes | None
    cert: bytes | None
    key: bytes | None = field(repr=False)

    def credentials(self) -> grpc.ChannelCredentials:
        """Return credentials for channels."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.cert)


def tls_content(settings: EtcdSettings) -> EtcdTlsContent | None:
    """Read the files, and check that they are what gRPC takes for granted; None for plain speech.

    Raises:
        ConfigError: it lists every file that cannot be read or is no PEM.
    """
    if not settings.uses_tls:
        return None
    faults: list[Fault] = []

    def content(name: str, path: str | None, parse: Callable[[bytes], object]) -> bytes | None:
        if path is None:
            return None
        try:
            found = Path(path).read_bytes()
            parse(found)
        except (OSError, ValueError, TypeError) as error:
            faults.append(Fault(f"etcd.{name}", f'"{path}" cannot be used: {error}'))
            return None
        return found

    result = EtcdTlsContent(
        content("ca_file", settings.ca_file, x509.load_pem_x509_certificates),
        content("cert_file", settings.cert_file, x509.load_pem_x509_certificates),
        content("key_file", settings.key_file, partial(load_pem_private_key, password=None)),
    )
    if faults:
        listed = "; ".join(str(fault) for fault in faults)
        raise ConfigError(f"the etcd settings are wrong: {listed}", faults)
    return result


def channel_options(settings: EtcdSettings) -> list[tuple[str, int]]:
    """Return gRPC channel options for one member."""
    return [
        # A subchannel of its own: a reconnect here never waits for somebody else's back-off.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # etcd takes pings more often than every 5 s for an attack. grpcio 1.85 ignores
        # keepalive_timeout unless ping_timeout is set as well.
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 3000),
        ("grpc.http2.ping_timeout_ms", 3000),
    ]
