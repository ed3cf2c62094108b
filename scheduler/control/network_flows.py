"""What happens between a user's request about networks and its durable effect.

Duty: validate all of it, change the leader's memory in one step, show networks. Not here: the rules
about use (scheduler.core.networks), gRPC (service, forward).
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Final

from berth.errors import Fault, InternalError, InvalidRequestError
from berth.model.ids import NetworkId
from berth.model.network import AddressPool, Network, NetworkSpec
from berth.v1 import control_pb2 as pb
from berth.wire.convert import from_proto, write_proto
from scheduler.control.durable import perform
from scheduler.core import networks
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth

NETWORKS_MAX: Final = 10_000
SPEC_BYTES_MAX: Final = 64 * 1024
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_DRIVERS: Final = ("overlay", "bridge")

WARNING: Final = (
    "the network is a bridge on each node that runs tasks of it: tasks on the same node find each "
    "other by name there, tasks on different nodes reach each other by published ports"
)


async def create_network(
    leader: Leader, store_health: Callable[[], StoreHealth], request: pb.CreateNetworkRequest
) -> pb.CreateNetworkResponse:
    """Create a network.

    Raises:
        InvalidRequestError: lists every fault.
        AlreadyExistsError: there is one of that name.
    """
    try:
        spec = from_proto(NetworkSpec, request.spec)
    except InternalError as error:
        raise InvalidRequestError(f"invalid network: {error.message}") from error
    faults = list(network_faults(spec))
    if request.spec.ByteSize() > SPEC_BYTES_MAX:
        faults.append(Fault("spec", f"is longer than {SPEC_BYTES_MAX} bytes; use shorter labels"))
    if faults:
        raise InvalidRequestError.from_faults(f'network "{spec.name}"', faults)

    def create(state: LeaderState, now: Now) -> Network:
        if len(state.networks) >= NETWORKS_MAX:
            raise InvalidRequestError(
                f"there are {NETWORKS_MAX} networks already; remove some that nobody uses"
            )
        return networks.create_network(state, spec, now)

    created = await perform(leader, store_health, create)
    return pb.CreateNetworkResponse(id=created.id, warnings=[WARNING])


async def remove_network(
    leader: Leader, store_health: Callable[[], StoreHealth], request: pb.RemoveNetworkRequest
) -> pb.RemoveNetworkResponse:
    """Remove a network that no service asks for."""

    def remove(state: LeaderState, now: Now) -> NetworkId:
        return networks.remove_network(state, request.name).id

    return pb.RemoveNetworkResponse(id=await perform(leader, store_health, remove))


def list_networks(state: LeaderState, request: pb.ListNetworksRequest) -> pb.ListNetworksResponse:
    """Return the networks named, or all, by name."""
    found = list(state.networks.values())
    if request.names:
        named = (networks.find_network(state, name) for name in request.names)
        found = list({network.id: network for network in named}.values())
    users = networks.users_of_networks(state)
    answer = pb.ListNetworksResponse()
    for network in sorted(found, key=lambda network: network.spec.name):
        view = answer.networks.add(used_by=users.get(network.spec.name, ()))
        write_proto(network, view.network)
    return answer


def network_faults(spec: NetworkSpec) -> Iterator[Fault]:
    """Yield all that is wrong with a network."""
    if not _NAME.fullmatch(spec.name):
        yield Fault(
            "name",
            f'"{spec.name}" is no name of a network; use at most 128 letters, digits, _ . and -, '
            "with a letter or a digit first",
        )
    if spec.driver not in _DRIVERS:
        yield Fault("driver", f'"{spec.driver}" is not supported; use overlay or bridge')
    for index, pool in enumerate(spec.pools):
        yield from _pool_faults(f"pools[{index}]", pool)


def _pool_faults(path: str, pool: AddressPool) -> Iterator[Fault]:
    if not pool.subnet:
        yield Fault(f"{path}.subnet", "is empty; give a subnet such as 10.9.0.0/24")
        return
    try:
        subnet = ipaddress.ip_network(pool.subnet, strict=False)
    except ValueError:
        yield Fault(f"{path}.subnet", f'"{pool.subnet}" is no subnet; write it as 10.9.0.0/24')
        return
    if pool.gateway:
        try:
            is_within = ipaddress.ip_address(pool.gateway) in subnet
        except ValueError:
            is_within = False
        if not is_within:
            yield Fault(f"{path}.gateway", f'"{pool.gateway}" is no address within {pool.subnet}')
    if pool.ip_range:
        try:
            ip_range = ipaddress.ip_network(pool.ip_range, strict=False)
        except ValueError:
            yield Fault(f"{path}.ip_range", f'"{pool.ip_range}" is no subnet')
            return
        if ip_range.version != subnet.version or not _is_within(ip_range, subnet):
            yield Fault(f"{path}.ip_range", f'"{pool.ip_range}" does not lie within {pool.subnet}')


def _is_within(
    part: ipaddress.IPv4Network | ipaddress.IPv6Network,
    whole: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    return part.network_address in whole and part.broadcast_address in whole
