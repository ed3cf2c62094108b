"""Row 11, second part: a machine's power is cut; the leader is killed.

Duty: both sides suffer the same cut: each has its service on all machines when the plug of one is
pulled. With the defaults of both, Berth is done before Swarm begins, so that neither is in the
other's way; tuned alike, each has a cut of its own.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import docker

from bench.engines.clock import EngineClock, NeverError, following
from bench.engines.rounds import Rounds, say
from bench.engines.sides import ServiceSide, emptied
from tests.beside.swarm import Swarm
from tests.cluster import TestCluster
from tests.hosts import Host, Lab

LOST_AFTER_S = 3
"""Of both sides, tuned: Swarm counts three heartbeats."""

_LEADER_S = 90.0


def measure_cut(
    lab: Lab,
    cluster: TestCluster,
    swarm: Swarm,
    sides: Sequence[ServiceSide],
    image: str,
    found: Rounds,
    *,
    replicas: int,
    name: str,
    number: int,
) -> None:
    """Pull the plug of a host that manages nothing; measure until each side is whole elsewhere."""
    with contextlib.ExitStack() as stack:
        clocks = {}
        for side in sides:
            mark = f"{name}-{side.name}-{number}".replace("_", "-")
            clocks[side] = mark, stack.enter_context(following(lab.hosts, mark))
            side.create(mark, image, replicas)
            clocks[side][1].wait_running(replicas)
            side.told_running(mark, replicas)
        victim = _victim(
            [host.name for host in swarm.workers], [each for _, each in clocks.values()]
        )
        began = time.time()
        cluster.power_off(victim)
        for side, (_, clock) in clocks.items():
            took = clock.wait_running(replicas, but_on=victim) - began
            found.add(f"{name}_{side.name}_s", took)
            say(f"{name}: {side.name} {took:.2f} s")
    cluster.power_on(victim)
    for side, (mark, _) in clocks.items():
        side.remove(mark)
        emptied(lab.hosts, mark)
    cluster.wait_nodes(len(lab.hosts), 60)
    _wait_ready(swarm, len(lab.hosts))


def _victim(workers: Sequence[str], clocks: Sequence[EngineClock]) -> str:
    """Return the worker on which each side runs most: a cut that hits nothing is no figure.

    Berth keeps new tasks off a machine that was lost three times in ten minutes.
    """
    victim = max(workers, key=lambda name: min(clock.running_on(name) for clock in clocks))
    if any(clock.running_on(victim) == 0 for clock in clocks):
        raise NeverError(f"no machine that could be cut runs something of each side: {workers}")
    return victim


def tune(cluster: TestCluster, swarm: Swarm) -> None:
    """Let both sides take a node for lost after the same, short time."""
    cluster.control.change_settings(lost_after_s=LOST_AFTER_S)
    with contextlib.closing(docker.APIClient(swarm.docker_host, version="1.41")) as client:
        found = client.inspect_swarm()
        spec = found["Spec"]
        spec["Dispatcher"]["HeartbeatPeriod"] = LOST_AFTER_S * 10**9 // 3
        client.update_swarm(found["Version"]["Index"], swarm_spec=spec)


def measure_leader_kill(
    cluster: TestCluster, swarm: Swarm, config: Any, image: str, found: Rounds, *, number: int
) -> None:
    """Kill each side's leader; measure until another takes the next service."""
    leading = _swarm_leader(swarm)
    other = next(host for host in swarm.managers if host is not leading)
    _measure_kill(
        ServiceSide("swarm", lambda: other.engine.url, config, ["--detach"]),
        leading.kill_engine, image, found, number,
    )  # fmt: skip
    leading.start_engine()
    _wait_ready(swarm, len(swarm.hosts))
    cluster.wait_nodes(len(swarm.hosts), 60)
    leader = cluster.leader()
    standby = cluster.standbys()[0]
    _measure_kill(
        ServiceSide("berth", lambda: standby.docker_host, config, ["--detach"]),
        leader.kill, image, found, number,
    )  # fmt: skip
    leader.start()
    cluster.wait_leader()


def _measure_kill(
    side: ServiceSide, kill: Callable[[], None], image: str, found: Rounds, number: int
) -> None:
    mark = f"after-kill-{number}"
    began = time.time()
    kill()
    while not side.is_taken(mark, image):
        if time.time() - began > _LEADER_S:
            raise NeverError(f"{side.name} took no service within {_LEADER_S:g} s")
    took = time.time() - began
    found.add(f"leader_kill_{side.name}_s", took)
    say(f"leader killed: {side.name} took the next service after {took:.2f} s")
    side.remove(mark)


def _nodes(host: Host) -> list[Any]:
    with contextlib.closing(docker.APIClient(host.engine.url, version="1.41")) as client:
        found: list[Any] = client.nodes()
        return found


def _swarm_leader(swarm: Swarm) -> Host:
    for node in _nodes(swarm.managers[0]):
        if node.get("ManagerStatus", {}).get("Leader"):
            name = node["Description"]["Hostname"]
            return next(host for host in swarm.hosts if host.name == name)
    raise NeverError("no manager of the Swarm leads")


def _wait_ready(swarm: Swarm, count: int) -> None:
    """Wait until the Swarm has all its nodes, and its managers reach one another."""
    deadline = time.monotonic() + _LEADER_S
    while True:
        with contextlib.suppress(docker.errors.APIError):
            nodes = _nodes(swarm.managers[0])
            ready = [node for node in nodes if node["Status"]["State"] == "ready"]
            managers = [node["ManagerStatus"] for node in nodes if "ManagerStatus" in node]
            if len(ready) == count and all(it["Reachability"] == "reachable" for it in managers):
                return
        if time.monotonic() > deadline:
            raise NeverError(f"the Swarm never had {count} ready nodes again")
        time.sleep(0.3)
