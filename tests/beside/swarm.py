"""Form a real Docker Swarm from the Engines of a lab's hosts, and dissolve it again.

Duty: `docker swarm init` and `join` on Engines that run already, whoever else uses them.
Not here: hosts and Engines (tests.hosts), what is asked of the Swarm (script).
Invariant: when the block ends, no Engine is a member of a Swarm, and the network that Swarm puts
on every member is gone. Berth's own containers are not touched: Swarm removes only its own.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import docker
import docker.errors

from tests.hosts import Host

PORT = 2377
_GATEWAY_NETWORK = "docker_gwbridge"
_LEAVE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Swarm:
    """A Swarm that runs: hosts whose Engines manage it, and all its hosts."""

    managers: tuple[Host, ...]
    hosts: tuple[Host, ...]

    @property
    def docker_host(self) -> str:
        """DOCKER_HOST of its first manager, the leader as long as nothing happens to it."""
        return self.managers[0].engine.url

    @property
    def workers(self) -> tuple[Host, ...]:
        """The hosts that manage nothing."""
        return tuple(host for host in self.hosts if host not in self.managers)


@contextlib.contextmanager
def swarm_of(hosts: Sequence[Host], *, managers: int = 1) -> Iterator[Swarm]:
    """Let the Engines of `hosts` be one Swarm as long as the `with` block.

    Args:
        hosts: on, with Engines that answer and that are members of nothing.
        managers: how many of them manage it; the first of them starts it.
    """
    swarm = Swarm(tuple(hosts[:managers]), tuple(hosts))
    try:
        _form(swarm)
        yield swarm
    finally:
        for host in reversed(hosts):
            if host.is_on and host.engine.is_running:
                _leave(host)


def _form(swarm: Swarm) -> None:
    first, *others = swarm.hosts
    with contextlib.closing(first.engine.client()) as client:
        client.api.init_swarm(advertise_addr=first.address, listen_addr=f"{first.address}:{PORT}")
        tokens = client.api.inspect_swarm()["JoinTokens"]
    for host in others:
        role = "Manager" if host in swarm.managers else "Worker"
        with contextlib.closing(host.engine.client()) as client:
            client.api.join_swarm(
                remote_addrs=[f"{first.address}:{PORT}"],
                join_token=tokens[role],
                advertise_addr=host.address,
                listen_addr=f"{host.address}:{PORT}",
            )


def _leave(host: Host) -> None:
    with contextlib.closing(host.engine.client(_LEAVE_TIMEOUT_S)) as client:
        with contextlib.suppress(docker.errors.APIError):  # It never joined.
            client.api.leave_swarm(force=True)
        for network in client.api.networks(names=[_GATEWAY_NETWORK]):
            client.api.remove_network(network["Id"])
