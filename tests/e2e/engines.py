"""What the Engines say of a service's containers, whatever Berth believes.

Duty: every start and end of a container as the Engines tell it, without gaps; who runs now; what a
container's process really has (cgroup, files, commands run inside).
Not here: what Berth says of tasks (tests.cluster).
Invariant: all hosts of a lab share one kernel and so one clock: times of two Engines compare.
"""

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.cluster import TestCluster
from tests.hosts import Host, ProcessHandle

_SERVICE_LABEL = "com.docker.swarm.service.name"
_BEFORE_S = 1.0  # The Engine remembers its last events, so none is lost while we subscribe.
_CGROUPS = Path("/sys/fs/cgroup")


class RunningProcess(NamedTuple):
    """Where and as what a container runs: the same twice = nobody touched it."""

    host: str
    pid: int
    started_at: str


def running_processes(cluster: TestCluster, service: str) -> dict[str, RunningProcess]:
    """Return the running containers of `service` by ID."""
    return {
        each["Id"]: RunningProcess(host.name, each["State"]["Pid"], each["State"]["StartedAt"])
        for host, each in cluster.containers(service)
    }


@dataclass(frozen=True, slots=True, order=True)
class ContainerEvent:
    """A container started or ended ("start", "die")."""

    at_s: float
    action: str
    host: str
    container_id: str
    slot: str


class ContainerStory:
    """All starts and ends of a service's containers since `watch_containers` was called."""

    def __init__(
        self,
        sources: dict[str, tuple[Host, ProcessHandle]],
        since_s: float,
        filters: dict[str, object],
    ) -> None:
        self._sources = sources
        self._since_s = since_s
        self._filters = filters

    def events(self) -> list[ContainerEvent]:
        """Return what happened so far, in the order in which it did."""
        found = set()
        for name, (host, source) in self._sources.items():
            for line in source.log().splitlines():
                if line.startswith("{") and line.endswith("}"):
                    found.add(_event(name, json.loads(line)))
            found |= self._remembered(host)
        return sorted(found)

    def _remembered(self, host: Host) -> set[ContainerEvent]:
        """Return the last events that an Engine remembers.

        Who listens has not printed yet what happened a moment ago; who asks up to now is told it.
        """
        if not host.is_on or not host.engine.is_running:
            return set()
        with contextlib.closing(host.engine.client()) as client:
            told = client.api.events(
                since=f"{self._since_s:.6f}",
                until=f"{time.time():.6f}",
                filters=self._filters,
                decode=True,
            )
            return {_event(host.name, each) for each in told}

    def running_counts(self, slot: str = "") -> list[tuple[float, int]]:
        """Return how many containers ran from when on.

        Args:
            slot: count only this one; default is the whole service.
        """
        running: set[str] = set()
        counts = []
        for event in self.events():
            if slot and event.slot != slot:
                continue
            (running.add if event.action == "start" else running.discard)(event.container_id)
            counts.append((event.at_s, len(running)))
        return counts

    def fewest(self, *, since_s: float, slot: str = "") -> int:
        """Return the smallest number of containers that ran at any moment after `since_s`."""
        counts = self.running_counts(slot)
        before = [count for at_s, count in counts if at_s <= since_s]
        return min([*before[-1:], *(count for at_s, count in counts if at_s > since_s)])

    def most(self, slot: str = "") -> int:
        """Return the largest number of containers that ever ran at one moment."""
        return max(count for _, count in self.running_counts(slot))

    def slots(self) -> list[str]:
        """Return the slots that ever had a container."""
        return sorted({event.slot for event in self.events()})

    def starts(self) -> Counter[str]:
        """Count the starts in each slot."""
        return Counter(event.slot for event in self.events() if event.action == "start")

    def __str__(self) -> str:
        events = self.events()
        began_s = events[0].at_s if events else 0.0
        return "\n".join(
            f"{event.at_s - began_s:7.3f} s  {event.host} {event.action:5} "
            f"slot {event.slot} {event.container_id[:12]}"
            for event in events
        )


@contextlib.contextmanager
def watch_containers(cluster: TestCluster, service: str) -> Iterator[ContainerStory]:
    """Listen to all Engines of the cluster while the `with` block runs."""
    since_s = time.time() - _BEFORE_S
    label = f"{_SERVICE_LABEL}={service}"
    sources = {}
    for agent in cluster.agents:
        argv = ["docker", "--host", agent.host.engine.url, "events", f"--since={since_s:.3f}"]
        argv += ["--filter=event=start", "--filter=event=die", "--format={{json .}}"]
        argv.append(f"--filter=label={label}")
        # `docker events` holds on to an Engine, so it must not count as one of the host's programs.
        sources[agent.host.name] = (agent.host, cluster.lab.processes.start(argv))
    try:
        yield ContainerStory(sources, since_s, {"event": ["start", "die"], "label": label})
    finally:
        for _, source in sources.values():
            source.kill9()


def _event(host: str, told: dict[str, object]) -> ContainerEvent:
    actor = told["Actor"]
    assert isinstance(actor, dict)
    slot = actor["Attributes"].get("berth.slot", "")
    at_s = int(str(told["timeNano"])) / 1e9
    return ContainerEvent(at_s, str(told["Action"]), host, actor["ID"], slot)


def files_below(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield each file below the folders with what is in it.

    Programs and Engines are at work there: what vanishes while this looks is passed over, which
    `Path.rglob` raises.
    """
    for top in folders:
        for folder, _, names in os.walk(top):
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(OSError):
                    if path.is_file() and not path.is_symlink():
                        yield path, path.read_bytes()


def run_inside(host: Host, container_id: str, *argv: str) -> str:
    """Run a command in a container and return what it printed, both streams."""
    with contextlib.closing(host.engine.client()) as client:
        started = client.api.exec_create(container_id, list(argv))
        output: bytes = client.api.exec_start(started["Id"])
        return output.decode()


def cgroup_values(pid: int, controller: str, *files: str) -> list[str]:
    """Read files of the cgroup that a process is in.

    Args:
        pid: as this machine sees it.
        controller: of cgroups version 1, such as "memory"; version 2 has one tree for all.
        files: names; those that do not exist (in this version) are passed over.
    """
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            folder = _CGROUPS / controller / path.lstrip("/")
        elif number == "0" and not (_CGROUPS / controller).is_dir():
            folder = _CGROUPS / path.lstrip("/")
        else:
            continue
        return [(folder / name).read_text().strip() for name in files if (folder / name).exists()]
    raise AssertionError(f"process {pid} is in no cgroup for {controller}: {lines}")
