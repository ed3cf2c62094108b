"""The chronicle -> what listeners are shown (control.proto). Pure.

Duty: render what was noted, now that somebody asks. Not here: when (event_reading), Docker's form
(gateway.translate.events).
"""

from berth.model.events import ObjectEvent
from berth.model.task import TaskState
from berth.v1 import control_pb2 as pb
from berth.wire.convert import write_proto
from scheduler.core.chronicle import Happening, TaskChange
from scheduler.core.service_state import shown_slot


def write_event(happening: Happening, view: pb.Event) -> None:
    """Fill in one event."""
    at_ns, what = happening
    if isinstance(what, ObjectEvent):
        write_proto(what, view.object)
    else:
        _write_task(at_ns, what, view.task)


def _write_task(at_ns: int, change: TaskChange, view: pb.TaskEvent) -> None:
    service, task, observed_before, desired_before, observed, desired, status = change
    record = service.record
    view.time_ns = at_ns
    view.id = task.id
    view.service_id = record.id
    view.service_name = record.spec.name
    view.slot = shown_slot(task, is_job=record.job is not None)
    view.is_numbered = task.home is None
    view.image = record.image(task.template_version)
    # A task has its node from ASSIGNED on, though by now it may have gone on.
    newest = observed if observed is not None else observed_before
    node = task.node_id if newest is not None and newest >= TaskState.ASSIGNED else None
    view.node_id = node or task.home or ""
    if observed_before is not None and desired_before is not None:
        view.observed_before, view.desired_before = observed_before, desired_before
    if observed is not None and desired is not None:
        view.observed, view.desired = observed, desired
    if status is not None:
        view.error = status.error
        if status.exit_code is not None:
            view.exit_code = status.exit_code
