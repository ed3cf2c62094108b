"""Networks as far as Docker's clients must see some, without Berth having any.

Duty: the node-local networks that every Engine has; the names that services ask for, which stand
for networks that Berth does not make; what a client created a moment ago. Pure, but for notes.
Not here: HTTP (routes.networks), what a task really joins (the agent: its Engine's bridge).

A network's ID is its name. Nothing is stored: a network that services name exists as long as they
do; one that was created and that no service names yet is known to this process alone, which is
enough for `docker stack deploy`, which creates it first and names it a moment later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from berth.errors import AlreadyExistsError, ConflictError, NotFoundError, PermissionDeniedError
from berth.model.instant import NO_TIME, Timestamp
from berth.views import ServiceView
from gateway.translate.writing import time_text

STACK_LABEL: Final = "com.docker.stack.namespace"
SWARM_SCOPE: Final = "swarm"
_NOTES_MAX: Final = 1000

WARNING: Final = (
    "Berth makes no overlay networks: tasks that ask for this one join their own Engine's bridge "
    "and reach each other by published ports"
)


@dataclass(frozen=True, slots=True)
class Network:
    """One network; its ID is its name."""

    name: str
    driver: str
    labels: Mapping[str, str] = field(default_factory=dict)
    created_at: Timestamp = NO_TIME
    is_predefined: bool = False
    is_ingress: bool = False
    is_attachable: bool = False
    is_internal: bool = False
    used_by: tuple[str, ...] = ()
    """Names of the services that ask for it."""


PREDEFINED: Final = (
    Network("bridge", "bridge", is_predefined=True),
    Network("host", "host", is_predefined=True),
    Network("none", "null", is_predefined=True),
    Network("ingress", "overlay", is_predefined=True, is_ingress=True),
)
_PREDEFINED_NAMES: Final = frozenset(network.name for network in PREDEFINED)


def networks_of(services: Iterable[ServiceView]) -> dict[str, Network]:
    """Return the networks that services name, beside those of every Engine."""
    users: dict[str, list[ServiceView]] = {}
    for service in services:
        for network in service.spec.task.networks:
            users.setdefault(network.target, []).append(service)
    found = {network.name: network for network in PREDEFINED}
    for name, named_by in sorted(users.items()):
        if name and name not in found:
            found[name] = Network(
                name,
                "overlay",
                labels=_stack_labels(name, named_by),
                created_at=min(service.created_at for service in named_by),
                used_by=tuple(sorted(service.spec.name for service in named_by)),
            )
    return found


def _stack_labels(name: str, services: Iterable[ServiceView]) -> dict[str, str]:
    """Return the label by which `docker stack rm` finds the network of a stack again."""
    stacks = {service.spec.labels.get(STACK_LABEL, "") for service in services}
    if len(stacks) == 1 and (stack := stacks.pop()) and name.startswith(f"{stack}_"):
        return {STACK_LABEL: stack}
    return {}


class NetworkNotes:
    """Networks that clients created here and that no service may name yet."""

    def __init__(self) -> None:
        self._created: dict[str, Network] = {}

    def all(self, services: Iterable[ServiceView]) -> dict[str, Network]:
        """Return all networks by name."""
        named = networks_of(services)
        return {**self._created, **named}

    def find(self, services: Iterable[ServiceView], name: str) -> Network:
        """Return a network by name.

        Raises:
            NotFoundError: nobody created it and no service names it.
        """
        found = self.all(services).get(name)
        if found is None:
            raise NotFoundError(f"network {name} not found")
        return found

    def add(self, services: Iterable[ServiceView], network: Network) -> None:
        """Take note of a network.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        if network.name in self.all(services):
            raise AlreadyExistsError(f"network with name {network.name} already exists")
        while len(self._created) >= _NOTES_MAX:
            del self._created[next(iter(self._created))]
        self._created[network.name] = network

    def remove(self, services: Iterable[ServiceView], name: str) -> None:
        """Forget a network. One that only services named goes with them, so it may be gone.

        Raises:
            PermissionDeniedError: every Engine has it.
            ConflictError: services name it.
            NotFoundError: there is none.
        """
        if name in _PREDEFINED_NAMES:
            raise PermissionDeniedError(f"{name} is a pre-defined network and cannot be removed")
        found = self.find(services, name)
        if found.used_by:
            raise ConflictError(
                f"network {name} is in use by the services {', '.join(found.used_by)}; "
                "remove them first"
            )
        self._created.pop(name, None)


def write_network(network: Network) -> dict[str, Any]:
    """Return a network as Docker's clients read it."""
    return {
        "Name": network.name,
        "Id": network.name,
        "Created": time_text(network.created_at),
        "Scope": SWARM_SCOPE,
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": network.is_internal,
        "Attachable": network.is_attachable,
        "Ingress": network.is_ingress,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": dict(network.labels),
    }
