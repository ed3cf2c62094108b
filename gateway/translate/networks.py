"""Networks as Docker's clients read and write them. Pure.

Duty: networks of the cluster and those that every Engine has; the IDs that stand for their names in
specs; attachments of tasks, and what stands in for virtual addresses. Not here: HTTP
(routes.networks), which networks there are (the control API).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from berth.model.network import (
    INGRESS,
    PREDEFINED,
    AddressPool,
    Network,
    NetworkSpec,
    network_id,
)
from berth.model.service import ServiceSpec, TaskSpec
from berth.views import NetworkView
from gateway.translate.reading import Faults, Struct
from gateway.translate.writing import time_text

SWARM_SCOPE: Final = "swarm"
_DRIVERS: Final = {"none": "null", INGRESS: "overlay"}

BUILTIN: Final = tuple(
    NetworkView(Network(NetworkSpec(name, _DRIVERS.get(name, name)))) for name in PREDEFINED
)
"""What clients expect to see, though nobody created it."""


def is_builtin(view: NetworkView) -> bool:
    """Return whether nobody created it."""
    return view.network.spec.name in PREDEFINED


def write_network(view: NetworkView) -> dict[str, Any]:
    """Return a network."""
    network, spec = view.network, view.network.spec
    return {
        "Name": spec.name,
        "Id": network.id,
        "Created": time_text(network.created_at),
        "Scope": SWARM_SCOPE,
        "Driver": spec.driver,
        "EnableIPv4": True,
        "EnableIPv6": spec.is_ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [_pool(pool) for pool in spec.pools],
        },
        "Internal": spec.is_internal,
        "Attachable": spec.is_attachable,
        "Ingress": spec.name == INGRESS,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": dict(spec.options),
        "Labels": dict(spec.labels),
    }


def _pool(pool: AddressPool) -> dict[str, str]:
    said = {"Subnet": pool.subnet, "IPRange": pool.ip_range, "Gateway": pool.gateway}
    return {key: value for key, value in said.items() if value}


def read_network(document: Any) -> NetworkSpec:
    """Return the network that a client wants.

    Raises:
        InvalidRequestError: lists every value of a wrong type, and what no network here can be.
    """
    faults = Faults()
    sent = Struct(document, "", faults)
    if sent.flag("Ingress"):
        sent.fault("Ingress", "is not supported: Berth has no routing mesh")
    if sent.flag("ConfigOnly") or sent.struct("ConfigFrom").text("Network"):
        sent.fault("ConfigOnly", "is not supported; write the configuration into the network")
    pools = tuple(
        AddressPool(pool.text("Subnet"), pool.text("IPRange"), pool.text("Gateway"))
        for pool in sent.struct("IPAM").structs("Config")
    )
    spec = NetworkSpec(
        name=sent.text("Name"),
        driver=sent.text("Driver", "overlay"),
        labels=sent.text_map("Labels"),
        options=sent.text_map("Options"),
        is_internal=sent.flag("Internal"),
        is_attachable=sent.flag("Attachable"),
        is_ipv6=sent.flag("EnableIPv6"),
        pools=tuple(pool for pool in pools if pool != AddressPool()),
    )
    faults.check(f'network "{spec.name}"')
    return spec


def with_network_ids(spec: ServiceSpec) -> ServiceSpec:
    """Return `spec` with networks by their IDs, as clients of Docker compare them."""
    return replace(spec, task=task_with_network_ids(spec.task)) if spec.task.networks else spec


def task_with_network_ids(task: TaskSpec) -> TaskSpec:
    """Return a template with networks by their IDs."""
    return replace(
        task,
        networks=tuple(
            replace(attachment, target=network_id(attachment.target))
            for attachment in task.networks
        ),
    )


def write_attachments(addresses: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return a task's NetworksAttachments from (network's name, address with prefix)."""
    by_name: dict[str, list[str]] = {}
    for name, address in addresses:
        by_name.setdefault(name, []).append(address)
    return [
        {"Network": {"ID": network_id(name), "Spec": {"Name": name}}, "Addresses": found}
        for name, found in by_name.items()
    ]


def write_virtual_ips(published_at: Iterable[str]) -> list[dict[str, str]]:
    """Return the VirtualIPs of a service: the nodes where its published ports answer.

    What has no number as its address is left out: clients give up the whole list otherwise.
    """
    return [
        {"NetworkID": network_id(INGRESS), "Addr": f"{address}/{address.max_prefixlen}"}
        for text in published_at
        if (address := _address(text)) is not None
    ]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
