"""`docker events` with both clients, on any scheduler, under one leader and the next."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import DOCKER_CLIS, DockerCli, TestCluster
from tests.cluster.programs import SchedulerProgram
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

Event = dict[str, Any]
QUICK = ("--detach", "--quiet", "--update-monitor=1s", "--rollback-monitor=1s")
OBJECTS = tuple(
    f"--filter=type={kind}" for kind in ("service", "node", "config", "secret", "network")
)


class Listening:
    """A client that listens; what it prints is read as it comes."""

    def __init__(self, cluster: TestCluster, process: "subprocess.Popen[str]") -> None:
        self.events: list[Event] = []
        self.said: list[str] = []
        self._cluster = cluster
        self._process = process
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self.events.append(json.loads(line))
            else:
                self.said.append(line)

    @property
    def told(self) -> list[str]:
        """Kind, action and name of each event."""
        return [short(event) for event in list(self.events)]

    def wait(self, what: str, *, timeout_s: float = 60.0) -> Event:
        """Return the first event that is told as `what`, once it is."""
        self._cluster.wait_until(
            f"{what!r} is told: {self.told[-20:]} {self.said}", lambda: what in self.told, timeout_s
        )
        return next(event for event in self.events if short(event) == what)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


def short(event: Event) -> str:
    attributes = event["Actor"]["Attributes"]
    changes = [
        f"{name.removesuffix('.new')}={value}"
        for name, value in sorted(attributes.items())
        if name.endswith(".new") and "image" not in name
    ]
    name = attributes["name"]
    if event["Type"] == "task":
        name = ".".join(name.split(".")[:2])
    return " ".join([event["Type"], event["Action"], name, *changes])


@contextmanager
def listening(cluster: TestCluster, cli: DockerCli, *flags: str) -> Iterator[Listening]:
    """Listen for the time of the block; a marker was heard, so that nothing is missed."""
    it = Listening(cluster, cli.popen("events", "--format={{json .}}", *flags))
    try:
        yield it
    finally:
        it.close()


def heard(cluster: TestCluster, cli: DockerCli, it: Listening) -> None:
    """Return once `it` hears what happens."""
    for number in range(100):
        cli("network", "create", "--driver=overlay", f"mark{number}")
        cli("network", "rm", f"mark{number}")
        time.sleep(0.1)
        if it.events:
            return
    raise AssertionError(f"it hears nothing: {it.said}")


def docker_at(scheduler: SchedulerProgram, tmp_path: Path) -> DockerCli:
    program = DOCKER_CLIS.get("new") or DOCKER_CLIS["debian"]
    return DockerCli(program, lambda: scheduler.docker_host, tmp_path)


def between(first: Event, last: Event) -> tuple[str, str]:
    """Return the flags for what happened from one event to another, both included."""
    since, until = (divmod(event["timeNano"], 10**9) for event in (first, last))
    return f"--since={since[0]}.{since[1]:09}", f"--until={until[0]}.{until[1]:09}"


def test_the_life_of_a_service_a_node_and_what_services_use(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    image, newer = images.sleeper("1.0"), images.sleeper("1.1")
    with listening(cluster, cli, *OBJECTS) as it:
        heard(cluster, cli, it)
        cli("config", "create", "conf", "-", stdin="x")
        cli("secret", "create", "pass", "-", stdin="x")
        cli("network", "create", "--driver=overlay", "lan")
        cli("service", "create", *QUICK, "--name=web", "--replicas=2", image)
        cluster.wait_running("web", 2)
        cli("service", "scale", "--detach", "web=3")
        cluster.wait_running("web", 3)
        cli("service", "update", "--detach", "--quiet", f"--image={newer}", "web")
        it.wait("service update web updatestate=completed")
        cli("service", "rollback", "--detach", "--quiet", "web")
        it.wait("service update web updatestate=rollback_completed")
        cli("service", "rm", "web")
        for kind, name in (("config", "conf"), ("secret", "pass"), ("network", "lan")):
            cli(kind, "rm", name)
        cli("node", "update", "--availability=drain", "host-1")
        cli("node", "update", "--availability=active", "host-1")
        it.wait("network remove lan")
        it.wait("node update host-1 availability=active")
        told = [words for words in it.told if " mark" not in words]
        assert told == [
            "config create conf",
            "secret create pass",
            "network create lan",
            "service create web",
            "service update web replicas=3",
            "service update web",  # Its image.
            "service update web updatestate=updating",
            "service update web updatestate=completed",
            "service update web updatestate=rollback_started",
            "service update web updatestate=rollback_completed",
            "service remove web",
            "config remove conf",
            "secret remove pass",
            "network remove lan",
            "node update host-1 availability=drain",
            "node update host-1 availability=active",
        ]
        changed = next(e for e in it.events if "image.new" in e["Actor"]["Attributes"])
        assert changed["Actor"]["Attributes"]["image.old"].startswith(image)
        assert changed["Actor"]["Attributes"]["image.new"].startswith(newer)
        assert {event["scope"] for event in it.events} == {"swarm"}
        times = [event["timeNano"] for event in it.events]
        assert times == sorted(set(times))
        # The same again, by the time of one of them, from another scheduler, up to now.
        place = it.told.index("service create web")
        rest = DockerCli(cli._program, lambda: cluster.schedulers[1].docker_host, cli._config)
        part = between(it.events[place], it.events[-1])
        again = rest.lines("events", "--format={{json .}}", *OBJECTS, *part)
        assert [json.loads(line)["timeNano"] for line in again] == times[place:]
        only = ("--filter=service=web", "--filter=event=remove")
        one = rest.lines("events", "--format={{.Action}} {{.Type}}", *part, *only)
        assert one == ["remove service"]


def test_tasks_are_told_of_with_why_they_ended(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    wished = ("--filter=type=task", "--filter=service=web")
    with listening(cluster, cli, "--filter=type=task", "--filter=type=network") as it:
        heard(cluster, cli, it)
        cli("service", "create", *QUICK, "--name=web", "--restart-condition=none",
            images.sleeper("1.0"))  # fmt: skip
        cluster.wait_running("web", 1)
        it.wait("task update web.1 state=running")
        cli("service", "rm", "web")
        it.wait("task remove web.1")
        states = [
            event["Actor"]["Attributes"].get("state.new")
            for event in it.events
            if event["Type"] == "task"
        ]
        told = [state for state in states if state]
        assert told[0] == "assigned"
        assert "running" in told
        assert told[-1] in ("shutdown", "complete", "failed")
        assert len(set(told)) == len(told), "each state once"
        tasks = [event for event in it.events if event["Type"] == "task"]
        part = between(tasks[0], tasks[-1])
        again = cli.lines("events", "--format={{.Action}}", *wished, *part)
        assert again == [event["Action"] for event in tasks]


def test_a_node_that_is_lost_and_returns(cluster: TestCluster, tmp_path: Path) -> None:
    cli = docker_at(cluster.schedulers[0], tmp_path)
    with listening(cluster, cli, *OBJECTS) as it:
        heard(cluster, cli, it)
        cluster.power_off("host-3")
        lost = it.wait("node update host-3 state=down")
        assert lost["Actor"]["Attributes"]["state.old"] in ("ready", "disconnected")
        cluster.power_on("host-3")
        it.wait("node update host-3 state=ready")


def test_a_listener_at_a_standby_goes_on_when_the_leader_is_killed(
    cluster: TestCluster, images: ImageFactory, tmp_path: Path
) -> None:
    image = images.sleeper("1.0")
    old = cluster.leader()
    standby = cluster.standbys()[0]
    cli = docker_at(standby, tmp_path)
    with listening(cluster, cli) as it:
        heard(cluster, cli, it)
        cli("service", "create", *QUICK, "--name=web", "--replicas=2", image)
        cluster.wait_running("web", 2)
        before = it.wait("service create web")
        for slot in (1, 2):  # What is told of tasks is not told again by the next leader.
            it.wait(f"task update web.{slot} state=running")
        for number in range(5):
            cli("config", "create", f"c{number}", "-", stdin="x")
        old.kill()  # Perhaps before it has told of the last ones; they are durable.
        cluster.wait_leader(other_than=old)
        cli("service", "scale", "--detach", "web=3")
        cluster.wait_running("web", 3)
        cluster.wait_nodes(3)
        it.wait("service update web replicas=3")
        it.wait("task update web.3 state=running")
        objects = [e for e in it.events if e["Type"] not in ("task", "daemon")]
        named = [
            short(e) for e in objects if not e["Actor"]["Attributes"]["name"].startswith("mark")
        ]
        assert [words for words in named if not words.startswith("node ")] == [
            "service create web",
            *(f"config create c{number}" for number in range(5)),
            "service update web replicas=3",
        ]
        gaps = [e["Actor"]["Attributes"]["missed"] for e in it.events if e["Action"] == "gap"]
        assert gaps == ["task"]
        running = [words for words in it.told if words.endswith("state=running")]
        assert sorted(running) == [f"task update web.{n} state=running" for n in (1, 2, 3)]
        # Who comes back, to yet another scheduler, is told the same by time.
        third = next(each for each in cluster.standbys() if each is not old)
        part = between(before, objects[-1])
        again = docker_at(third, tmp_path).lines("events", "--format={{json .}}", *OBJECTS, *part)
        times = [event["timeNano"] for event in objects if event["timeNano"] >= before["timeNano"]]
        assert [json.loads(line)["timeNano"] for line in again] == times
        cli("config", "rm", *(f"c{number}" for number in range(5)))
