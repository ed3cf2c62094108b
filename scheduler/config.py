"""The settings of a scheduler process, validated once at the start.

Sources, later ones winning: a TOML file, `BERTH_*` environment, flags (berth.config). Nothing below
`scheduler.main` reads a setting by itself.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from berth.errors import ConfigError, Fault
from berth.logging import LogSettings
from berth.wire.tls import TlsSettings
from scheduler.registry.transport import RegistrySettings
from scheduler.store.etcd_settings import EtcdSettings


@dataclass(frozen=True, slots=True)
class EtcdSection:
    """`[etcd]`: where the cluster's state lives."""

    endpoints: tuple[str, ...] = ("127.0.0.1:2379",)
    prefix: str = "/berth/"
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    lease_ttl_s: int = 5


@dataclass(frozen=True, slots=True)
class TlsSection:
    """`[tls]`: mutual TLS between schedulers, agents and clients; all three files or none."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class RegistrySection:
    """`[registry]`: how image tags are resolved to digests."""

    insecure_registries: tuple[str, ...] = ()
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """Everything that a scheduler process is told."""

    name: str = field(default_factory=socket.gethostname)
    grpc_listen: str = "0.0.0.0:7701"
    http_listen: str = "127.0.0.1:7702"
    advertise: str = ""
    """Host, or host:port, by which agents and other schedulers reach us; default: our host name."""
    key_file: str = ""
    """The key that seals credentials, configs and secrets at rest; without it none are kept."""
    docker_socket: str = ""
    """Path of a unix socket for the Docker API; "" = none."""
    docker_socket_group: str = ""
    """Whose members may use that socket, beside its owner: a name or a number; "" = our own."""
    docker_insecure_tcp: bool = False
    """Serve the Docker API without TLS on http_listen even where others can reach it."""
    etcd: EtcdSection = field(default_factory=EtcdSection)
    tls: TlsSection = field(default_factory=TlsSection)
    registry: RegistrySection = field(default_factory=RegistrySection)
    log: LogSettings = field(default_factory=LogSettings)

    def validate(self) -> None:
        """Check what the types cannot.

        Raises:
            ConfigError: lists every fault.
        """
        faults = []
        if not self.name:
            faults.append(Fault("name", "is empty: give each scheduler a name of its own"))
        if self.etcd.lease_ttl_s < 2:
            faults.append(
                Fault("etcd.lease_ttl_s", f"{self.etcd.lease_ttl_s} is below 2, etcd's shortest")
            )
        if self.docker_socket_group and not self.docker_socket:
            group = f'"{self.docker_socket_group}" has no socket to use: set docker_socket too'
            faults.append(Fault("docker_socket_group", group))
        for key in ("grpc_listen", "http_listen"):
            value = getattr(self, key)
            if not value.startswith("unix:") and ":" not in value:
                faults.append(Fault(key, f'"{value}" is not HOST:PORT; write 0.0.0.0:7701'))
        faults += self._faults_of_parts()
        if faults:
            listed = "; ".join(str(fault) for fault in faults)
            raise ConfigError(f"the scheduler's settings are wrong: {listed}", faults)

    def _faults_of_parts(self) -> list[Fault]:
        """Return what etcd's client, the registry's and TLS would refuse at the start.

        Not whether files are there: those that systemd loads are not, for whoever checks by hand.
        """
        etcd, registry = self.etcd, self.registry
        parts: list[tuple[str, Callable[[], object]]] = [
            ("", lambda: EtcdSettings(endpoints=etcd.endpoints, prefix=etcd.prefix)),
            ("registry.", lambda: RegistrySettings(registry.insecure_registries)),
            ("", self.tls_settings),
        ]
        faults = []
        for section, build in parts:
            try:
                build()
            except ConfigError as error:
                faults += [Fault(section + fault.path, fault.problem) for fault in error.faults]
        return faults

    def tls_settings(self) -> TlsSettings | None:
        """Return the TLS files, or None where the cluster runs without TLS."""
        return TlsSettings.from_paths(self.tls.ca_file, self.tls.cert_file, self.tls.key_file)

    def advertised(self, port: int) -> str:
        """Return the host:port that others are told, for the gRPC port that was bound."""
        host = self.advertise or socket.gethostname()
        return host if _has_port(host) else f"{host}:{port}"


def _has_port(address: str) -> bool:
    _, colon, port = address.rpartition(":")
    return bool(colon) and port.isdigit() and not address.endswith("]")
