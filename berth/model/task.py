"""Tasks: one attempt to fill a slot, bound to one node, never moved back.

`TaskState` only rises; of two reports the greater wins, so a late or repeated report is harmless.
The numbers and their gaps are Swarm's. Who may make which transition is tabled here and nowhere
else; docs/task-lifecycle.md is generated from it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import repeat

from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import NO_TIME, START, Instant, Timestamp


class TaskState(IntEnum):
    """Observed state of a task; also, in part, its desired state."""

    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    ACCEPTED = 256
    PREPARING = 320
    READY = 384
    STARTING = 448
    RUNNING = 512
    COMPLETE = 576
    SHUTDOWN = 640
    FAILED = 704
    REJECTED = 768
    REMOVE = 800
    ORPHANED = 832

    @property
    def is_terminal(self) -> bool:
        """True when the task will not run again."""
        return self > _RUNNING


_PENDING, _ASSIGNED, _RUNNING = TaskState.PENDING, TaskState.ASSIGNED, TaskState.RUNNING
_COMPLETE = TaskState.COMPLETE
"""Named once: Python 3.11 takes 0.15 us to find a member of an enumeration by its name."""

STATE_WORDS = {state: state.name.lower() for state in TaskState}

DESIRED_STATES = (
    TaskState.READY,
    TaskState.RUNNING,
    TaskState.COMPLETE,
    TaskState.SHUTDOWN,
    TaskState.REMOVE,
)

END_STATES_BY_ITSELF = (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED)
"""Ends that nobody asked for: the restart policy decides what follows."""


class Owner(StrEnum):
    """Who may make a transition."""

    LEADER = "leader"
    AGENT = "agent"


_S = TaskState
TRANSITIONS_BY_OWNER: dict[Owner, dict[TaskState, tuple[TaskState, ...]]] = {
    Owner.LEADER: {
        _S.NEW: (_S.PENDING, _S.ASSIGNED),
        _S.PENDING: (_S.ASSIGNED,),
        # A node that is gone for good takes its tasks with it, whatever they were doing.
        _S.ASSIGNED: (_S.ORPHANED, _S.REJECTED, _S.SHUTDOWN),
        _S.ACCEPTED: (_S.ORPHANED, _S.REJECTED, _S.SHUTDOWN),
        _S.PREPARING: (_S.ORPHANED, _S.REJECTED, _S.SHUTDOWN),
        _S.READY: (_S.ORPHANED, _S.REJECTED, _S.SHUTDOWN),
        _S.STARTING: (_S.ORPHANED,),
        _S.RUNNING: (_S.ORPHANED,),
    },
    Owner.AGENT: {
        # States may be skipped: a report tells the newest one only.
        _S.ASSIGNED: (
            _S.ACCEPTED,
            _S.PREPARING,
            _S.READY,
            _S.STARTING,
            _S.RUNNING,
            _S.COMPLETE,
            _S.SHUTDOWN,
            _S.FAILED,
            _S.REJECTED,
        ),
        _S.ACCEPTED: (
            _S.PREPARING,
            _S.READY,
            _S.STARTING,
            _S.RUNNING,
            _S.COMPLETE,
            _S.SHUTDOWN,
            _S.FAILED,
            _S.REJECTED,
        ),
        _S.PREPARING: (
            _S.READY,
            _S.STARTING,
            _S.RUNNING,
            _S.COMPLETE,
            _S.SHUTDOWN,
            _S.FAILED,
            _S.REJECTED,
        ),
        _S.READY: (_S.STARTING, _S.RUNNING, _S.COMPLETE, _S.SHUTDOWN, _S.FAILED, _S.REJECTED),
        _S.STARTING: (_S.RUNNING, _S.COMPLETE, _S.SHUTDOWN, _S.FAILED),
        _S.RUNNING: (_S.COMPLETE, _S.SHUTDOWN, _S.FAILED),
    },
}
del _S


def is_legal(owner: Owner, old: TaskState, new: TaskState) -> bool:
    """Return whether `owner` may take a task from `old` to `new`."""
    return new in TRANSITIONS_BY_OWNER[owner].get(old, ())


@dataclass(slots=True, unsafe_hash=True)
class TaskStatus:
    """What an agent observed of a task. Nobody changes one.

    (To freeze it would make it four times as dear to make, and the leader makes one a report.)

    `state_age_s` says how long ago the state was reached, by the agent's monotonic clock: an age
    can be told to another machine, an instant cannot.
    """

    task_id: TaskId
    state: TaskState
    state_age_s: float = 0.0
    message: str = ""
    error: str = ""
    exit_code: int | None = None
    container_id: str = ""
    pid: int = 0
    image_digest: str = ""
    platform: str = ""
    ran_s: float = 0.0
    """How long it was RUNNING, told once it has ended; 0 when it never was."""
    local_restarts: int = 0
    """How often the agent itself restarted the container while no leader answered."""
    ports: tuple[tuple[str, int, int], ...] = ()
    """Host-mode ports really bound: (protocol, container port, host port)."""
    addresses: tuple[tuple[str, str], ...] = ()
    """Where its container is reached: (network's name, address with prefix)."""


COHORT_MIN = 16
"""Among fewer, sharing costs more than it saves."""


@dataclass(slots=True, eq=False)
class Cohort:
    """What tasks share that were made together, for as long as nothing but their place is new.

    They are equal but for ID, slot and node, so that what is written and told of them is the same
    bytes but for these. Who writes it keeps here what is shared, in a form of its own; empty = not
    made yet.
    """

    stored: tuple[bytes, ...] = ()
    """Of `scheduler.store.placed_tasks`."""
    told: tuple[bytes, ...] = ()
    """Of `scheduler.dispatch.told_tasks`."""


@dataclass(slots=True, eq=False)
class Task:
    """A task in the leader's memory: slim, changed in place by `scheduler.core.state` alone.

    Invariants: `node_id` is None exactly while the task waits for a place; `observed` and `desired`
    never fall; `slot` is 0 exactly for tasks of global services, whose `home` node is then set.
    """

    id: TaskId
    service_id: ServiceId
    slot: int
    home: NodeId | None
    attempt: int
    template_version: int
    desired: TaskState
    created_at: Timestamp
    node_id: NodeId | None = None
    observed: TaskState = TaskState.PENDING
    observed_since: Instant = START
    observed_at: Timestamp = NO_TIME
    status: TaskStatus | None = None
    reason: str = ""
    """Why it waits, or why the leader ended it."""
    granted: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Generic resources given to it: (kind, names or a single count as text)."""
    running_since: Instant | None = None
    encoded: bytes = b""
    """Its stored form, kept until it changes: a node's document is written far more often."""
    cohort: Cohort | None = None
    """Those that it was made with, until it is more than ASSIGNED or something else is wanted."""
    told: bytes = b""
    """What its node is told of it, kept while `cohort` is: made for all of these at once."""
    stop_since: Instant | None = None
    """When it was told to stop; the leader stops waiting after grace + margin."""
    is_untold: bool = False
    """True while its node has yet to be told of it as it is now (`scheduler.core.outgoing`)."""

    @property
    def is_wanted(self) -> bool:
        """True while the cluster wants it up."""
        return self.desired <= _COMPLETE

    @property
    def is_alive(self) -> bool:
        """True while its container may exist or come to exist."""
        return self.observed <= _RUNNING


def newborn_tasks(
    ids: Sequence[TaskId],
    slots: Sequence[int],
    nodes: Sequence[NodeId] | None = None,
    *,
    service_id: ServiceId,
    attempt: int,
    template_version: int,
    now: Instant,
    today: Timestamp,
) -> list[Task]:
    """Return a task for each slot of a replicated service, wanted RUNNING.

    Each has its node from `nodes`, which has yet to be told of it; without these it waits.

    The same as a call of `Task` for each, of one cohort if they are many, field by field without
    the call, which would cost more than twice as much; a test compares the two.
    """
    new = Task.__new__
    is_placed = nodes is not None
    observed = _ASSIGNED if is_placed else _PENDING
    cohort = Cohort() if len(ids) >= COHORT_MIN else None
    tasks = []
    homes: Iterable[NodeId | None] = repeat(None, len(ids)) if nodes is None else nodes
    for task_id, slot, node in zip(ids, slots, homes, strict=True):
        task = new(Task)
        task.id = task_id
        task.service_id = service_id
        task.slot = slot
        task.home = None
        task.attempt = attempt
        task.template_version = template_version
        task.desired = _RUNNING
        task.created_at = today
        task.node_id = node
        task.observed = observed
        task.observed_since = now
        task.observed_at = today
        task.status = None
        task.reason = ""
        task.granted = ()
        task.running_since = None
        task.encoded = b""
        task.cohort = cohort
        task.told = b""
        task.stop_since = None
        task.is_untold = is_placed
        tasks.append(task)
    return tasks


@dataclass(frozen=True, slots=True)
class FinishedTask:
    """A task that ended, as kept in a service's history."""

    id: TaskId
    slot: int
    home: NodeId | None
    attempt: int
    template_version: int
    node_id: NodeId | None
    state: TaskState
    desired: TaskState
    created_at: Timestamp
    finished_at: Timestamp
    ran_s: float = 0.0
    """How long it was RUNNING; 0 when it never was."""
    exit_code: int | None = None
    message: str = ""
    error: str = ""
    container_id: str = ""
    counts_as_restart: bool = False
    """True when it ended by itself, so that its successor is a restart."""
    ends_in_row: int = 0
    """How many attempts of its slot and template ended too soon, one after the other, with it."""
