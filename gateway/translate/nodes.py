"""Nodes as Docker's clients read and write them. Pure.

Every node of Berth is a worker: schedulers are programs of their own, not nodes.
"""

from typing import Any, Final

from berth.model.node import Availability, NodeDescription, NodeSpec
from berth.model.resources import NodeResources
from berth.views import NodeView
from gateway.translate.reading import Faults, Struct
from gateway.translate.writing import time_text, without_empty

WORKER: Final = "worker"
_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64"}


def machine_architecture(architecture: str) -> str:
    """Return an architecture as Engines say it; an image's manifest says amd64."""
    return _ARCHITECTURES.get(architecture, architecture)


def write_node(view: NodeView) -> dict[str, Any]:
    """Return a node."""
    node = view.node
    spec = {
        **without_empty({"Name": node.spec.name}),
        "Labels": dict(node.labels),
        "Role": WORKER,
        "Availability": node.spec.availability.value,
    }
    return {
        "ID": node.id,
        "Version": {"Index": node.version},
        "CreatedAt": time_text(node.created_at),
        "UpdatedAt": time_text(node.updated_at),
        "Spec": spec,
        "Description": _description(node.description),
        "Status": {
            "State": node.state.value,
            **without_empty({"Message": node.message}),
            "Addr": node.description.address,
        },
    }


def _description(found: NodeDescription) -> dict[str, Any]:
    plugins = [
        {"Type": kind, "Name": name}
        for kind, names in (
            ("Log", found.log_plugins),
            ("Network", found.network_plugins),
            ("Volume", found.volume_plugins),
        )
        for name in names
    ]
    return {
        "Hostname": found.hostname,
        "Platform": {
            "Architecture": machine_architecture(found.platform.architecture),
            "OS": found.platform.os,
        },
        "Resources": _resources(found.resources),
        "Engine": {
            "EngineVersion": found.engine_version,
            **without_empty({"Labels": dict(found.engine_labels)}),
            "Plugins": plugins,
        },
        "TLSInfo": {},
    }


def _resources(found: NodeResources) -> dict[str, Any]:
    generic: list[dict[str, Any]] = [
        {"DiscreteResourceSpec": {"Kind": kind, "Value": count}}
        for kind, count in found.generic_counts.items()
    ]
    generic += [
        {"NamedResourceSpec": {"Kind": kind, "Value": name}}
        for kind, names in found.generic_names.items()
        for name in names
    ]
    written: dict[str, Any] = {"NanoCPUs": found.nano_cpus, "MemoryBytes": found.memory_bytes}
    return {**written, **without_empty({"GenericResources": generic})}


def read_node_spec(document: Any, stored: NodeView) -> NodeSpec:
    """Return what a client wants of a node.

    Args:
        document: the NodeSpec sent.
        stored: the node as it is; labels that its agent gives it are shown with those that
            operators set, and are not taken over from here.

    Raises:
        InvalidRequestError: lists every fault.
    """
    faults = Faults()
    spec = Struct(document, "", faults)
    role = spec.text("Role", WORKER)
    if role == "manager":
        spec.fault(
            "Role",
            "nodes cannot be promoted: what manages a cluster of Berth is its schedulers, which "
            "are programs of their own; start another berth-scheduler instead",
        )
    elif role != WORKER:
        spec.fault("Role", f'"{role}" does not exist; there is {WORKER}')
    availability = spec.word("Availability", Availability)
    node = stored.node
    agent_labels = node.description.agent_labels
    sent = spec.text_map("Labels")
    for key in agent_labels.keys() - sent.keys():
        spec.fault(f"Labels[{key}]", "comes from the settings of the node's agent; remove it there")
    labels = {
        key: value
        for key, value in sent.items()
        if key in node.spec.labels or agent_labels.get(key) != value
    }
    faults.check(f'node "{stored.name}"')
    return NodeSpec(
        labels=labels,
        availability=availability or node.spec.availability,
        role=node.spec.role,
        name=spec.text("Name", node.spec.name),
    )
