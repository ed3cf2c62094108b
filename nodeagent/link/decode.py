"""Scheduler's protobuf messages -> the core's events. Pure."""

from berth.errors import InternalError
from berth.model.cluster import ClusterSettings
from berth.model.files import FileId, FileKind, FilePayload
from berth.model.ids import TaskId
from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from berth.wire.convert import from_proto
from nodeagent.core.departure import DepartureNoted
from nodeagent.core.messages import (
    Assigned,
    FilesCame,
    GrantedResource,
    LogsRequested,
    Said,
    SchedulerSpoke,
    SettingsChanged,
    TaskAssignment,
    TaskTemplate,
    Welcomed,
)


def event_of(message: pb.SchedulerMessage) -> SchedulerSpoke | None:
    """Return the event that `message` stands for; None for a kind that we do not know (newer).

    Raises:
        InternalError: it cannot be read.
    """
    said = _said(message)
    return None if said is None else SchedulerSpoke(message.epoch, said)


def assignment_of(message: types_pb2.TaskAssignment) -> TaskAssignment:
    """Return what `from_proto(TaskAssignment, message)` does, several times faster.

    In a burst a node reads hundreds of these a second; the test holds the two together.
    """
    granted = message.granted
    return TaskAssignment(
        message.task_id,  # type: ignore[arg-type]  # a TaskId; the call would cost as much
        message.service_id,  # type: ignore[arg-type]
        message.slot,
        message.template_version,
        _TASK_STATES.get(message.desired) or TaskState(message.desired),
        message.attempt,
        tuple(GrantedResource(item.kind, tuple(item.units)) for item in granted) if granted else (),
    )


_TASK_STATES = {state.value: state for state in TaskState}


def _said(message: pb.SchedulerMessage) -> Said | None:
    match message.WhichOneof("body"):
        case "welcome":
            welcome = message.welcome
            return Welcomed(
                session_id=welcome.session_id,
                cluster_id=welcome.cluster_id,
                settings=from_proto(ClusterSettings, welcome.settings),
                schedulers=tuple(welcome.schedulers),
                node_name=welcome.node_name,
                node_labels=dict(welcome.node_labels),
            )
        case "assignments":
            assigned = message.assignments
            return Assigned(
                is_complete=assigned.complete,
                sequence=assigned.sequence,
                templates=tuple(from_proto(TaskTemplate, item) for item in assigned.templates),
                tasks=tuple(assignment_of(item) for item in assigned.tasks),
                forgotten=tuple(TaskId(task_id) for task_id in assigned.forgotten),
                purged=tuple(TaskId(task_id) for task_id in assigned.purged),
            )
        case "settings":
            return SettingsChanged(from_proto(ClusterSettings, message.settings))
        case "log_request":
            request = message.log_request
            return LogsRequested(
                request_id=request.request_id,
                task_ids=tuple(TaskId(task_id) for task_id in request.task_ids),
                follow=request.follow,
                tail=request.tail,
                since=request.since,
                stdout=request.stdout,
                stderr=request.stderr,
                details=request.details,
                cancel=request.cancel,
            )
        case "files":
            files = message.files
            return FilesCame(
                payloads=tuple(from_proto(FilePayload, item) for item in files.payloads),
                withdrawn=tuple((FileKind(key.kind), FileId(key.id)) for key in files.withdrawn),
            )
        case "departure_noted":
            return DepartureNoted(message.departure_noted.takers)
        case "refused":
            raise InternalError("a refusal came after the welcome")
        case _:
            return None
