"""What a node is told of a task, as bytes: an entry of `Assignments.tasks`.

Why this stands apart and by hand: a burst tells of every task once, and to fill a protobuf message
for each costs five times what joining the bytes costs that all its like share
(`berth.model.task.Cohort`). What is told of others is what protobuf writes; the two are held
together by tests/unit/scheduler/dispatch/test_told_tasks.py and tests/property/test_births.py.
"""

from collections.abc import Iterable
from functools import lru_cache

from berth.model.ids import ID_LENGTH
from berth.model.task import Cohort, Task, TaskState
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from berth.wire.varints import (
    delimited,
    delimited_head,
    number_field,
    number_head,
    short_varints,
    varint,
)
from scheduler.core.service_record import ServiceRecord
from scheduler.core.service_state import shown_slot
from scheduler.dispatch.messages import assignment_of

_TASKS = pb.Assignments.TASKS_FIELD_NUMBER
_TASK_ID = types_pb2.TaskAssignment.TASK_ID_FIELD_NUMBER
_SERVICE_ID = types_pb2.TaskAssignment.SERVICE_ID_FIELD_NUMBER
_SLOT = types_pb2.TaskAssignment.SLOT_FIELD_NUMBER
_ID_HEAD = delimited_head(_TASK_ID, ID_LENGTH)
_SLOT_HEAD = number_head(_SLOT)
_SHORT = short_varints()
_VARINT_LENGTH_MAX = 10


def tell_cohort(cohort: Cohort, tasks: Iterable[Task], record: ServiceRecord) -> None:
    """Make what nodes are told of those of `tasks` that are of `cohort`, and keep it with these.

    `told_task` would; see `scheduler.store.placed_tasks.encode_cohort`.
    """
    shared: tuple[bytes, ...] = ()
    shorts = len(_SHORT)
    for task in tasks:
        if task.cohort is cohort and task.slot < shorts and not task.granted:
            shared = shared or cohort.told or _shared(cohort, task, record)
            slot = _SHORT[task.slot]
            task.told = shared[len(slot)] % (task.id.encode(), slot)


def told_task(task: Task, record: ServiceRecord) -> bytes:
    """Return what a node must know of one of its tasks, as it is now."""
    if task.told:
        return task.told
    cohort = task.cohort
    if cohort is None or task.granted:
        return _alone(task, record)
    shared = cohort.told or _shared(cohort, task, record)
    slot = _SHORT[task.slot] if task.slot < len(_SHORT) else varint(task.slot)
    return shared[len(slot)] % (task.id.encode(), slot)


def _as_format(part: bytes) -> bytes:
    return part.replace(b"%", b"%%")


def _alone(task: Task, record: ServiceRecord) -> bytes:
    """Return the entry of a task that shares nothing with others."""
    if task.granted:
        return delimited(_TASKS, assignment_of(task, record).SerializeToString())
    known, service = task.id.encode(), task.service_id.encode()
    slot = shown_slot(task, is_job=True) if record.job is not None else task.slot
    before, between, after = _around_ids(
        len(known), len(service), slot, task.template_version, task.desired, task.attempt
    )
    return before + known + between + service + after


@lru_cache(maxsize=4096)
def _around_ids(
    id_length: int,
    service_length: int,
    slot: int,
    template_version: int,
    desired: TaskState,
    attempt: int,
) -> tuple[bytes, bytes, bytes]:
    """Return the entry of such a task, but for its ID and its service's, in three."""
    known = delimited_head(_TASK_ID, id_length)
    service = delimited_head(_SERVICE_ID, service_length)
    after = number_field(_SLOT, slot)
    after += types_pb2.TaskAssignment(
        template_version=template_version, desired=desired, attempt=attempt
    ).SerializeToString()
    length = len(known) + id_length + len(service) + service_length + len(after)
    return delimited_head(_TASKS, length) + known, service, after


def _shared(cohort: Cohort, task: Task, record: ServiceRecord) -> tuple[bytes, ...]:
    """Return the entry with gaps for ID and slot, by the length of the slot's varint from 1 on.

    To fill gaps takes two thirds of the time that joining five parts takes.
    """
    assert task.slot, "a global service's task has no slot, and no cohort"
    assert len(task.id) == ID_LENGTH
    assert record.job is None, "a job's slots are shown as other numbers"
    message = assignment_of(task, record)
    for name in ("task_id", "slot"):
        message.ClearField(name)
    service = types_pb2.TaskAssignment(service_id=message.service_id).SerializeToString()
    message.ClearField("service_id")
    middle, tail = service + _SLOT_HEAD, message.SerializeToString()
    fixed = len(_ID_HEAD) + ID_LENGTH + len(middle) + len(tail)
    heads = [
        delimited_head(_TASKS, fixed + length) + _ID_HEAD
        for length in range(1, _VARINT_LENGTH_MAX + 1)
    ]
    parts = [(head, middle, tail) for head in heads]
    cohort.told = (b"", *(b"%b".join(map(_as_format, each)) for each in parts))
    return cohort.told
