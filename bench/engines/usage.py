"""Who used how much CPU of the machine that all share."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.rig import CLOCK_TICKS, cpu_s
from tests.cluster import TestCluster
from tests.hosts import Lab


def usage(lab: Lab, cluster: TestCluster | None) -> dict[str, float]:
    """Return CPU seconds so far, by part; `rest` is what starting containers costs, and we."""
    parts: dict[str, list[int]] = {"dockerd": [], "containerd": []}
    for host in lab.hosts:
        if host.is_on:
            parts["dockerd"].append(host.engine.daemon.pid)
            pid_file = host.folder / "engine/exec/containerd/containerd.pid"
            parts["containerd"].append(int(pid_file.read_text()))
    if cluster is not None:
        parts["agents"] = [agent.pid for agent in cluster.agents if agent.is_running]
        parts["schedulers"] = [each.pid for each in cluster.schedulers if each.is_running]
        parts["etcd"] = [member.pid for member in cluster.etcds]
    found = {name: sum(cpu_s(pid) for pid in pids) for name, pids in parts.items()}
    found["rest"] = _busy_s() - sum(found.values())
    return found


def _busy_s() -> float:
    """Return how long the machine's CPUs have worked."""
    fields = [int(it) for it in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / CLOCK_TICKS


@contextlib.contextmanager
def used(lab: Lab, cluster: TestCluster | None, into: dict[str, float]) -> Iterator[None]:
    """Fill `into` with what the block used, by part."""
    before = usage(lab, cluster)
    yield
    into |= {name: value - before.get(name, 0.0) for name, value in usage(lab, cluster).items()}


def in_words(parts: Mapping[str, float]) -> str:
    cpus = os.cpu_count() or 1
    told = ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
    return f"{told}; {sum(parts.values()) / cpus:.2f} s of all {cpus} CPUs"
