"""Find what a user names: a service, a task, a node. Pure.

Duty: the rules for names in requests. A service: full ID, exact name, unique prefix of its ID. A
task: full ID, unique prefix of its ID, or ``SERVICE.SLOT`` for the newest attempt of a slot.
Not here: what is done with it.
"""

from dataclasses import dataclass

from berth.errors import InvalidRequestError, NotFoundError
from berth.model.ids import TaskId
from berth.model.task import FinishedTask, Task
from scheduler.core.commands import find_service
from scheduler.core.service_state import ServiceState, SlotKey, slot_of
from scheduler.core.state import LeaderState


@dataclass(frozen=True, slots=True)
class TaskRef:
    """A task of now or of the history."""

    service: ServiceState
    task: Task | FinishedTask

    @property
    def slot(self) -> SlotKey:
        """The slot that it fills or filled."""
        return slot_key(self.task)


def slot_key(task: Task | FinishedTask) -> SlotKey:
    """Return the key of the slot of a task, live or finished."""
    if isinstance(task, Task):
        return slot_of(task)
    return task.home if task.home is not None else task.slot


def find_subject(state: LeaderState, name: str) -> ServiceState | TaskRef:
    """Return the service or the task that `name` means; a service wins.

    Raises:
        NotFoundError: there is neither.
        InvalidRequestError: `name` is ambiguous.
    """
    try:
        return find_service(state, name)
    except NotFoundError:
        pass
    found = _by_slot_name(state, name) or find_task(state, name)
    if found is None:
        raise NotFoundError(
            f'no service or task is called "{name}"; list services, or the tasks of one, to see '
            "what there is"
        )
    return found


def find_task(state: LeaderState, name: str) -> TaskRef | None:
    """Return the task with this ID, or whose ID alone begins so; None when there is none.

    Raises:
        InvalidRequestError: several IDs begin so.
    """
    task = state.tasks.get(TaskId(name))
    if task is not None:
        return TaskRef(state.services[task.service_id], task)
    found: list[TaskRef] = []
    for service in state.services.values():
        for tasks in service.slots.values():
            found += [TaskRef(service, live) for live in tasks if live.id.startswith(name)]
        for finished in service.history.values():
            found += [TaskRef(service, entry) for entry in finished if entry.id.startswith(name)]
    exact = [ref for ref in found if ref.task.id == name]
    found = exact or found
    if not name or not found:
        return None
    if len(found) > 1:
        raise InvalidRequestError(
            f'task "{name}" is ambiguous: {len(found)} IDs begin so; give more of the ID'
        )
    return found[0]


def _by_slot_name(state: LeaderState, name: str) -> TaskRef | None:
    """Return the newest attempt of the slot that ``web.3`` or ``web.NODE`` means."""
    service_name, dot, slot_text = name.partition(".")
    service_id = state.names.get(service_name)
    if not dot or service_id is None:
        return None
    service = state.services[service_id]
    for slot in _slot_candidates(state, slot_text, is_job=service.record.job is not None):
        newest: list[Task | FinishedTask] = [
            *service.history.get(slot, ())[-1:],
            *service.slots.get(slot, ())[-1:],
        ]
        if newest:
            return TaskRef(service, max(newest, key=lambda task: task.attempt))
    return None


def _slot_candidates(state: LeaderState, text: str, *, is_job: bool) -> list[SlotKey]:
    slots: list[SlotKey] = [int(text) + is_job] if text.isdecimal() else []
    slots += [
        node.id for node in state.nodes.values() if text in (node.id, node.description.hostname)
    ]
    return slots
