"""What an agent knows: its tasks, their templates, and how it stands with the leader.

Duty: the memory that `nodeagent.core.step` changes in place, and its invariants (`validate`).
Not here: any decision; the form on disk (nodeagent.core.record, nodeagent.journal).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from berth.model.cluster import ClusterSettings
from berth.model.files import FileKey, FilePayload
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import NEVER, START, Instant
from berth.model.task import TaskState, TaskStatus
from nodeagent.core.departure import Departure
from nodeagent.core.messages import Call, TaskAssignment, TaskTemplate
from nodeagent.runtime.port import ContainerState, PulledImage, SeenContainer

DEAD_STATES = (ContainerState.EXITED, ContainerState.DEAD)


class Lane(StrEnum):
    """Calls share a lane and its limit; stops have their own, so that nothing holds them up."""

    PREPARE = "prepare"
    START = "start"
    STOP = "stop"
    LOOK = "look"


LANE_OF: Mapping[Call, Lane] = {
    Call.PULL: Lane.PREPARE,
    Call.CREATE: Lane.PREPARE,
    Call.START: Lane.START,
    Call.STOP: Lane.STOP,
    Call.REMOVE: Lane.STOP,
    Call.INSPECT: Lane.LOOK,
}


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How many calls of each lane may be under way at once; each at least 1."""

    prepare: int = 4
    start: int = 8
    stop: int = 16
    look: int = 8

    def of(self, lane: Lane) -> int:
        """Return the limit of `lane`."""
        return int(getattr(self, lane))  # Lanes are named as the fields are.


class Phase(StrEnum):
    """What is known of a task's container."""

    ABSENT = "absent"
    CREATED = "created"  # It is there and has never run.
    UP = "up"
    ENDED = "ended"  # It has run; only a local restart starts it again.


class StopReason(StrEnum):
    """Why the agent stops a container that its assignment wants up."""

    NONE = ""
    UNHEALTHY = "unhealthy"
    FENCED = "fenced"


# To look a member up in its enumeration takes as long as the whole question.
_NO_REASON, _COMPLETE, _RUNNING = StopReason.NONE, TaskState.COMPLETE, TaskState.RUNNING


@dataclass(frozen=True, slots=True)
class Ended:
    """A container ended by itself while no leader answered; what follows is not decided yet."""

    at: Instant
    exit_code: int | None
    error: str  # "" when it succeeded
    ran_s: float = 0.0
    restart_at: Instant | None = None


@dataclass(slots=True, eq=False)
class LocalTask:
    """One task on this node.

    Invariants: `observed` and `desired` never fall; `call_id` is 0 exactly while `call` is None;
    `ended` is set only while `observed` is not terminal; `phase` is ABSENT exactly while
    `container_id` is empty; `waits_in` names the only queue that it is in; once `phase` was UP,
    only a local restart starts the container again.
    """

    assignment: TaskAssignment
    desired: TaskState
    observed: TaskState = TaskState.ASSIGNED
    observed_since: Instant = START
    message: str = "assigned"
    error: str = ""
    exit_code: int | None = None
    container_id: str = ""
    phase: Phase = Phase.ABSENT
    pid: int = 0
    image: PulledImage | None = None
    image_digest: str = ""
    platform: str = ""
    ports: tuple[tuple[str, int, int], ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    local_restarts: int = 0
    restarted_at: tuple[Instant, ...] = ()
    ends: int = 0  # In a row, as berth.model.backoff counts them.
    up_since: Instant | None = None
    ended: Ended | None = None
    stop_reason: StopReason = StopReason.NONE
    is_stop_sent: bool = False  # We asked its container to stop, so its end is our doing.
    is_only_stop: bool = False  # The last stop was the first that was tried.
    is_surplus: bool = False  # No leader wants it: stop it, remove it, say nothing of it.
    is_released: bool = False  # Ended and recorded: forget it; the sweep gets its container.
    call: Call | None = None
    call_id: int = 0
    waits_in: Lane | None = None  # The lane that its next call found full.
    needs_look: bool = False
    failures: int = 0  # Of the present call, in a row.
    retry_at: Instant = START
    has_lost_files: bool = False  # Its container is there, its configs and secrets are not.
    is_changed: bool = False  # Its status is newer than what was reported.
    recorded: object = None
    """What nodeagent.core.record made of it; None once a step has touched the task since."""

    @property
    def id(self) -> TaskId:
        """The task's ID."""
        return self.assignment.task_id

    @property
    def must_stop(self) -> bool:
        """True when its container must not run."""
        return self.desired > _COMPLETE or self.is_surplus or self.stop_reason is not _NO_REASON

    @property
    def must_vanish(self) -> bool:
        """True when its container must be removed once it has stopped."""
        return self.is_surplus or self.desired is TaskState.REMOVE

    @property
    def is_passing(self) -> bool:
        """True while what is seen of it is but a step towards what is wanted."""
        return self.observed < _RUNNING and self.observed < self.desired and not self.error

    def rise(self, state: TaskState, now: Instant, message: str, error: str = "") -> None:
        """Take the observed state to `state`, which must not be lower."""
        assert state >= self.observed, f"{self.id}: {self.observed.name} to {state.name}"
        if state > self.observed:
            self.observed = state
            self.observed_since = now
            self.is_changed = True
            self.message = message
            self.error = error
        else:
            self.tell(message, error)

    def tell(self, message: str, error: str = "") -> None:
        """Change what people are told of it, if it differs."""
        if message != self.message or error != self.error:
            self.is_changed = True
            self.message = message
            self.error = error

    def status(self, now: Instant) -> TaskStatus:
        """Return what the leader is told."""
        return TaskStatus(
            task_id=self.id,
            state=self.observed,
            state_age_s=max(now - self.observed_since, 0.0),
            message=self.message,
            error=self.error,
            exit_code=self.exit_code,
            container_id=self.container_id,
            pid=self.pid,
            image_digest=self.image_digest,
            platform=self.platform,
            local_restarts=self.local_restarts,
            ports=self.ports,
            addresses=self.addresses,
        )


@dataclass(slots=True, eq=False)
class AgentState:
    """All that an agent remembers.

    Invariants: `epoch` never falls; `cut_at` is None exactly while `is_connected`; `in_flight`
    counts the tasks' calls; `strays` is empty once `is_synced`, and shares no ID with `tasks`.
    """

    node_id: NodeId
    limits: LaneLimits = field(default_factory=LaneLimits)
    node_name: str = ""
    node_platform: str = ""
    cluster_id: str = ""
    epoch: int = 0
    settings: ClusterSettings = field(default_factory=ClusterSettings)
    schedulers: tuple[str, ...] = ()
    is_connected: bool = False
    is_synced: bool = False
    """A complete set was received since this process started: the journal is confirmed."""
    cut_at: Instant | None = START
    """When the link was seen to be lost: from here on the agent counts until it acts alone."""
    heard_at: Instant = START
    """While cut off: the latest instant at which a leader surely heard us. Fences count from here,
    since the leader counts from when it last heard us."""
    sequence: int = 0
    """Of the last assignments applied in this session; 0 before the complete set."""
    templates: dict[tuple[ServiceId, int], TaskTemplate] = field(default_factory=dict)
    without_credentials: dict[tuple[ServiceId, int], None] = field(default_factory=dict)
    """Templates from the journal, which keeps no credentials, whose pulls had some."""
    images: dict[tuple[ServiceId, int], PulledImage] = field(default_factory=dict)
    """By template: what its image is, pulled since this process started and pinned by digest."""
    pulls: dict[tuple[ServiceId, int], dict[TaskId, None]] = field(default_factory=dict)
    """By template whose image is being pulled: the tasks that wait for another task's pull."""
    payloads: dict[FileKey, FilePayload] = field(default_factory=dict, repr=False)
    """Configs and secrets that this session sent and did not withdraw. Never journalled."""
    tasks: dict[TaskId, LocalTask] = field(default_factory=dict)
    strays: dict[TaskId, SeenContainer] = field(default_factory=dict)
    """Containers of ours whose task nobody has told us of; judged by the first complete set."""
    waiting: dict[Lane, dict[TaskId, None]] = field(
        default_factory=lambda: {lane: {} for lane in Lane}
    )
    """By lane, the tasks whose next call found it full, oldest first."""
    timers: dict[TaskId, Instant] = field(default_factory=dict)
    """When a task has something to do next, for the few that wait for a time."""
    in_flight: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 0))
    last_call_id: int = 0
    list_call_id: int = 0
    """The listing under way; 0 = none."""
    is_list_due: bool = False
    departure: Departure | None = None
    """Set once this machine is being shut down."""
    wake_at: Instant = NEVER
    """When something is due next; `step` keeps it. Nothing is before the machine was looked at."""

    def template_of(self, task: LocalTask) -> TaskTemplate | None:
        """Return the task's template, if it is known."""
        return self.templates.get(task.assignment.template_key)

    @property
    def left(self) -> int:
        """How many tasks have not ended."""
        return sum(not (t.is_surplus or t.observed.is_terminal) for t in self.tasks.values())

    def next_call_id(self) -> int:
        """Return a new call ID."""
        self.last_call_id += 1
        return self.last_call_id

    def all_statuses(self, now: Instant) -> list[TaskStatus]:
        """Return what a new session is told: every task, and live containers without one."""
        told = [task.status(now) for task in self.tasks.values() if not task.is_surplus]
        for task_id, seen in self.strays.items():
            if seen.state in DEAD_STATES:
                continue  # Most likely ended and recorded long ago; the sweep removes it.
            is_created = seen.state is ContainerState.CREATED
            told.append(
                TaskStatus(
                    task_id=task_id,
                    state=TaskState.READY if is_created else TaskState.RUNNING,
                    message="found",
                    container_id=seen.container_id,
                    pid=seen.pid,
                    image_digest=seen.image_digest,
                    platform=seen.platform,
                    ports=seen.ports,
                    addresses=seen.addresses,
                )
            )
        return told

    def validate(self) -> None:
        """Assert the invariants; for tests and the simulator."""
        counted = dict.fromkeys(Lane, 0)
        for task_id, task in self.tasks.items():
            assert task.id == task_id
            assert (task.call is None) == (task.call_id == 0), f"{task_id}: call without ID"
            if task.call is not None:
                counted[LANE_OF[task.call]] += 1
            assert not (task.ended and task.observed.is_terminal), f"{task_id}: ended twice"
            is_absent = task.phase is Phase.ABSENT
            assert is_absent == (task.container_id == ""), f"{task_id}: {task.phase}"
            assert is_absent or task_id not in self.strays
        assert counted == self.in_flight, f"{counted} calls, {self.in_flight} counted"
        for lane in Lane:
            assert counted[lane] <= self.limits.of(lane), f"{lane}: {counted[lane]} calls"
        pulling = [
            task.assignment.template_key for task in self.tasks.values() if task.call is Call.PULL
        ]
        assert sorted(pulling) == sorted(self.pulls), f"{pulling} pull, {self.pulls} are awaited"
        assert (self.cut_at is None) == self.is_connected
        assert not (self.is_synced and self.strays)
        queued = {task_id: lane for lane, queue in self.waiting.items() for task_id in queue}
        waits = {task.id: task.waits_in for task in self.tasks.values() if task.waits_in}
        assert queued == waits, f"{queued} are in queues, {waits} think so"
        assert all(task_id in self.tasks for task_id in self.timers)
