"""The processes of one run: etcd, schedulers, simulated agents; what they used of the machine."""

import asyncio
import contextlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.watched_scheduler import PERIOD_S, rest_mark
from tests.hosts.ports import free_port

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
UNIT = Path(__file__).parents[1] / "deploy" / "systemd" / "berth-scheduler.service"


def as_the_unit_says() -> list[str]:
    """Return what goes before a scheduler's command, so that its priority is its unit's.

    Only root may raise a priority: without it the figures say `scheduler_nice` 0.
    """
    found = re.search(r"^Nice=(-?\d+)$", UNIT.read_text("utf-8"), re.MULTILINE)
    assert found is not None, f"{UNIT} says nothing of the scheduler's priority"
    return ["nice", "-n", found[1]] if os.geteuid() == 0 else []


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def precise_cpu_s(pid: int) -> float:
    """Return the same to the nanosecond; of threads that have ended nothing is known."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9


def rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Scheduler:
    """One scheduler process; how late its event loop woke is written to `lags`."""

    process: subprocess.Popen[bytes]
    address: str
    http: str
    lags: Path
    docker: Path
    """The unix socket of its Docker API."""

    def counts(self) -> dict[str, float]:
        """Return its metrics by name and labels, as Prometheus would read them."""
        try:
            with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=60) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}  # It has not started yet.
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    @contextlib.asynccontextmanager
    async def unwatched(self) -> AsyncIterator[None]:
        """Let the watch of its event loop rest, which costs a hundredth of a core.

        It is at work again when the block ends: what follows is watched from its beginning.
        """
        mark = rest_mark(self.lags)
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()
        seen = len(self.read_lags_ms())
        async with asyncio.timeout(60):
            while len(self.read_lags_ms()) == seen:
                await asyncio.sleep(PERIOD_S)

    def read_lags_ms(self, skip: int = 0) -> list[tuple[float, float]]:
        """Return all samples so far but the first `skip`: milliseconds late, and by own work."""
        if not self.lags.exists():
            return []
        lines = self.lags.read_text().split("\n")[:-1]  # The last one may be half written.
        pairs = (line.split() for line in lines[skip:])
        return [(float(late), float(own)) for late, own in pairs]


@dataclass
class Usage:
    """CPU seconds by part."""

    leader: float
    etcd: float
    agents: float

    def since(self, before: "Usage") -> "Usage":
        return Usage(
            self.leader - before.leader, self.etcd - before.etcd, self.agents - before.agents
        )


@dataclass
class Rig:
    """All processes of a run. The leader is `schedulers[0]` once `leads` was called."""

    directory: Path
    etcd: subprocess.Popen[bytes]
    etcd_url: str
    schedulers: list[Scheduler] = field(default_factory=list)
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)
    victims: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def leader(self) -> Scheduler:
        return self.schedulers[0]

    def leads(self, address: str) -> None:
        """Say which scheduler leads."""
        self.schedulers.sort(key=lambda scheduler: scheduler.address != address)

    def usage(self) -> Usage:
        agents = sum(cpu_s(agent.pid) for agent in self.agents)
        return Usage(cpu_s(self.leader.process.pid), cpu_s(self.etcd.pid), agents)

    def start_scheduler(self, name: str) -> None:
        address, lags = f"127.0.0.1:{free_port()}", self.directory / f"{name}.lags"
        http = f"127.0.0.1:{free_port()}"
        docker = self.directory / f"{name}.sock"
        command = [
            *as_the_unit_says(), sys.executable, "-m", "bench.watched_scheduler", str(lags),
            "--name", name, "--etcd", self.etcd_url, "--grpc-listen", address,
            "--http-listen", http, "--advertise", address, "--docker-socket", str(docker),
        ]  # fmt: skip
        self.schedulers.append(Scheduler(self._start(command, name), address, http, lags, docker))

    def start_agents(self, first: int, count: int, start_s: float) -> subprocess.Popen[bytes]:
        addresses = ",".join(scheduler.address for scheduler in self.schedulers)
        command = [
            sys.executable, "-m", "bench.agents", "--scheduler", addresses,
            "--first", str(first), "--count", str(count), "--start-s", str(start_s),
        ]  # fmt: skip
        return self._start(command, f"agents-{first}")

    def _start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def check_alive(self) -> None:
        """Raise when agents have ended by themselves: what they hold would be awaited for ever."""
        for agent in self.agents:
            if agent.poll() is not None:
                raise RuntimeError(f"agents of process {agent.pid} have ended: see their log")

    def logs(self) -> str:
        """Return the ends of all logs, for when a run failed."""
        files = sorted(self.directory.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text()[-1500:]}" for log in files)


@contextlib.contextmanager
def rig(
    *, agents: int, schedulers: int = 1, processes: int = 2, victims: int = 0, start_s: float = 0.0
) -> Iterator[Rig]:
    """Run everything on loopback for as long as the block.

    Args:
        agents: how many simulated nodes.
        schedulers: how many schedulers; one leads.
        processes: by how many processes the agents are simulated.
        victims: further nodes, each in a process of its own, to be killed.
        start_s: how long a container takes to start.
    """
    _, files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))  # A socket for each agent.
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as text:
        directory = Path(text)
        url, peer = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        command = [
            "etcd", f"--data-dir={directory / 'etcd'}", f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--logger=zap", "--log-level=error", "--quota-backend-bytes=8589934592",
        ]  # fmt: skip
        made = Rig(directory, subprocess.Popen(command), url)
        try:
            for number in range(1, schedulers + 1):
                made.start_scheduler(f"s{number}")
            share = -(-agents // processes)
            for first in range(0, agents, share):
                count = min(share, agents - first)
                made.agents.append(made.start_agents(first, count, start_s))
            for number in range(agents, agents + victims):
                made.victims.append(made.start_agents(number, 1, start_s))
            yield made
        finally:
            others = [made.etcd, *(scheduler.process for scheduler in made.schedulers)]
            for process in (*made.agents, *made.victims, *others):
                process.kill()
                process.wait()
