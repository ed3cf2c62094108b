"""Cluster-wide truths about the leader's memory, asserted in tests and in the simulator."""

from collections import Counter

from berth.model.ids import NodeId
from scheduler.core.service_state import counts_as_running
from scheduler.core.state import LeaderState


def check(state: LeaderState) -> None:
    """Check the indexes against each other; raises AssertionError."""
    in_slots = {
        task.id
        for service in state.services.values()
        for tasks in service.slots.values()
        for task in tasks
    }
    assert in_slots == set(state.tasks)
    on_nodes = [task.id for tasks in state.node_tasks.values() for task in tasks]
    placed = [task.id for task in state.tasks.values() if task.node_id is not None]
    assert sorted(on_nodes) == sorted(placed)
    for service in state.services.values():
        running: Counter[NodeId | None] = Counter()
        for slot, tasks in service.slots.items():
            attempts = [task.attempt for task in tasks]
            assert attempts == sorted(set(attempts)), f"{slot}: attempts {attempts}"
            running.update(task.node_id for task in tasks if counts_as_running(task))
            for task in tasks:
                assert task.template_version in service.record.templates
        assert service.running_on == running
        assert service.running == running.total()
        waiting = {t.id for ts in service.slots.values() for t in ts if t.node_id is None}
        assert set(service.waiting) == waiting
