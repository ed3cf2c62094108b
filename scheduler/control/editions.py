"""Which answer is which: an answer whose edition a caller still has need not be made again.

Duty: say what a list shows, as plain values that are cheap to gather and to compare, and number
what was shown. A docker CLI that waits asks for the same service, tasks and nodes five times a
second; mostly they are as they were. Pure.
Not here: the answers (views), when they may leave (durable).
Invariant (tests/unit/scheduler/control/test_editions.py): whatever changes an answer, but for ages,
loads and connections, changes what is gathered here.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from berth.model.node import Node
from scheduler.census import wanted_tasks
from scheduler.control.views import (
    TaskFilter,
    TaskViewer,
    acceptance,
    completed_tasks,
    node_name,
    running_on_lost_nodes,
)
from scheduler.core.service_state import ServiceState
from scheduler.core.state import LeaderState

Shown = tuple[Any, ...]
"""Everything that an answer rests on; equal ones make equal answers."""

SHOWN_MAX: Final = 2000
"""Longer lists are not asked for all the time; each is made anew."""
NODES_SHOWN_MAX: Final = 50_000
"""All of them are: a docker CLI that waits asks for the nodes of the cluster, however many."""
ROOM: Final = 512


class Editions:
    """Numbers the answers to each request; all of one maker's are told apart by its name."""

    def __init__(self, maker: str, room: int = ROOM) -> None:
        self._maker = maker
        self._room = room
        self._kept: dict[bytes, tuple[Shown, str]] = {}
        self._count = 0

    def of(self, request: bytes, shown: Shown | None) -> str:
        """Return the edition of what is shown now; "" where there is too much of it.

        Args:
            request: what was asked.
            shown: what the answer rests on.
        """
        if shown is None:
            return ""
        kept = self._kept.get(request)
        if kept is None or kept[0] != shown:
            self._count += 1
            kept = self._kept[request] = shown, f"{self._maker}.{self._count}"
            if len(self._kept) > self._room:
                del self._kept[next(iter(self._kept))]
        return kept[1]


def shown_services(state: LeaderState, services: Sequence[ServiceState]) -> Shown | None:
    """Return what views of `services` rest on."""
    if len(services) > SHOWN_MAX:
        return None
    lost = running_on_lost_nodes(state)
    shown: list[Any] = []
    has_ports = False
    for service in services:
        shown += (
            service.record,
            service.running - lost[service.record.id],
            wanted_tasks(service),
            completed_tasks(service),
        )
        if service.record.spec.endpoint.ports:
            has_ports = True
            shown.append(service.places)
    # Of where ports answer it is enough whether it can have changed.
    return (*shown, state.node_changes if has_ports else 0)


def tasks_looked_at(state: LeaderState, wanted: TaskFilter) -> int:
    """Return about how many tasks must be looked at to find the wanted ones."""
    services = wanted.services or state.services.values()
    if not wanted.nodes:
        return sum(len(service.slots) + len(service.history) for service in services)
    found = sum(len(state.node_tasks.get(node, ())) for node in wanted.nodes)
    return found + (0 if wanted.only_wanted else sum(len(it.history) for it in services))


def shown_tasks(state: LeaderState, wanted: TaskFilter, viewer: TaskViewer) -> Shown | None:
    """Return what views of the tasks of named services rest on."""
    if not wanted.services or tasks_looked_at(state, wanted) > SHOWN_MAX:
        return None
    accepts, nodes = acceptance(wanted, viewer), state.nodes
    shown: list[Any] = []
    for service in wanted.services:
        shown.append(service.record)
        for tasks in service.slots.values():
            for task in tasks:
                if not accepts(service, task):
                    continue
                if task.node_id is None:
                    where: Any = viewer.why_waiting(service, task)
                else:
                    node = nodes.get(task.node_id)
                    where = node and (node.id, node_name(node))
                shown += (task.id, task.desired, task.observed, task.observed_at, task.status)
                shown += (where, task.reason, task.granted)
        if wanted.only_wanted:
            continue
        for ended in service.history.values():
            for finished in ended:
                if accepts(service, finished):
                    node = nodes.get(finished.node_id) if finished.node_id is not None else None
                    shown += (finished, node and node_name(node))
    return tuple(shown)


def shown_nodes(nodes: Collection[Node]) -> Shown | None:
    """Return what views of `nodes` rest on."""
    return None if len(nodes) > NODES_SHOWN_MAX else tuple(nodes)
