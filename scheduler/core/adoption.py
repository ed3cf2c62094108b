"""Take in the placed tasks that the store holds: a new leader's memory, a node at a time.

Why this stands apart: a hundred thousand tasks are taken in while thousands of agents wait for
their leader, and one call a task for every index (`LeaderState.load_task`) costs five times as
much. tests/property/test_adoption.py holds the two ways to the same memory; whoever changes one
changes the other.

What agents can re-tell is presumed to be as it was last written; what the store does not know of
a task (since when it runs, or stops) begins with the new leader.
"""

from collections.abc import Iterable

import numpy as np

from berth.model.ids import NodeId, ServiceId
from berth.model.task import Task, TaskState
from scheduler.core.now import Now
from scheduler.core.service_state import ServiceState, SlotKey, noted
from scheduler.core.state import LeaderState


class Adoption:
    """Of all that is placed; call `adopt` for each node, then `finish`."""

    def __init__(self, state: LeaderState, now: Now) -> None:
        self._state = state
        self._now = now
        self._places: dict[tuple[ServiceId, int], dict[NodeId, int]] = {}
        """By service and template, on which nodes how many counted tasks are."""
        self._unlike: dict[tuple[ServiceId, SlotKey], None] = {}
        """The slots that hold more than one task, or one that is to go."""

    def adopt(self, node: NodeId, tasks: Iterable[Task]) -> None:
        """Index what is on a node; the services and the node are known, the tasks are not."""
        state, instant, today = self._state, self._now.instant, self._now.timestamp
        services, everyone = state.services, state.tasks
        on_node = state.node_tasks[node]
        running_state, last_wanted = TaskState.RUNNING, TaskState.COMPLETE
        counts: dict[tuple[ServiceId, int], int] = {}
        running: dict[ServiceId, int] = {}
        known, added = len(everyone), 0
        for task in tasks:
            service = services[task.service_id]
            service_id = task.service_id = service.record.id  # One object for all of them.
            everyone[task.id] = task
            on_node.append(task)
            added += 1
            slot = task.slot or task.home
            assert slot is not None
            held = service.slots.get(slot)
            if held is None:
                service.slots[slot] = (task,)
            else:
                service.slots[slot] = (*held, task)
                self._unlike[service_id, slot] = None
            task.observed_since, task.observed_at = instant, today
            observed, desired = task.observed, task.desired
            if desired > last_wanted:
                task.stop_since = instant
                if desired is TaskState.REMOVE:
                    self._unlike[service_id, slot] = None
            if observed > running_state:
                continue
            if observed is running_state:
                task.running_since = instant
            if desired > last_wanted or task.granted:
                self._occupy(service, task)
            else:
                template = service_id, task.template_version
                counts[template] = counts.get(template, 0) + 1
            if observed is running_state and desired <= last_wanted:
                running[service_id] = running.get(service_id, 0) + 1
        assert len(everyone) == known + added, f"a task of node {node} exists"
        for template, count in counts.items():
            self._places.setdefault(template, {})[node] = count
        for service_id, count in running.items():
            services[service_id].begin_running(node, count)

    def _occupy(self, service: ServiceState, task: Task) -> None:
        """Let a task that is not as all others occupy its node."""
        assert task.node_id is not None
        table, demand = self._state.table, service.demand(task.template_version)
        table.occupy(task.node_id, demand, counted=task.is_wanted)
        if task.granted:
            table.adopt_generic(task.node_id, task.granted)

    def finish(self) -> None:
        """Let everything occupy its node, and put the tasks of each slot in order."""
        state = self._state
        for (service_id, version), nodes in self._places.items():
            rows = [state.table.row_of(node) for node in nodes]
            assert None not in rows, f"service {service_id} has tasks on a node without a row"
            state.table.occupy_rows(
                np.array(rows, np.int64),
                np.fromiter(nodes.values(), np.int64, len(nodes)),
                state.services[service_id].demand(version),
            )
        for service_id, slot in self._unlike:
            service = state.services[service_id]
            tasks = tuple(sorted(service.slots[slot], key=lambda task: task.attempt))
            service.slots[slot] = tasks
            if all(task.desired == TaskState.REMOVE for task in tasks):
                service.closing = noted(service.closing, (slot,))
