"""The stored form of placed tasks: a node's document is the join of its tasks' parts.

Why this stands apart and by hand: a burst writes every node's document again and again, each time
with all tasks that are there already. So a task's part is made once and kept with the task until it
changes (`Task.encoded`), and it is a whole `services` entry of the document, service included, so
that a document needs nothing but one join. The service's ID is repeated for each of its tasks on a
node: 29 bytes, which etcd does not notice (it pays by the document), for half of the encoding time.
Readers take any grouping of a document's tasks; the one before did.

Nearly all of a part is shared by the tasks that were made together (`berth.model.task.Cohort`):
what is before the slot's number, but for its own length and that of the whole, and what is after.
Others share what they can by content. tests/unit/scheduler/store/test_placed_tasks.py holds the
bytes to protobuf's own.
"""

from collections.abc import Iterable
from functools import lru_cache

from berth.model.ids import ServiceId
from berth.model.instant import Timestamp
from berth.model.task import Cohort, Task, TaskState
from berth.wire.varints import (
    delimited,
    delimited_head,
    number_field,
    number_head,
    short_varints,
    varint,
)
from scheduler.store.recordpb import records_pb2 as pb
from scheduler.store.schema import SCHEMA

_DOCUMENT_HEAD = pb.PlacementsRecord(schema=SCHEMA).SerializeToString()
_SERVICES = pb.PlacementsRecord.SERVICES_FIELD_NUMBER
_SERVICE_ID = pb.ServicePlacements.SERVICE_ID_FIELD_NUMBER
_TASKS = pb.ServicePlacements.TASKS_FIELD_NUMBER
_SLOT = pb.PlacedTask.SLOT_FIELD_NUMBER
_SHORT = short_varints()
_VARINT_LENGTH_MAX = 10


def encode_placements(tasks: Iterable[Task]) -> bytes:
    """Return the stored form of a node's tasks; their IDs follow from slot and attempt."""
    return _DOCUMENT_HEAD + b"".join([task.encoded or _encoded(task) for task in tasks])


def encode_cohort(cohort: Cohort, tasks: Iterable[Task]) -> None:
    """Make the parts of those of `tasks` that are of `cohort`, and keep them with these.

    `encode_placements` would; right after they were made they are in the processor's caches, which
    they are not when the turn of their node comes.
    """
    shared: tuple[bytes, ...] = ()
    shorts = len(_SHORT)
    for task in tasks:
        if task.cohort is cohort and task.slot < shorts and not task.granted:
            shared = shared or cohort.stored or _shared(cohort, task)
            slot = _SHORT[task.slot]
            task.encoded = shared[len(slot)] + slot + shared[0]


def _encoded(task: Task) -> bytes:
    """Return a task's part of its node's document, and keep it with the task."""
    if task.cohort is not None and not task.granted:
        shared = task.cohort.stored or _shared(task.cohort, task)
        slot = _SHORT[task.slot] if task.slot < len(_SHORT) else varint(task.slot)
        encoded = task.encoded = shared[len(slot)] + slot + shared[0]
        return encoded
    service = task.service_id.encode()
    fields = task.attempt, task.template_version, task.desired, task.observed, task.created_at
    if not task.granted:
        before, after = _around_service(len(service), task.slot, *fields)
        encoded = task.encoded = before + service + after
        return encoded
    placed = pb.PlacedTask()
    for kind, units in task.granted:
        placed.granted.add(kind=kind, units=units)
    # The last field: joined messages are merged.
    body = number_field(_SLOT, task.slot) + _after_slot(*fields) + placed.SerializeToString()
    encoded = task.encoded = _before_task(task.service_id, len(body)) + body
    return encoded


@lru_cache(maxsize=4096)
def _around_service(
    length: int,
    slot: int,
    attempt: int,
    template_version: int,
    desired: TaskState,
    observed: TaskState,
    at: Timestamp,
) -> tuple[bytes, bytes]:
    """Return the part of such a task, but for its service's ID of `length` bytes, in two."""
    body = number_field(_SLOT, slot)
    body += _after_slot(attempt, template_version, desired, observed, at)
    head = delimited_head(_SERVICE_ID, length) if length else b""
    after = delimited(_TASKS, body)
    return delimited_head(_SERVICES, len(head) + length + len(after)) + head, after


def _shared(cohort: Cohort, task: Task) -> tuple[bytes, ...]:
    """Return what is after the slot's varint, then what is before it, by its length from 1 on."""
    assert task.slot, "a global service's task has no slot, and no cohort"
    tail = _after_slot(
        task.attempt, task.template_version, task.desired, task.observed, task.created_at
    )
    head = number_head(_SLOT)
    cohort.stored = (
        tail,
        *(
            _before_task(task.service_id, len(head) + length + len(tail)) + head
            for length in range(1, _VARINT_LENGTH_MAX + 1)
        ),
    )
    return cohort.stored


@lru_cache(maxsize=4096)
def _after_slot(
    attempt: int, template_version: int, desired: TaskState, observed: TaskState, at: Timestamp
) -> bytes:
    return pb.PlacedTask(
        attempt=attempt,
        template_version=template_version,
        desired=desired,
        observed=observed,
        created_at=at,
    ).SerializeToString()


def _before_task(service: ServiceId, length: int) -> bytes:
    head = delimited(_SERVICE_ID, service.encode()) if service else b""
    head += delimited_head(_TASKS, length)
    return delimited_head(_SERVICES, len(head) + length) + head
