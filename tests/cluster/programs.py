"""One program of a cluster each: how it is started, and every way to hurt it.

Duty: commands, addresses, folders and logs of etcd members, schedulers and agents.
Not here: which of them make up a cluster (cluster), the host's power plug and cable (tests.hosts).
Invariants: a program keeps its addresses, folders and certificates over every restart; all of them
are in the lab's ledger, so none outlives the lab.
"""

import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from berth.wire.tls import TlsSettings
from cli.local_etcd import EtcdPlace, EtcdProgram, etcd_command
from tests.hosts import Host, Processes, ProcessHandle

_BIN = Path(sys.executable).parent
_HTTP_TIMEOUT_S = 10.0

ETCDCTL_ENV = {
    "ETCDCTL_API": "3",
    "ETCDCTL_DIAL_TIMEOUT": "30s",  # Two seconds unless told; a busy machine needs more.
    "ETCDCTL_COMMAND_TIMEOUT": "60s",
    "PATH": "/usr/bin:/bin",
}
"""The environment of etcdctl."""


class Program:
    """A program that a test may start, stop, kill, freeze and read."""

    def __init__(self, name: str, log_path: Path, launch: Callable[[], ProcessHandle]) -> None:
        self.name = name
        self.log_path = log_path
        self._launch = launch
        self._handle: ProcessHandle | None = None
        self.is_paused = False

    def __repr__(self) -> str:
        return f"<{self.name} {self.condition}>"

    @property
    def is_running(self) -> bool:
        """Tell whether it has started and not ended (a frozen one runs)."""
        return self._handle is not None and self._handle.is_running

    @property
    def answers(self) -> bool:
        """Tell whether it could answer: it runs and is not frozen."""
        return self.is_running and not self.is_paused

    @property
    def condition(self) -> str:
        """Its state in words."""
        if self._handle is None:
            return "never started"
        if not self._handle.is_running:
            return f"ended with exit code {self._handle.wait()}"
        return f"{'frozen' if self.is_paused else 'running'}, pid {self._handle.pid}"

    @property
    def pid(self) -> int:
        """Its PID."""
        return self.handle.pid

    @property
    def handle(self) -> ProcessHandle:
        """The process last started."""
        assert self._handle is not None, f"{self.name} was never started"
        return self._handle

    def start(self) -> None:
        """Start it; does not wait until it answers."""
        assert not self.is_running, f"{self.name} runs already"
        self.is_paused = False
        self._handle = self._launch()

    def stop(self, grace_s: float = 60.0) -> int:
        """Ask it to end (SIGTERM) and wait; return its exit code."""
        self.is_paused = False
        return self.handle.stop(grace_s)

    def kill(self) -> None:
        """End it as a crash would: SIGKILL."""
        self.is_paused = False
        self.handle.kill9()

    def pause(self) -> None:
        """Freeze it: SIGSTOP. Its connections stay open."""
        self.is_paused = True
        self.handle.pause()

    def resume(self) -> None:
        """Let it go on: SIGCONT."""
        self.handle.resume()
        self.is_paused = False

    def restart(self) -> None:
        """Stop it if it runs, and start it again."""
        if self.is_running:
            self.stop()
        self.start()

    def log(self) -> str:
        """Return everything that it has logged, over all its starts."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def log_tail(self, lines: int = 12) -> str:
        """Return the end of its log."""
        return "\n".join(self.log().splitlines()[-lines:])


class EtcdMember(Program):
    """A member of the cluster's etcd."""

    def __init__(
        self,
        place: EtcdPlace,
        program: EtcdProgram,
        members: Callable[[], tuple[EtcdPlace, ...]],
        *,
        flags: Sequence[str],
        processes: Processes,
        log_path: Path,
    ) -> None:
        def launch() -> ProcessHandle:
            # Of a flag that is given twice, the last counts.
            return processes.start([*etcd_command(program, place, members()), *flags], log_path)

        super().__init__(place.name, log_path, launch)
        self.place = place

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return self.place.client_url

    def is_healthy(self) -> bool:
        """Ask it whether it has a leader and can write."""
        answer = requests.get(f"{self.url}/health", timeout=_HTTP_TIMEOUT_S)
        return answer.status_code == 200 and answer.json().get("health") == "true"


class _Observable(Program):
    """A program of Berth's own, with an HTTP server for its metrics and health."""

    http_address = ""

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Scrape /metrics: for each sample's name its label sets and values."""
        answer = requests.get(f"http://{self.http_address}/metrics", timeout=_HTTP_TIMEOUT_S)
        answer.raise_for_status()
        found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
        return found

    def metric(self, name: str, **labels: str) -> float:
        """Sum the samples called `name` that carry these labels; KeyError if the name is absent."""
        wanted = labels.items()
        return sum(value for found, value in self.metrics()[name] if wanted <= found.items())

    def readiness(self) -> tuple[bool, str]:
        """Ask /readyz: whether it is ready, and its own words."""
        answer = requests.get(f"http://{self.http_address}/readyz", timeout=_HTTP_TIMEOUT_S)
        return answer.status_code == 200, answer.text


class SchedulerProgram(_Observable):
    """A scheduler, on this machine's side of the lab's bridge."""

    def __init__(
        self,
        name: str,
        *,
        grpc_address: str,
        http_address: str,
        docker_socket: Path,
        etcd_urls: Sequence[str],
        tls: TlsSettings,
        flags: Sequence[str],
        env: Mapping[str, str],
        processes: Processes,
        log_path: Path,
    ) -> None:
        argv = [
            str(_BIN / "berth-scheduler"),
            f"--name={name}",
            f"--etcd={','.join(etcd_urls)}",
            f"--grpc-listen={grpc_address}",
            f"--http-listen={http_address}",
            f"--docker-socket={docker_socket}",
            f"--advertise={grpc_address}",
            *tls_flags(tls),
            *flags,
        ]
        super().__init__(name, log_path, lambda: processes.start(argv, log_path, env))
        self.argv = argv
        self.grpc_address = grpc_address
        self.http_address = http_address
        self.docker_host = f"unix://{docker_socket}"
        self._docker_socket = docker_socket

    def takes_docker(self) -> bool:
        """Tell whether its unix socket takes connections; it opens a little after the gRPC port."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._docker_socket)) == 0


class AgentProgram(_Observable):
    """A node agent, in the network namespace of its host."""

    def __init__(
        self,
        host: Host,
        *,
        schedulers: Sequence[str],
        http_port: int,
        state_dir: Path,
        files_dir: Path,
        tls: TlsSettings,
        flags: Sequence[str],
        env: Mapping[str, str],
        log_path: Path,
    ) -> None:
        self.http_address = f"{host.address}:{http_port}"
        argv = [
            str(_BIN / "berth-agent"),
            f"--scheduler={','.join(schedulers)}",
            f"--docker={host.engine.url}",
            f"--node-name={host.name}",
            f"--state-dir={state_dir}",
            f"--files-dir={files_dir}",
            f"--advertise={host.address}",
            f"--http-listen={self.http_address}",
            *tls_flags(tls),
            *flags,
        ]
        super().__init__(host.name, log_path, lambda: host.popen(argv, env, log_path))
        self.argv = argv
        self.host = host
        self.tls = tls
        self.state_dir = state_dir
        self.files_dir = files_dir


def tls_flags(tls: TlsSettings) -> list[str]:
    """Return the flags by which every program of Berth takes its certificate."""
    return [
        f"--tls-ca-file={tls.ca_file}",
        f"--tls-cert-file={tls.cert_file}",
        f"--tls-key-file={tls.key_file}",
    ]
