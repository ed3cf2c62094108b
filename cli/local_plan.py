"""What a local cluster consists of: names, addresses, shares of the machine, commands.

Duty: decide, before anything is started, what each program is told.
Not here: starting them (cli.local_cluster), the Engine (cli.local_engine).
Invariants (tests/unit/cli/test_local_plan.py): no two programs share a port; the shares of all
nodes together are never more than the machine; everything listens on loopback only.
"""

import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from berth.errors import InvalidRequestError, UnavailableError
from berth.wire.tls import TlsSettings
from cli.local_engine import EngineFacts
from cli.local_etcd import EtcdPlace, EtcdProgram, etcd_command
from cli.local_record import Folders, ProcessRecord

HOST: Final = "127.0.0.1"
GRPC_PORT: Final = 7701
HTTP_PORT: Final = 7702
AGENT_PORT: Final = 7703
ETCD_PORT: Final = 2379
_PORT_STEP: Final = 10
_SOCKET_CHARACTERS_MAX: Final = 107  # The kernel's limit for the path of a socket.
_SCHEDULERS_MAX: Final = 9
_AGENTS_MAX: Final = 50
_BILLION: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class UpSettings:
    """What the user asked `berth up` for."""

    schedulers: int = 3
    agents: int = 3
    etcd_urls: tuple[str, ...] = ()
    etcd_prefix: str = ""
    docker_url: str = ""
    start_engine: bool = False
    insecure_registries: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    """The flags of the two numbers that the user wrote."""

    def validate(self) -> None:
        """Check the numbers.

        Raises:
            InvalidRequestError: one of them is out of range.
        """
        for flag, value, most in (
            ("--schedulers", self.schedulers, _SCHEDULERS_MAX),
            ("--agents", self.agents, _AGENTS_MAX),
        ):
            if not 1 <= value <= most:
                raise InvalidRequestError(f"{flag} {value} is not within 1..{most}")


class PortPicker:
    """Gives out loopback ports that nobody listens on, each once."""

    def __init__(self, is_free: Callable[[int], bool] | None = None) -> None:
        self._is_free = is_free or _is_free
        self._taken: set[int] = set()

    def pick(self, preferred: int) -> int:
        """Return `preferred` when it is free, else the next free one above it."""
        for port in range(preferred, 65536):
            if port not in self._taken and self._is_free(port):
                self._taken.add(port)
                return port
        raise UnavailableError(f"no port from {preferred} on is free on {HOST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def program_path(name: str) -> str:
    """Return the path of one of our programs: beside the Python that runs us.

    Raises:
        UnavailableError: it is not installed there.
    """
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise UnavailableError(f'"{path}" does not exist: install berth into this environment')
    return str(path)


def plan_etcd(folders: Folders, program: EtcdProgram, ports: PortPicker) -> ProcessRecord:
    """Return the one etcd of the cluster."""
    urls = [f"http://{HOST}:{ports.pick(port)}" for port in (ETCD_PORT, ETCD_PORT + 1)]
    place = EtcdPlace("berth", folders.etcd, urls[0], urls[1])
    argv = tuple(etcd_command(program, place))
    return ProcessRecord("etcd", "etcd", argv, {}, str(folders.logs / "etcd.log"))


def etcd_url(record: ProcessRecord) -> str:
    """Return where clients reach the etcd that `plan_etcd` planned."""
    return _flag_value(record, "--listen-client-urls")


def plan_schedulers(
    folders: Folders,
    settings: UpSettings,
    etcd_urls: Sequence[str],
    certificates: Callable[[str], TlsSettings],
    ports: PortPicker,
) -> list[ProcessRecord]:
    """Return the schedulers.

    Args:
        folders: of the cluster.
        settings: what the user asked for.
        etcd_urls: of the members of etcd.
        certificates: issues a scheduler's by its name.
        ports: which are given out.
    """
    records = []
    for number in range(1, settings.schedulers + 1):
        name = f"scheduler-{number}"
        step = (number - 1) * _PORT_STEP
        grpc, http = (ports.pick(port + step) for port in (GRPC_PORT, HTTP_PORT))
        argv = [
            program_path("berth-scheduler"),
            f"--name={name}",
            f"--etcd={','.join(etcd_urls)}",
            f"--grpc-listen={HOST}:{grpc}",
            f"--http-listen={HOST}:{http}",
            f"--advertise={HOST}:{grpc}",
            f"--key-file={folders.key_file}",
            *tls_flags(certificates(name)),
            *(f"--insecure-registry={registry}" for registry in settings.insecure_registries),
        ]
        socket_path = folders.sockets / f"{name}.sock"
        if len(str(socket_path)) <= _SOCKET_CHARACTERS_MAX:
            argv.append(f"--docker-socket={socket_path}")
        if settings.etcd_prefix:
            argv.append(f"--etcd-prefix={settings.etcd_prefix}")
        log = str(folders.logs / f"{name}.log")
        records.append(ProcessRecord(name, "scheduler", tuple(argv), {}, log))
    return records


def grpc_address(record: ProcessRecord) -> str:
    """Return where a planned scheduler is reached."""
    return _flag_value(record, "--advertise")


def docker_host(schedulers: Sequence[ProcessRecord]) -> str:
    """Return DOCKER_HOST for the first of planned schedulers: its socket, else its port.

    An earlier Berth's records may have no socket, and a long path leaves no room for one.
    """
    first = schedulers[0]
    path = _flag_value(first, "--docker-socket")
    return f"unix://{path}" if path else f"tcp://{_flag_value(first, '--http-listen')}"


def plan_agents(
    folders: Folders,
    settings: UpSettings,
    docker_url: str,
    facts: EngineFacts,
    schedulers: Sequence[str],
    certificates: Callable[[str], TlsSettings],
    ports: PortPicker,
) -> list[ProcessRecord]:
    """Return the agents: each a node of its own with its share of the one Engine.

    Args:
        folders: of the cluster.
        settings: what the user asked for.
        docker_url: the Engine of all.
        facts: what that Engine has.
        schedulers: gRPC addresses.
        certificates: issues an agent's by its name.
        ports: which are given out.
    """
    nano_cpus, memory_bytes = share(facts, settings.agents)
    records = []
    for number in range(1, settings.agents + 1):
        name = f"node-{number}"
        port = ports.pick(AGENT_PORT + (number - 1) * _PORT_STEP)
        argv = (
            program_path("berth-agent"),
            f"--scheduler={','.join(schedulers)}",
            f"--docker={docker_url}",
            f"--node-name={name}",
            f"--state-dir={folders.agent(name)}",
            f"--files-dir={folders.task_files}",
            f"--advertise={HOST}",
            f"--http-listen={HOST}:{port}",
            f"--cpus={nano_cpus / _BILLION:g}",
            f"--memory={memory_bytes}",
            *tls_flags(certificates(name)),
        )
        log = str(folders.logs / f"{name}.log")
        records.append(ProcessRecord(name, "agent", argv, {}, log))
    return records


def share(facts: EngineFacts, nodes: int) -> tuple[int, int]:
    """Divide a machine: (billionths of a CPU, bytes of memory) that each of `nodes` offers."""
    return facts.cpus * _BILLION // nodes, facts.memory_bytes // nodes


def tls_flags(tls: TlsSettings) -> list[str]:
    """Return the flags by which every program takes its certificate."""
    return [
        f"--tls-ca-file={tls.ca_file}",
        f"--tls-cert-file={tls.cert_file}",
        f"--tls-key-file={tls.key_file}",
    ]


def _flag_value(record: ProcessRecord, flag: str) -> str:
    found = (part for part in record.argv if part.startswith(f"{flag}="))
    return next(found, "").partition("=")[2]
