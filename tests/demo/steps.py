"""What the demo does, step by step, and what must be true after each.

Duty: the story: a cluster, a service, failures, updates, the end. Every step checks its own claim
against the cluster and against the Engines themselves.
Not here: how it looks (stage), hosts (tests.hosts), programs (tests.cluster).
"""

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.cluster import CliResult, DockerCli, NotYetError, TestCluster
from tests.demo.stage import Stage
from tests.hosts import ImageReference, Lab

_SERVICE: Final = "web"
_REPLICAS: Final = 5
_SCALED: Final = 8
_SHORT_S: Final = 0.1
_PROGRESS_OF_ONE: Final = re.compile(r"\d+/\d+: ")


class DemoError(AssertionError):
    """Something that the demo claims did not come true."""


@dataclass(slots=True)
class Images:
    """Three releases of one program, and a careless one."""

    good: ImageReference
    better: ImageReference
    bad: ImageReference


class Demo:
    """The story, told on a running cluster."""

    def __init__(
        self, stage: Stage, lab: Lab, cluster: TestCluster, images: Images, docker: DockerCli
    ) -> None:
        self._stage = stage
        self._docker_cli = docker
        self._lab = lab
        self._cluster = cluster
        self._images = images

    def run(self) -> None:
        """Do every step; the first that fails raises."""
        for title, act in (
            ("A service of five replicas", self.create),
            ("More of it", self.scale),
            ("Kill the leader", self.kill_leader),
            ("Pull the plug of a machine", self.lose_node),
            ("The machine comes back", self.regain_node),
            ("A rolling update", self.update),
            ("An update that is broken", self.update_badly),
            ("Drain a machine for maintenance", self.drain),
            ("Why does this not run?", self.explain),
            ("Clean up", self.remove),
        ):
            with self._stage.step(title):
                act()

    # --- Steps

    def create(self) -> None:
        """Create the service; every node pulls the very same image."""
        self._docker(
            *("service", "create", "--name", _SERVICE, "--replicas", str(_REPLICAS)),
            # Docker's client says stop-first for a service with any of these flags, unless it is
            # told; a drain may then go below strength.
            *("--update-order", "start-first", "--update-parallelism", "2"),
            *("--update-monitor", "1s"),
            *("--update-failure-action", "rollback", "--rollback-parallelism", "0"),
            *("--rollback-monitor", "1s", "--stop-grace-period", "3s"),
            self._images.good,
        )
        self._await_running(_REPLICAS)
        self._show_docker("service", "ps", "--filter=desired-state=running", _SERVICE)
        self._check_images(self._images.good)
        on = self._spread()
        self._stage.fact(f"{_REPLICAS} tasks run on {len(on)} nodes, all from one digest")

    def scale(self) -> None:
        """Scale; what runs is left alone."""
        before = self._cluster.container_starts(_SERVICE)
        self._docker("service", "scale", f"{_SERVICE}={_SCALED}")
        self._await_running(_SCALED)
        self._check_untouched(before)
        self._stage.fact(f"{_SCALED} run; the first {_REPLICAS} were left alone")

    def kill_leader(self) -> None:
        """Kill -9 the leader: another leads, and no container notices."""
        before = self._cluster.container_starts(_SERVICE)
        leader = self._cluster.leader()
        self._stage.command(f"kill -9 {leader.pid}    # {leader.name}, the leader")
        began = time.monotonic()
        leader.kill()
        with self._stage.waiting("another scheduler takes over"):
            heir = self._cluster.wait_leader(other_than=leader)
        took_s = time.monotonic() - began
        self._cluster.wait_nodes(len(self._cluster.agents))
        self._await_running(_SCALED)
        self._check_untouched(before)
        _claim(
            len(self._cluster.container_starts(_SERVICE)) == len(before), "containers were added"
        )
        self._stage.fact(f"{heir.name} led after {took_s:.1f} s; no container was restarted")
        leader.start()
        self._wait("the old leader stands by", lambda: self._stands_by(leader.name))
        self._show("status")

    def lose_node(self) -> None:
        """Pull the plug of a machine: its tasks run elsewhere, nothing else moves."""
        victim = self._busiest_node()
        before = {
            each["Id"]: each["State"]["StartedAt"]
            for host, each in self._cluster.containers(_SERVICE)
            if host.name != victim
        }
        self._stage.say(f"{victim}: link cut, agent, Engine and containers dead in an instant")
        began = time.monotonic()
        self._cluster.power_off(victim)
        with self._stage.waiting(f"{victim} is declared lost"):
            self._cluster.wait_node(victim, "down")
        lost_s = time.monotonic() - began
        self._await_running(_SCALED, away_from=victim)
        took_s = time.monotonic() - began
        self._check_untouched(before)
        self._show_docker("node", "ls")
        self._stage.fact(
            f"lost after {lost_s:.1f} s; its tasks ran elsewhere {took_s:.1f} s after the cut"
        )

    def regain_node(self) -> None:
        """Switch it on again: it is ready, has no leftovers, and nothing moves."""
        (victim,) = [host.name for host in self._lab.hosts if not host.is_on]
        before = self._cluster.container_starts(_SERVICE)
        with self._stage.waiting(f"{victim} boots"):
            self._cluster.power_on(victim)
            self._cluster.wait_nodes(len(self._cluster.agents))
        self._wait("its old containers are stopped", lambda: self._runs_exactly(_SCALED))
        self._check_untouched(before)
        self._show_docker("node", "ls")
        self._stage.fact(f"{victim} is ready; none of its old tasks runs twice, nothing moved")

    def update(self) -> None:
        """Roll out a new release, two at a time."""
        self._docker("service", "update", "--image", self._images.better, _SERVICE)
        self._cluster.wait_update(_SERVICE, "completed")
        self._await_running(_SCALED)
        self._check_images(self._images.better)
        self._show_docker("service", "ps", "--filter=desired-state=running", _SERVICE)
        self._stage.fact(f"all {_SCALED} run version {self._images.better.tag}")

    def update_badly(self) -> None:
        """Roll out a release that crashes: it is rolled back by itself."""
        result = self._docker(
            *("service", "update", "--image", self._images.bad, _SERVICE), may_fail=True
        )
        found = self._cluster.wait_update(_SERVICE, "rollback_completed")
        # Docker's client takes a rollback that came to its end for a good end, and says so.
        _claim("rollback: " in result.output, "`docker service update` said nothing of a rollback")
        self._await_running(_SCALED)
        self._check_images(self._images.better)
        self._stage.fact(
            f"rolled back to {self._images.better.tag}, where {_SCALED} run: "
            f"{found.update_status.message}"
        )

    def drain(self) -> None:
        """Drain a node: its tasks move first, then stop; strength never falls."""
        node = self._busiest_node()
        self._docker("node", "update", "--availability", "drain", node)
        lowest = _SCALED
        give_up_at = time.monotonic() + 60.0
        with self._stage.waiting(f"{node} empties"):
            while True:
                running = self._cluster.running_tasks(_SERVICE)
                lowest = min(lowest, len(running))
                if len(running) == _SCALED and all(task.node_name != node for task in running):
                    break
                _claim(time.monotonic() < give_up_at, f"{node} did not empty")
                time.sleep(_SHORT_S)
        self._await_running(_SCALED, away_from=node)
        _claim(lowest >= _SCALED, f"only {lowest} of {_SCALED} tasks ran meanwhile")
        self._stage.fact(f"{node} is empty; never fewer than {lowest} tasks ran meanwhile")
        self._docker("node", "update", "--availability", "active", node)

    def explain(self) -> None:
        """Ask for the impossible and have it explained."""
        self._docker(
            *("service", "create", "--detach", "--name", "moon", "--reserve-memory", "64G"),
            *("--constraint", "node.labels.zone==moon", self._images.good),
        )
        self._wait("it is pending", lambda: self._cluster.control.explain("moon").filters)
        self._show_docker("service", "ps", "--format={{.Name}}:{{.Error}}", "--no-trunc", "moon")
        self._show("explain", "moon")
        waiting = self._cluster.control.tasks("moon")
        _claim(not self._cluster.containers("moon"), "something of it runs")
        _claim(len(waiting) == 1, f"it has {len(waiting)} tasks")
        self._stage.fact("it waits, and says for what")

    def remove(self) -> None:
        """Remove the services; no container is left on any node."""
        self._docker("service", "rm", _SERVICE, "moon")
        self._wait("all containers are gone", lambda: not self._cluster.containers())
        self._show_docker("service", "ls")
        self._stage.fact("no container is left on any node")

    # --- What steps are made of

    def _docker(self, *argv: str, may_fail: bool = False) -> CliResult:
        """Show and run a docker command; show what it said."""
        self._stage.command(f"docker {' '.join(argv)}")
        with self._stage.waiting("…"):
            result = self._docker_cli(*argv, check=not may_fail, timeout_s=120.0)
        self._stage.output(_news(result.output))
        return result

    def _show_docker(self, *argv: str) -> None:
        """Show and run a docker command that only reads."""
        self._stage.command(f"docker {' '.join(argv)}")
        self._stage.output(self._docker_cli(*argv).stdout)

    def _show(self, *argv: str) -> None:
        """Show and run a command that only reads."""
        self._stage.command(f"berth {' '.join(argv)}")
        self._stage.output(self._cluster.berth(*argv).stdout)

    def _wait(self, what: str, claim: Callable[[], object]) -> None:
        with self._stage.waiting(what):
            self._cluster.wait_until(what, claim)

    def _await_running(self, count: int, away_from: str = "") -> None:
        def claim() -> bool:
            running = self._cluster.running_tasks(_SERVICE)
            if away_from and any(task.node_name == away_from for task in running):
                raise NotYetError(f"{away_from} still has tasks")
            return len(running) == count and self._runs_exactly(count)

        self._wait(f"{count} tasks of {_SERVICE} run", claim)

    def _runs_exactly(self, count: int) -> bool:
        """Ask the Engines, whatever Berth believes."""
        found = len(self._cluster.containers(_SERVICE))
        if found != count:
            raise NotYetError(f"{found} containers run")
        return True

    def _check_images(self, image: ImageReference) -> None:
        used = Counter(each["Config"]["Image"] for _, each in self._cluster.containers(_SERVICE))
        pinned = f"{image}@{image.digest}"
        _claim(set(used) == {pinned}, f"containers run {dict(used)}, not {pinned}")

    def _check_untouched(self, before: dict[str, str]) -> None:
        now = self._cluster.container_starts(_SERVICE)
        changed = [each for each in before if now.get(each) != before[each]]
        _claim(not changed, f"containers {changed} were restarted or moved")

    def _stands_by(self, name: str) -> bool:
        found = self._cluster.control.cluster()
        names = {each.name for each in found.schedulers}
        return name in names and found.leader_name != name

    def _spread(self) -> Counter[str]:
        return Counter(host.name for host, _ in self._cluster.containers(_SERVICE))

    def _busiest_node(self) -> str:
        # By count, then by name: the same machine each time the counts are the same.
        return max(self._spread().items(), key=lambda item: (item[1], item[0]))[0]


def _claim(is_true: bool, otherwise: str) -> None:
    if not is_true:
        raise DemoError(otherwise)


def _news(text: str) -> str:
    """Return what a command said last: of lines that differ in numbers only, the newest."""
    newest: dict[str, str] = {}
    for line in text.strip().splitlines():
        key = re.sub(r"\d+", "#", line)
        newest.pop(key, None)
        if not _PROGRESS_OF_ONE.match(line):
            newest[key] = line
    return "\n".join([*newest.values()][-4:])
