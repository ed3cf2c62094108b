"""How a task's networks look to an Engine, and where its container is reached. Pure.

Duty: which bridges a task joins and under which names; the labels by which bridges and their users
are known again; addresses read back.
Not here: making bridges (docker_networks), the rest of a container (translate, seen).
Invariants (tests/unit/nodeagent/runtime/test_networks.py): what `networks_label` writes is
read by `joined_names`; an address is told of networks that the task asked for, and of the
Engine's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from berth.model.network import NODE_LOCAL, Network, NetworkSpec
from berth.model.service import NetworkAttachment
from nodeagent.runtime.port import RuntimeTask

LABEL_NETWORK: Final = "berth.network"
"""On a bridge: the network that it stands for."""

LABEL_NETWORKS: Final = "berth.networks"
"""On a container: the bridges that it joined, as ``ID=network,ID=network``."""

LABEL_OF_USER: Final = "berth.label."
"""Goes before a network's label that Docker's own tools act on, see `_carried`."""

_DOCKERS_OWN: Final = ("com.docker.", "io.docker.", "org.dockerproject.")
_BRIDGE_OPTIONS: Final = ("com.docker.network.bridge.", "com.docker.network.driver.mtu")


@dataclass(frozen=True, slots=True)
class JoinedNetwork:
    """A bridge of the Engine that a container joins."""

    name: str
    engine_id: str
    aliases: tuple[str, ...] = ()
    driver_options: Mapping[str, str] = field(default_factory=dict)


def wanted_networks(task: RuntimeTask) -> list[NetworkAttachment]:
    """Return the attachments for which the node needs a bridge; none beside host or none."""
    wanted = [each for each in task.task.networks if each.target not in NODE_LOCAL]
    is_apart = any(each.target in ("host", "none") for each in task.task.networks)
    return [] if is_apart else wanted


def spec_of(task: RuntimeTask, name: str) -> NetworkSpec:
    """Return what the cluster says of a network; a name alone where it says nothing."""
    found: Sequence[Network] = [each for each in task.networks if each.spec.name == name]
    return found[0].spec if found else NetworkSpec(name)


def joined(task: RuntimeTask, wanted: NetworkAttachment, engine_id: str) -> JoinedNetwork:
    """Return how a task joins the bridge `engine_id`: by its service's name and its aliases."""
    aliases = dict.fromkeys((*wanted.aliases, task.service_name, f"tasks.{task.service_name}"))
    return JoinedNetwork(wanted.target, engine_id, tuple(aliases), wanted.driver_options)


def bridge_body(name: str, spec: NetworkSpec, cluster_id: str) -> dict[str, Any]:
    """Return the body of an Engine's `POST /networks/create`."""
    pools = [
        {
            key: value
            for key, value in (
                ("Subnet", pool.subnet),
                ("IPRange", pool.ip_range),
                ("Gateway", pool.gateway),
            )
            if value
        }
        for pool in spec.pools
    ]
    return {
        "Name": name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "Internal": spec.is_internal,
        "EnableIPv6": spec.is_ipv6,
        # An overlay's options mean nothing to a bridge, and it refuses what it does not know.
        "Options": {
            key: value for key, value in spec.options.items() if key.startswith(_BRIDGE_OPTIONS)
        },
        "Labels": {
            **_carried(spec.labels),
            "berth.cluster": cluster_id,
            LABEL_NETWORK: spec.name,
        },
        **({"IPAM": {"Driver": "default", "Config": pools}} if pools else {}),
    }


def _carried(labels: Mapping[str, str]) -> dict[str, str]:
    """Return a network's labels as its bridge bears them.

    Labels of Docker's own namespaces are orders to its tools: `docker stack rm` of a Swarm that
    shares the Engine would take the bridges of a Berth stack of that name for its own, and
    `docker compose down` those of a project. On the bridge such labels mean nothing to anybody.
    """
    return {
        f"{LABEL_OF_USER}{key}" if key.startswith(_DOCKERS_OWN) else key: value
        for key, value in labels.items()
    }


def endpoint_config(network: JoinedNetwork) -> dict[str, Any]:
    """Return an `EndpointSettings`."""
    config: dict[str, Any] = {"Aliases": list(network.aliases)}
    if network.driver_options:
        config["DriverOpts"] = dict(network.driver_options)
    return config


def networks_label(networks: Sequence[JoinedNetwork]) -> dict[str, str]:
    """Return the label that tells which bridges a container joined; none for none."""
    text = ",".join(f"{each.engine_id}={each.name}" for each in networks)
    return {LABEL_NETWORKS: text} if text else {}


def joined_names(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the networks of a container by the IDs of their bridges."""
    pairs = (pair.partition("=") for pair in labels.get(LABEL_NETWORKS, "").split(",") if pair)
    return {engine_id: name for engine_id, _, name in pairs}


def seen_addresses(
    networks: Mapping[str, Mapping[str, Any] | None], labels: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return (network, address with prefix) for each address that a container has now.

    Args:
        networks: `NetworkSettings.Networks` of the Engine's answer.
        labels: the container's.
    """
    names = joined_names(labels)
    found: list[tuple[str, str]] = []
    for key, endpoint in networks.items():
        if endpoint is None:
            continue
        name = names.get(endpoint.get("NetworkID") or "", key if key in NODE_LOCAL else "")
        if name:
            found += [(name, address) for address in _addresses(endpoint)]
    return tuple(sorted(found))


def _addresses(endpoint: Mapping[str, Any]) -> Iterator[str]:
    for address, prefix in (
        ("IPAddress", "IPPrefixLen"),
        ("GlobalIPv6Address", "GlobalIPv6PrefixLen"),
    ):
        if endpoint.get(address):
            yield f"{endpoint[address]}/{endpoint[prefix]}"
