"""The layout of keys in the store, relative to the cluster's prefix. Pure."""

from collections.abc import Mapping
from typing import Final

from berth.model.files import FileKey, FileKind
from berth.model.ids import NetworkId, NodeId, ServiceId

CLUSTER = "cluster"
SERVICES = "services/"
NODES = "nodes/"
PLACEMENTS = "placements/"
HISTORY = "history/"
NETWORKS = "networks/"
EVENTS = "events/"
FILES: Final[Mapping[FileKind, str]] = {
    FileKind.CONFIG: "configs/",
    FileKind.SECRET: "secrets/",
}


def service_key(service: ServiceId) -> str:
    """Return the key of a service's record."""
    return f"{SERVICES}{service}"


def node_key(node: NodeId) -> str:
    """Return the key of a node's record."""
    return f"{NODES}{node}"


def placements_key(node: NodeId) -> str:
    """Return the key of the document that holds all tasks of a node."""
    return f"{PLACEMENTS}{node}"


def history_key(service: ServiceId, shard: int) -> str:
    """Return the key of one shard of a service's finished tasks."""
    return f"{HISTORY}{service}/{shard}"


def file_key(file: FileKey) -> str:
    """Return the key of a config or secret; its payload is sealed for this very place."""
    kind, file_id = file
    return f"{FILES[kind]}{file_id}"


def events_key(first_ns: int) -> str:
    """Return the key of a document of events; keys sort as the times of their first events."""
    return f"{EVENTS}{first_ns:020}"


def network_key(network: NetworkId) -> str:
    """Return the key of a network's record."""
    return f"{NETWORKS}{network}"
