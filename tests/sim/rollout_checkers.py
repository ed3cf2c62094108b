"""At which slots a rollout is at work, read off their tasks.

Duty: tell what a rollout has begun from what is restarted, evicted or drained meanwhile.
Not here: how many it may be at work on at once (checkers).
"""

from berth.model.instant import Timestamp
from berth.model.node import NodeState
from berth.model.task import Task, TaskState
from scheduler.core.service_state import ServiceState, SlotKey, slot_of
from scheduler.core.state import LeaderState


def successors(service: ServiceState, tasks: list[Task]) -> list[Task]:
    current = service.record.template_version
    return [task for task in tasks if task.is_wanted and task.template_version == current]


def is_busy(state: LeaderState, service: ServiceState, tasks: list[Task]) -> bool:
    current = service.record.template_version
    nexts = [task.observed for task in successors(service, tasks)]
    if not nexts or TaskState.RUNNING in nexts:
        return False
    olds = [task for task in tasks if task.is_alive and task.template_version != current]
    return any(
        task.node_id is not None
        and state.nodes[task.node_id].state is not NodeState.DOWN
        and not state.nodes[task.node_id].must_be_left
        and (task.is_wanted or task.reason == "a newer task replaces it")
        for task in olds
    )


def follows(service: ServiceState, task: Task, since: Timestamp) -> bool:
    """Return whether the rollout had begun this slot before, with a task that was evicted, say."""
    slot = slot_of(task)
    others = (*service.slots[slot], *service.history.get(slot, ()))
    return any(
        other.attempt < task.attempt
        and other.template_version == task.template_version
        and other.created_at >= since
        for other in others
    )


def has_failed(service: ServiceState, slot: SlotKey, since: Timestamp) -> bool:
    """Return whether the slot's newest end asked for a restart: that one waits for no rollout.

    So it is with every end of a task of the newest template, and with ends by themselves of others.
    """
    history = service.history.get(slot, ())
    if not history or history[-1].finished_at < since:
        return False
    last = history[-1]
    return last.counts_as_restart or last.template_version == service.record.template_version
