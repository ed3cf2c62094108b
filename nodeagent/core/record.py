"""What the journal holds: as much of the state as lets an agent carry on alone.

Duty: state -> record and back, as values.
Not here: bytes and files (nodeagent.journal).
Invariants (tests/unit/nodeagent/core/test_record.py): no credentials are in a record; surplus tasks
are left out, since nothing may be removed on the journal's word alone.
"""

from dataclasses import dataclass, field, replace

from berth.model.cluster import ClusterSettings
from berth.model.hot_value import hot_value
from berth.model.ids import NodeId, ServiceId
from berth.model.instant import Instant, Timestamp
from berth.model.task import TaskState
from nodeagent.core.messages import TaskAssignment, TaskTemplate
from nodeagent.core.state import AgentState, LaneLimits, LocalTask, Phase, StopReason
from nodeagent.runtime.port import PulledImage


@hot_value
class TaskRecord:
    """One task as it is journalled; `observed_at` is wall clock."""

    assignment: TaskAssignment
    desired: TaskState
    observed: TaskState
    observed_at: Timestamp
    message: str = ""
    error: str = ""
    exit_code: int | None = None
    container_id: str = ""
    phase: Phase = Phase.ABSENT
    image: PulledImage | None = None
    image_digest: str = ""
    platform: str = ""
    local_restarts: int = 0
    ends: int = 0
    stop_reason: StopReason = StopReason.NONE
    is_stop_sent: bool = False


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """The whole journal; `saved_at` is wall clock, `heard_at` when a leader was last at hand."""

    saved_at: Timestamp
    heard_at: Timestamp
    cluster_id: str = ""
    node_name: str = ""
    epoch: int = 0
    settings: ClusterSettings = field(default_factory=ClusterSettings)
    schedulers: tuple[str, ...] = ()
    templates: tuple[TaskTemplate, ...] = ()
    without_credentials: tuple[tuple[ServiceId, int], ...] = ()
    tasks: tuple[TaskRecord, ...] = ()


def to_record(state: AgentState, now: Instant, wall: Timestamp) -> JournalRecord:
    """Return what is to be journalled of `state`."""
    used: dict[tuple[ServiceId, int], None] = {}
    tasks: list[TaskRecord] = []
    for task in state.tasks.values():
        if task.is_surplus or task.is_released:
            continue
        used[task.assignment.template_key] = None
        # The very record of last time unless the task was touched since: the journal is written
        # whole for every change of one task.
        record = task.recorded
        tasks.append(record if isinstance(record, TaskRecord) else _to_task_record(task, now, wall))
    templates = [state.templates[key] for key in used if key in state.templates]
    lacking = [t.key for t in templates if t.registry_auth or t.key in state.without_credentials]
    silent_for_s = 0.0 if state.cut_at is None else now - state.heard_at
    return JournalRecord(
        saved_at=wall,
        heard_at=Timestamp(wall - silent_for_s),
        cluster_id=state.cluster_id,
        node_name=state.node_name,
        epoch=state.epoch,
        settings=state.settings,
        schedulers=state.schedulers,
        templates=tuple(
            replace(it, registry_auth=None) if it.registry_auth else it for it in templates
        ),
        without_credentials=tuple(lacking),
        tasks=tuple(tasks),
    )


def from_record(
    record: JournalRecord | None,
    node_id: NodeId,
    limits: LaneLimits,
    now: Instant,
    wall: Timestamp,
) -> AgentState:
    """Return the state of an agent that starts with `record`, or with nothing."""
    state = AgentState(node_id=node_id, limits=limits, cut_at=now, heard_at=now)
    if record is None:
        return state
    state.cluster_id, state.node_name = record.cluster_id, record.node_name
    state.epoch, state.settings = record.epoch, record.settings
    state.schedulers = record.schedulers
    state.templates = {template.key: template for template in record.templates}
    state.without_credentials = dict.fromkeys(record.without_credentials)
    for kept in record.tasks:
        age_s = max(wall - kept.observed_at, 0.0)
        state.tasks[kept.assignment.task_id] = LocalTask(
            assignment=kept.assignment,
            desired=kept.desired,
            observed=kept.observed,
            observed_since=Instant(now - age_s),
            message=kept.message,
            error=kept.error,
            exit_code=kept.exit_code,
            container_id=kept.container_id,
            phase=kept.phase,
            image=kept.image,
            image_digest=kept.image_digest,
            platform=kept.platform,
            local_restarts=kept.local_restarts,
            ends=kept.ends,
            stop_reason=kept.stop_reason,
            is_stop_sent=kept.is_stop_sent,
        )
    return state


def silent_for_s(record: JournalRecord | None, wall: Timestamp, link_silence_s: float) -> float:
    """Return how long ago, at most, a leader last heard this node; 0 when nobody knows.

    Both readings are of this machine's clock. One that was set back meanwhile gives too little, so
    that fencing comes later, by at most its full delay.

    Args:
        record: the journal as it was found.
        wall: the time.
        link_silence_s: how long the link of an agent that felt connected may have been dead.
    """
    if record is None:
        return 0.0
    was_connected = record.heard_at == record.saved_at
    return max(wall - record.heard_at, 0.0) + (link_silence_s if was_connected else 0.0)


def _to_task_record(task: LocalTask, now: Instant, wall: Timestamp) -> TaskRecord:
    """Return a task's record, and keep it: only what changes is made, and encoded, anew."""
    task.recorded = record = TaskRecord(
        assignment=task.assignment,
        desired=task.desired,
        observed=task.observed,
        observed_at=Timestamp(wall - (now - task.observed_since)),
        message=task.message,
        error=task.error,
        exit_code=task.exit_code,
        container_id=task.container_id,
        phase=task.phase,
        image=task.image,
        image_digest=task.image_digest,
        platform=task.platform,
        local_restarts=task.local_restarts,
        ends=task.ends,
        stop_reason=task.stop_reason,
        is_stop_sent=task.is_stop_sent,
    )
    return record
