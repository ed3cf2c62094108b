"""Who starts the containers: bare commands, bare calls, a Docker Swarm, a Berth.

Duty: one way to create, update, remove and ask, for each side, through the same docker client.
Not here: forming the clusters (tests.beside, tests.cluster), the clock (clock).
"""

import contextlib
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker

from bench.engines.clock import MARK, NeverError
from tests.cluster import DOCKER_CLIS, DockerCli
from tests.hosts import Host

CLI = DOCKER_CLIS.get("debian") or DOCKER_CLIS["new"]
_REMOVAL_S = 90.0


class ServiceSide:
    """A Swarm or a Berth: whoever answers docker's service commands at `at`."""

    def __init__(self, name: str, at: Callable[[], str], config: Path, flags: Sequence[str] = ()):
        self.name = name
        self.flags = tuple(flags)
        self._at = at
        self.cli = DockerCli(CLI, at, config)

    def create(self, mark: str, image: str, replicas: int) -> None:
        self.cli(
            "service", "create", "--quiet", f"--name={mark}", f"--container-label={MARK}={mark}",
            f"--replicas={replicas}", *self.flags, image, timeout_s=180,
        )  # fmt: skip

    def is_taken(self, mark: str, image: str) -> bool:
        """Try to create a service of one replica; tell whether it was accepted."""
        argv = ("service", "create", "--quiet", f"--name={mark}", *self.flags, image)
        return self.cli(*argv, check=False, timeout_s=60).exit_code == 0

    def update(self, mark: str, image: str, _replicas: int) -> None:
        self.cli("service", "update", "--quiet", "--detach", f"--image={image}", mark)

    def remove(self, mark: str) -> None:
        self.cli("service", "rm", mark, check=False)

    def ask(self, question: Callable[[Any], Any], until: Any, what: str) -> float:
        """Ask again and again until the answer is `until`; return when that was."""
        with contextlib.closing(docker.APIClient(self._at(), version="1.41")) as client:
            for _ in range(600):
                answer = question(client)
                if answer == until:
                    return time.time()
                time.sleep(0.1)
        raise NeverError(f"{self.name} never said {what} {until}, but {answer}")

    def told_running(self, mark: str, count: int) -> float:
        """Return when the service's own view had `count` running."""

        def running(client: Any) -> int:
            (found,) = client.services(filters={"name": mark}, status=True)
            return int(found["ServiceStatus"]["RunningTasks"])

        return self.ask(running, count, "RunningTasks")


class CommandSide:
    """`docker run`, straight at the Engines, as many at a time as `width`: the limit."""

    name = "limit"

    def __init__(self, hosts: Sequence[Host], config: Path, width: int):
        self._clis = [DockerCli(CLI, _constantly(host.engine.url), config) for host in hosts]
        self._width = width

    def create(self, mark: str, image: str, replicas: int) -> None:
        def run(number: int) -> None:
            cli = self._clis[number % len(self._clis)]
            cli("run", "--detach", f"--label={MARK}={mark}", f"--name={mark}-{number}", image)

        with ThreadPoolExecutor(self._width) as pool:
            list(pool.map(run, range(replicas)))

    def remove(self, mark: str) -> None:
        """Nothing but the containers, which `emptied` removes."""


def _constantly(at: str) -> Callable[[], str]:
    return lambda: at


class CallSide:
    """The same by bare calls of the Engines' API, without a process for each: the floor."""

    name = "floor"

    def __init__(self, hosts: Sequence[Host], width: int):
        self._clients = [
            docker.APIClient(host.engine.url, version="1.41", max_pool_size=width) for host in hosts
        ]
        self._width = width

    def create(self, mark: str, image: str, replicas: int) -> None:
        def run(number: int) -> None:
            client = self._clients[number % len(self._clients)]
            self.make(client, f"{mark}-{number}", image, mark)
            client.start(f"{mark}-{number}")

        with ThreadPoolExecutor(self._width) as pool:
            list(pool.map(run, range(replicas)))

    @staticmethod
    def make(client: Any, name: str, image: str, mark: str) -> None:
        body = {"Image": image, "Labels": {MARK: mark}}
        client.create_container_from_config(body, name)

    def update(self, mark: str, image: str, replicas: int) -> None:
        """Replace all, stop-first, `width` at a time; each new one is made while its old one stops.

        Nothing less can be done by anybody who replaces them so: one stop, one create, one start.
        """

        def replace(number: int) -> None:
            client = self._clients[number % len(self._clients)]
            old, new = f"{mark}-{number}", f"{mark}-{number}-new"
            with ThreadPoolExecutor(1) as beside:
                made = beside.submit(self.make, client, new, image, mark)
                client.stop(old)
                made.result()
            client.start(new)

        with ThreadPoolExecutor(self._width) as pool:
            list(pool.map(replace, range(replicas)))

    def remove(self, mark: str) -> None:
        """Nothing but the containers, which `emptied` removes."""

    def close(self) -> None:
        for client in self._clients:
            client.close()


def emptied(hosts: Sequence[Host], mark: str) -> None:
    """Remove what is left of a round, and wait until every Engine is rid of it."""

    def empty(host: Host) -> None:
        deadline = time.monotonic() + _REMOVAL_S
        filters = {"label": f"{MARK}={mark}"}
        with contextlib.closing(docker.APIClient(host.engine.url, timeout=60)) as client:
            while found := client.containers(all=True, quiet=True, filters=filters):
                if time.monotonic() > deadline:
                    raise NeverError(f"{host} keeps {len(found)} containers of {mark}")
                for each in found:
                    with contextlib.suppress(docker.errors.APIError):  # Its owner is at it.
                        client.remove_container(each["Id"], force=True)
                time.sleep(0.2)

    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(empty, [host for host in hosts if host.is_on]))


def pull_everywhere(hosts: Sequence[Host], *images: str) -> None:
    """Have every image on every Engine, so that no round pays for a pull."""
    for host in hosts:
        for image in images:
            command = [CLI, "--host", host.engine.url, "pull", "--quiet", image]
            subprocess.run(command, check=True, capture_output=True)
