"""What the Control API tells of the cluster, as plain values.

Duty: one dataclass per answer, its fields named as in control.proto, so that
`berth.wire.convert.from_proto` fills them.
Not here: asking for them (berth.client), printing them (cli.render), Docker's JSON (gateway).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from berth.model.cluster import ClusterSettings
from berth.model.events import ObjectEvent
from berth.model.files import FileId, FileKind
from berth.model.ids import ClusterId, Epoch, NetworkId, NodeId, ServiceId, TaskId
from berth.model.instant import NO_TIME, Timestamp
from berth.model.job import JobRun
from berth.model.network import Network
from berth.model.node import Node
from berth.model.service import Platform, ServiceSpec
from berth.model.task import TaskState, TaskStatus


@dataclass(frozen=True, slots=True)
class UpdateStatusView:
    """What a service's rollout is doing; `state` has Swarm's words."""

    state: str = ""
    message: str = ""
    started_at: Timestamp = NO_TIME
    completed_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job is; runs and the next due time are told where one service is asked for."""

    iteration: int = 0
    is_under_way: bool = False
    last_execution: Timestamp = NO_TIME
    next_due_at: Timestamp | None = None
    runs: tuple[JobRun, ...] = ()
    awaits_schedule: bool = False
    """Its newest spec runs when it is next due, not before."""


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service and how many of its tasks are wanted and running."""

    id: ServiceId
    version: int = 0
    spec: ServiceSpec = field(default_factory=ServiceSpec)
    previous_spec: ServiceSpec | None = None
    update_status: UpdateStatusView | None = None
    created_at: Timestamp = NO_TIME
    updated_at: Timestamp = NO_TIME
    desired_tasks: int = 0
    running_tasks: int = 0
    completed_tasks: int = 0
    template_version: int = 0
    image_digest: str = ""
    published_at: tuple[str, ...] = ()
    job: JobStatus | None = None


@dataclass(frozen=True, slots=True)
class GrantedResource:
    """Generic resources given to a task: names, or one count as text."""

    kind: str = ""
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task, of now or of the history."""

    id: TaskId
    service_id: ServiceId
    node_id: NodeId  # "" while it waits for a place.
    service_name: str = ""
    slot: int = 0
    node_name: str = ""
    attempt: int = 0
    template_version: int = 0
    desired: TaskState = TaskState.RUNNING
    status: TaskStatus = field(default_factory=lambda: TaskStatus(TaskId(""), TaskState.NEW))
    created_at: Timestamp = NO_TIME
    state_at: Timestamp = NO_TIME
    image: str = ""
    granted: tuple[GrantedResource, ...] = ()
    is_history: bool = False
    is_drifted: bool = False
    is_current: bool = False
    job_iteration: int | None = None
    is_numbered: bool = False
    """Its slot is a number, which may be 0, and not a node."""

    @property
    def name(self) -> str:
        """``web.3``, or ``web.<node ID>`` for a task of a global service."""
        has_number = self.is_numbered or self.slot
        return f"{self.service_name}.{self.slot if has_number else self.node_id}"

    @property
    def is_running(self) -> bool:
        """True while it runs and is meant to."""
        return self.status.state is TaskState.RUNNING and self.desired is TaskState.RUNNING


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node and what is taken of it."""

    node: Node
    tasks_running: int = 0
    reserved_nano_cpus: int = 0
    reserved_memory_bytes: int = 0
    connected: bool = False
    heard_age_s: float = 0.0

    @property
    def name(self) -> str:
        """What operators call it: its name, else its host name, else its ID."""
        return self.node.spec.name or self.node.description.hostname or self.node.id


@dataclass(frozen=True, slots=True)
class NetworkView:
    """A network and the names of the services that ask for it."""

    network: Network
    used_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CreatedNetwork:
    """The answer to the creation of a network."""

    id: NetworkId
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExplainedFilter:
    """How many nodes one filter forbids alone, and how many would fit without it."""

    name: str = ""
    words: str = ""
    forbids_alone: int = 0
    admits_if_dropped: int = 0


@dataclass(frozen=True, slots=True)
class ExplainedTask:
    """A task, and what happened to it, oldest first."""

    task: TaskView
    summary: str = ""
    story: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a service's tasks are where they are, or nowhere."""

    service_id: ServiceId
    service_name: str = ""
    nodes_total: int = 0
    nodes_fitting: int = 0
    filters: tuple[ExplainedFilter, ...] = ()
    tasks: tuple[ExplainedTask, ...] = ()
    summary: str = ""
    rollout: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SchedulerView:
    """One scheduler process."""

    name: str = ""
    address: str = ""
    is_leader: bool = False
    http_address: str = ""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster: settings, who leads, how the store fares."""

    id: ClusterId
    epoch: Epoch
    settings: ClusterSettings = field(default_factory=ClusterSettings)
    version: int = 0
    leader_name: str = ""
    leader_address: str = ""
    schedulers: tuple[SchedulerView, ...] = ()
    store_state: str = ""
    store_message: str = ""
    created_at: Timestamp = NO_TIME


@dataclass(frozen=True, slots=True)
class CreatedService:
    """The answer to create; `plan` is filled by a dry run."""

    id: ServiceId
    warnings: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdatedService:
    """The answer to update and rollback; `plan` is filled by a dry run."""

    version: int
    warnings: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """What a registry says of an image reference."""

    pinned: str = ""
    digest: str = ""
    media_type: str = ""
    size: int = 0
    platforms: tuple[Platform, ...] = ()


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a container wrote."""

    task_id: TaskId
    is_stderr: bool = False
    time_ns: int = 0
    data: bytes = b""
    attributes: str = ""
    """What the log driver adds: "k=v,k=v", each part escaped as in a URL."""


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Lines of one node's tasks; `error` says why some could not be read."""

    node_id: NodeId
    request_id: str = ""
    lines: tuple[LogLine, ...] = ()
    error: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class FileView:
    """A config or secret; `data` only of a config, and only where one was asked for by name."""

    id: FileId
    kind: FileKind = FileKind.CONFIG
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    template_driver: str = ""
    version: int = 0
    created_at: Timestamp = NO_TIME
    updated_at: Timestamp = NO_TIME
    size_bytes: int = 0
    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """A task came, changed or went."""

    time_ns: int
    id: TaskId
    service_id: ServiceId
    service_name: str
    slot: int
    is_numbered: bool
    """Its slot is a number, which may be 0, and not a node."""
    node_id: NodeId
    image: str
    observed_before: TaskState | None = None
    """None when it is new, as `desired_before`."""
    desired_before: TaskState | None = None
    observed: TaskState | None = None
    """None when it is not listed any more, as `desired`."""
    desired: TaskState | None = None
    error: str = ""
    exit_code: int | None = None

    @property
    def name(self) -> str:
        """``web.3``, or ``web.<node ID>`` for a task of a global service."""
        return f"{self.service_name}.{self.slot if self.is_numbered else self.node_id}"


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in order; with them, all that happened up to `position_ns` has been told."""

    epoch: Epoch
    position_ns: int
    objects_from_ns: int = 0
    """What happened to objects before is not known (any more)."""
    tasks_from_ns: int = 0
    """Likewise of tasks."""
    newest_object_ns: int = 0
    """Of the first batch: the newest event of an object when the stream began."""
    events: tuple[ObjectEvent | TaskEvent, ...] = ()
