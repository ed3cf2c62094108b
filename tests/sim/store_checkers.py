"""Whether a new leader would find everything as this one knows it, checked in the end.

Duty: load a memory from the store as a new leader does, and name what differs.
Not here: commits as they happen (checkers).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from berth.model.files import FileKind
from berth.model.instant import NO_TIME
from berth.model.node import Node, NodeState
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.service_state import slot_of
from scheduler.core.state import LeaderState
from scheduler.leader import Leader
from scheduler.store.loading import load_state
from tests.sim.cluster import Cluster

K = TypeVar("K")


def forgotten_by_store(cluster: Cluster, leader: Leader) -> Iterator[str]:
    """Yield what a new leader would not find as this one knows it."""
    known = leader.state
    found = load_state(cluster.etcd.entries(), ClusterRecord(known.cluster.id), leader.now())
    yield from _differences("task", _tasks(known), _tasks(found))
    yield from _differences("history", _history(known), _history(found))
    yield from _differences("node", _nodes(known), _nodes(found))
    yield from _differences("file", _files(known), _files(found))
    yield from _differences("cluster", {"": known.cluster}, {"": found.cluster})
    records = [
        {key: service.record for key, service in state.services.items()} for state in (known, found)
    ]
    yield from _differences("service", *records)


def _differences(what: str, known: Mapping[K, object], found: Mapping[K, object]) -> Iterator[str]:
    for key in sorted({*known, *found}, key=str):
        if known.get(key) != found.get(key):
            yield f"{what} {key}: known {known.get(key)}, stored {found.get(key)}"


def _tasks(state: LeaderState) -> dict[str, object]:
    return {
        task.id: (task.node_id, task.desired, slot_of(task))
        for task in state.tasks.values()
        if task.node_id is not None
    }


def _history(state: LeaderState) -> dict[tuple[str, str], object]:
    """When something ended is left out: a clock that is set back brings that to its present."""
    return {
        (service.record.id, str(slot)): [replace(it, finished_at=NO_TIME) for it in entries]
        for service in state.services.values()
        for slot, entries in service.history.items()
        if entries
    }


def _nodes(state: LeaderState) -> dict[str, Node]:
    """Whether a node is connected, and what it says of itself, its agent tells again."""
    return {
        node.id: replace(node, state=NodeState.UNKNOWN, message="") for node in state.nodes.values()
    }


def _files(state: LeaderState) -> dict[str, object]:
    return {
        f"{kind}/{record.id}": record for kind in FileKind for record in state.files.of_kind(kind)
    }
