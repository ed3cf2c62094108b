"""Networks that users ask for, by name: what the cluster keeps of them. Pure.

Duty: the values, the ID that follows from a name, the networks that every Engine has.
Not here: what users may ask for (scheduler.control.network_flows), the bridges that stand for a
network on each node (nodeagent.runtime.docker_networks).

A network's ID follows from its name, as a task's follows from its slot: whoever has the name can
tell the ID without asking, and services keep the name alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from berth.model.ids import NetworkId, id_from_text
from berth.model.instant import NO_TIME, Timestamp

INGRESS: Final = "ingress"
NODE_LOCAL: Final = ("bridge", "host", "none")
"""What every Engine has; a task that asks for one joins that of its own node."""

PREDEFINED: Final = (*NODE_LOCAL, INGRESS)


@dataclass(frozen=True, slots=True)
class AddressPool:
    """A range of addresses, as texts; an empty text leaves the choice to the Engine."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What a user said of a network."""

    name: str = ""
    driver: str = "overlay"
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    is_internal: bool = False
    is_attachable: bool = False
    is_ipv6: bool = False
    pools: tuple[AddressPool, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """A network of the cluster."""

    spec: NetworkSpec
    created_at: Timestamp = NO_TIME

    @property
    def id(self) -> NetworkId:
        """See the module."""
        return network_id(self.spec.name)


def network_id(name: str) -> NetworkId:
    """Return the ID of the network called `name`; predefined ones have their name as ID."""
    return NetworkId(name if name in PREDEFINED else id_from_text(f"network/{name}"))
