"""Settings of the agent: `berth-agent --help` and deploy/config/agent.toml tell the same.

Duty: which settings there are, their defaults, and what holds between them.
Not here: reading file, environment and flags (berth.config).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from berth.errors import ConfigError, Fault, InvalidRequestError
from berth.logging import LogSettings
from berth.model.resources import NodeResources, parse_cpus, parse_memory
from berth.wire.tls import TlsSettings
from nodeagent.core.state import LaneLimits

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The ``[tls]`` table: all three files, or none to speak in the clear."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def settings(self) -> TlsSettings | None:
        """Return them for a channel; None without any.

        Raises:
            ConfigError: some are missing; it names them.
        """
        return TlsSettings.from_paths(self.ca_file, self.cert_file, self.key_file)


@dataclass(frozen=True, slots=True)
class ParallelSettings:
    """The ``[parallel]`` table: how hard the Engine is worked."""

    pulls: int = 3
    prepares: int = 4
    starts: int = 8
    stops: int = 16
    engine_calls: int = 8

    def lanes(self) -> LaneLimits:
        """Return the limits of the core's lanes."""
        return LaneLimits(prepare=self.prepares, start=self.starts, stop=self.stops)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Everything that an agent is told at its start.

    `label` and `generic_resource` are tables of the file: ``[label] zone = "a"``. The value of a
    generic resource is a count (``ssd = "3"``) or names (``gpu = "uuid1 uuid2"``). `cpus` and
    `memory` limit what the node offers; empty, it offers the whole machine.
    """

    scheduler: tuple[str, ...] = ()
    docker: str = "unix:///var/run/docker.sock"
    node_name: str = ""
    label: Mapping[str, str] = field(default_factory=dict)
    generic_resource: Mapping[str, str] = field(default_factory=dict)
    state_dir: Path = Path("/var/lib/berth-agent")
    files_dir: Path = Path("/run/berth-files")
    """In memory (tmpfs): configs and secrets of tasks are kept there, and nowhere else."""
    drain_on_shutdown_s: float = 60.0
    """How long a machine that is being shut down waits for its tasks to move; 0 = not at all."""
    advertise: str = ""
    http_listen: str = ":7703"
    cpus: str = ""
    memory: str = ""
    tls: TlsFiles = field(default_factory=TlsFiles)
    parallel: ParallelSettings = field(default_factory=ParallelSettings)
    log: LogSettings = field(default_factory=LogSettings)

    def validate(self) -> None:
        """Check what one value cannot show alone.

        Raises:
            ConfigError: lists every fault.
        """
        faults = list(self._address_faults())
        if self.node_name and not _NAME.fullmatch(self.node_name):
            faults.append(
                Fault("node_name", f'"{self.node_name}" is not a host name of up to 63 characters')
            )
        faults += [
            Fault(f"parallel.{name}", f"{value} is less than 1; write at least 1")
            for name in ("pulls", "prepares", "starts", "stops", "engine_calls")
            if (value := getattr(self.parallel, name)) < 1
        ]
        if self.drain_on_shutdown_s < 0:
            problem = f"{self.drain_on_shutdown_s:g} is negative; write 0 for no drain, or 60s"
            faults.append(Fault("drain_on_shutdown_s", problem))
        for read in (self.generic, self.offered, self.tls.settings):
            try:
                read()
            except (ConfigError, InvalidRequestError) as error:
                faults += error.faults or [Fault("", error.message)]
        if faults:
            raise ConfigError("; ".join(str(fault) for fault in faults), faults)

    def _address_faults(self) -> list[Fault]:
        if not self.scheduler:
            text = "is not set; name one or more schedulers as HOST:PORT, for example 10.0.0.1:7701"
            return [Fault("scheduler", text)]
        return [
            Fault("scheduler", f'"{address}" is not HOST:PORT; write {address or "HOST"}:7701')
            for address in self.scheduler
            if (match := _ADDRESS.fullmatch(address)) is None or not 0 < int(match[2]) < 65536
        ]

    def generic(self) -> NodeResources:
        """Return the generic resources: counts and names.

        Raises:
            ConfigError: lists every one that cannot be read.
        """
        counts: dict[str, int] = {}
        names: dict[str, tuple[str, ...]] = {}
        faults = []
        for kind, text in self.generic_resource.items():
            units = tuple(text.split())
            if not _KIND.fullmatch(kind) or not units:
                problem = f'"{text}" is neither a count nor names; write 3, or "uuid1 uuid2"'
                faults.append(Fault(f"generic_resource.{kind}", problem))
            elif text.strip().isdigit():
                counts[kind] = int(text)
            elif len(set(units)) != len(units):
                problem = f'"{text}" names a unit twice; each name stands for one unit'
                faults.append(Fault(f"generic_resource.{kind}", problem))
            else:
                names[kind] = units
        if faults:
            raise ConfigError("; ".join(str(fault) for fault in faults), faults)
        return NodeResources(generic_counts=counts, generic_names=names)

    def offered(self) -> NodeResources | None:
        """Return CPU and memory that the node offers; None for all that the machine has.

        Raises:
            ConfigError: one of the two is missing or cannot be read.
        """
        if not self.cpus and not self.memory:
            return None
        faults = []
        for key, text in (("cpus", self.cpus), ("memory", self.memory)):
            if not text:
                faults.append(Fault(key, "is not set; cpus and memory are given together"))
        nano_cpus = memory_bytes = 0
        try:
            nano_cpus = parse_cpus(self.cpus) if self.cpus else 0
        except InvalidRequestError as error:
            faults.append(Fault("cpus", error.message))
        try:
            memory_bytes = parse_memory(self.memory) if self.memory else 0
        except InvalidRequestError as error:
            faults.append(Fault("memory", error.message))
        if faults:
            raise ConfigError("; ".join(str(fault) for fault in faults), faults)
        return NodeResources(nano_cpus=nano_cpus, memory_bytes=memory_bytes)
