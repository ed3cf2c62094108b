"""Networks as changes of the leader's memory, and what services ask of them.

Each change refuses whole, by a `BerthError`, or changes everything that it means to. Validation of
a network's spec comes before (scheduler.control.network_flows).

Invariants (tests/unit/scheduler/core/test_networks.py): a network that a service asks for cannot be
removed; a service that is created or updated names networks that there are, by their names.
"""

from collections.abc import Mapping
from dataclasses import replace

from berth.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
)
from berth.model.events import CREATE, REMOVE
from berth.model.network import INGRESS, PREDEFINED, Network, NetworkSpec
from berth.model.service import NetworkAttachment, ServiceSpec
from scheduler.core.events import note_network
from scheduler.core.now import Now
from scheduler.core.state import LeaderState


def find_network(state: LeaderState, name: str) -> Network:
    """Return the network by exact name, else full ID, else unique prefix of its ID.

    Raises:
        NotFoundError: there is none.
        InvalidRequestError: the prefix is ambiguous; give more of it.
    """
    if name in state.networks:
        return state.networks[name]
    found = [each for each in state.networks.values() if name and each.id.startswith(name)]
    if len(found) > 1:
        raise InvalidRequestError(
            f'network "{name}" is ambiguous: {len(found)} IDs begin so; give more of the ID'
        )
    if not found:
        raise NotFoundError(f"network {name} not found")  # Swarm's very words.
    return found[0]


def create_network(state: LeaderState, spec: NetworkSpec, now: Now) -> Network:
    """Add a network.

    Raises:
        AlreadyExistsError: one of that name exists, or every Engine has it.
    """
    if spec.name in PREDEFINED or spec.name in state.networks:
        raise AlreadyExistsError(f"network with name {spec.name} already exists")
    network = Network(spec, now.timestamp)
    state.networks[spec.name] = network
    note_network(state.chronicle, CREATE, network)
    state.unsaved.networks[spec.name] = None
    return network


def remove_network(state: LeaderState, name: str) -> Network:
    """Forget a network; bridges that stand for it go as nodes have no use for them.

    Raises:
        PermissionDeniedError: every Engine has it.
        ConflictError: services ask for it.
        NotFoundError: there is none.
    """
    if name in PREDEFINED:
        raise PermissionDeniedError(f"{name} is a pre-defined network and cannot be removed")
    network = find_network(state, name)
    users = users_of_networks(state).get(network.spec.name, ())
    if users:
        raise ConflictError(
            f"network {network.spec.name} is in use by the services {', '.join(users)}; "
            "remove them first, or take it from them"
        )
    del state.networks[network.spec.name]
    note_network(state.chronicle, REMOVE, network)
    state.unsaved.networks[network.spec.name] = None
    return network


def users_of_networks(state: LeaderState) -> dict[str, tuple[str, ...]]:
    """Return by network the names of the services whose spec asks for it."""
    users: dict[str, set[str]] = {}
    for service in state.services.values():
        record = service.record
        if not record.is_removing:
            for attachment in record.spec.task.networks:
                users.setdefault(attachment.target, set()).add(record.spec.name)
    return {name: tuple(sorted(names)) for name, names in users.items()}


def with_named_networks(
    state: LeaderState, spec: ServiceSpec, previous: ServiceSpec | None
) -> ServiceSpec:
    """Return `spec` with each network under its name: clients say names or IDs.

    Args:
        state: the memory.
        spec: as a user sent it.
        previous: of the same service; what it asked for already is not asked for again.

    Raises:
        NotFoundError: there is no such network.
        InvalidRequestError: it asks for the ingress network, or a prefix is ambiguous.
    """
    if not spec.task.networks:
        return spec
    old = {each.target for each in previous.task.networks} if previous is not None else set()
    named = tuple(_named(state, each, old) for each in spec.task.networks)
    return replace(spec, task=replace(spec.task, networks=named))


def _named(state: LeaderState, wanted: NetworkAttachment, old: set[str]) -> NetworkAttachment:
    if wanted.target == INGRESS:
        raise InvalidRequestError(
            f"a service cannot ask for the network {INGRESS}; publish a port instead"
        )
    if not wanted.target or wanted.target in PREDEFINED or wanted.target in old:
        return wanted
    return replace(wanted, target=find_network(state, wanted.target).spec.name)


def networks_for(
    networks: Mapping[str, Network], attachments: tuple[NetworkAttachment, ...]
) -> list[Network]:
    """Return those networks that `attachments` name and that there are."""
    return [networks[each.target] for each in attachments if each.target in networks]
