"""Advance the agent by what happened: the only caller of the modules beside it.

Duty: fold events into the state, in order, then let every task that they touch take its next step,
and say what the shell must do.
Not here: carrying out effects, timers, logs (nodeagent.agent); the steps (nodeagent.core.advance).
Invariants (tests/property/test_agent_core.py): a message of a lower epoch, or of another cluster,
changes nothing; each task has at most one call under way; nothing is removed because of the journal
alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from berth.model.cluster import ClusterSettings
from berth.model.ids import TaskId
from berth.model.instant import Instant
from nodeagent.core.advance import advance, finish_call, gate_of, restless
from nodeagent.core.assignments import (
    add_surplus,
    apply_assigned,
    concerned,
    disown,
    refusal_of,
)
from nodeagent.core.call_results import (
    CallEnded,
    CallFailed,
    CallResult,
    ContainerCreated,
    ContainerSeen,
    ContainerStopped,
    ImagePulled,
    PullAdvanced,
)
from nodeagent.core.departure import Departure, DepartureBegun, DepartureNoted
from nodeagent.core.files import note_lost_files, take_files
from nodeagent.core.isolation import is_obeyed
from nodeagent.core.messages import (
    Assigned,
    Call,
    ContainersListed,
    ContainerStirred,
    Disowned,
    DropSession,
    Effect,
    Event,
    EventsMissed,
    FilesCame,
    LinkLost,
    LogsRequested,
    PurgeContainers,
    Restored,
    SaveJournal,
    SchedulerSpoke,
    ServeLogs,
    SettingsChanged,
    Tick,
    Welcomed,
)
from nodeagent.core.state import AgentState, Phase
from nodeagent.core.task_machine import (
    Gate,
    fold_created,
    fold_failed,
    fold_pulled,
    fold_removed,
    fold_seen,
    fold_started,
    fold_stopped,
    is_own_start,
)

_News = (
    SchedulerSpoke
    | ContainerStirred
    | Restored
    | LinkLost
    | EventsMissed
    | ContainersListed
    | DepartureBegun
    | Tick
)
_START = Call.START


def step(state: AgentState, event: Event, now: Instant) -> list[Effect]:
    """Fold one event into `state`; return what to do, in order."""
    return step_through(state, (event,), now)


def step_through(state: AgentState, events: Sequence[Event], now: Instant) -> list[Effect]:
    """Fold events of the same moment into `state`, in order; return what to do, in order.

    Tasks take their next step once, after all events: what is done depends on what is there, not on
    how many events told of it.
    """
    is_due = now >= state.wake_at
    effects: list[Effect] = []
    touched: list[TaskId] = []
    gate = gate_of(state, now)
    for event in events:
        if isinstance(event, CallResult):
            touched.append(event.task_id)
            touched += _fold_result(state, event, gate, now)
        else:
            touched += _fold(state, event, effects, now)
            gate = gate_of(state, now)
    if is_due:
        touched += restless(state)
    return effects + advance(state, touched, gate, now)


def _fold(state: AgentState, event: _News, effects: list[Effect], now: Instant) -> Iterable[TaskId]:
    """Fold in an event that is no result of a call, add what follows at once to `effects`.

    Returns:
        The tasks that it touches.
    """
    match event:
        case ContainerStirred(task_id, is_start):
            return _stir(state, task_id, is_start)
        case SchedulerSpoke():
            effects += _hear(state, event, now)
            return concerned(state, event.said)
        case Restored():
            _restore(state, event, now)
        case LinkLost(silent_for_s):
            _cut(state, silent_for_s, now)
            effects.append(SaveJournal(is_urgent=True))
            return restless(state)
        case EventsMissed():
            _look_at_everything(state)
        case ContainersListed():
            _fold_list(state, event, now)
        case DepartureBegun(limit_s):
            state.departure = state.departure or Departure(now, limit_s, asked_at=now)
            return ()
        case Tick():
            return ()  # What is due is looked at whatever comes.
    return list(state.tasks)


def _hear(state: AgentState, event: SchedulerSpoke, now: Instant) -> list[Effect]:
    """Obey a scheduler's message, or refuse it whole."""
    said = event.said
    if isinstance(said, Welcomed) and state.cluster_id and said.cluster_id != state.cluster_id:
        return [DropSession("foreign_cluster", _foreign_text(state, said))]
    if not is_obeyed(state.epoch, event.epoch):
        text = (
            f"a message of epoch {event.epoch} came after epoch {state.epoch}: "
            "its sender does not lead any more"
        )
        return [DropSession("stale_epoch", text)]
    if isinstance(said, Assigned) and (refusal := refusal_of(state, said)) is not None:
        return [refusal]
    effects: list[Effect] = []
    if event.epoch > state.epoch:
        state.epoch = event.epoch
        effects.append(SaveJournal(is_urgent=True))
    match said:
        case Welcomed():
            state.cluster_id = said.cluster_id
            state.node_name = said.node_name or state.node_name
            state.settings = _sound(said.settings)
            state.schedulers = said.schedulers or state.schedulers
            state.is_connected, state.cut_at, state.sequence = True, None, 0
            state.payloads.clear()  # This session sends again what is needed.
            effects.append(SaveJournal(is_urgent=True))
        case Assigned():
            apply_assigned(state, said, gate_of(state, now), now)
            effects.append(SaveJournal(is_urgent=True))
            if said.purged:
                effects.append(PurgeContainers(said.purged))
        case SettingsChanged(settings):
            state.settings = _sound(settings)
            effects.append(SaveJournal(is_urgent=False))
        case Disowned():
            disown(state, gate_of(state, now), now)
            effects.append(SaveJournal(is_urgent=True))
        case LogsRequested():
            effects.append(ServeLogs(said))
        case FilesCame():
            take_files(state, said)
        case DepartureNoted(takers):
            if state.departure is not None:
                state.departure.note(takers)
    return effects


def _foreign_text(state: AgentState, said: Welcomed) -> str:
    return (
        f"the scheduler is of cluster {said.cluster_id}, this node belongs to cluster "
        f"{state.cluster_id}; correct the agent's scheduler addresses, or, to move the node, stop "
        "its agent, remove its containers and delete its state directory"
    )


def _sound(settings: ClusterSettings) -> ClusterSettings:
    """Fill in what an older leader did not send; it would otherwise count as 0 seconds."""
    if settings.lost_after_s > 0:
        return settings
    return replace(settings, lost_after_s=ClusterSettings().lost_after_s)


def _cut(state: AgentState, silent_for_s: float, now: Instant) -> None:
    state.is_connected = False
    state.cut_at = now
    state.heard_at = Instant(now - max(silent_for_s, 0.0))
    state.sequence = 0
    if state.departure is not None:
        state.departure.cut(now)


def _restore(state: AgentState, event: Restored, now: Instant) -> None:
    """Adopt what runs; what the journal knows and the runtime does not is gone."""
    _cut(state, event.silent_for_s, now)
    state.node_platform = event.node_platform or state.node_platform
    gate = gate_of(state, now)
    seen_by_task = {seen.task_id: seen for seen in event.containers}
    for task in state.tasks.values():
        seen = seen_by_task.pop(task.id, None)
        if seen is not None or task.phase is not Phase.ABSENT:
            fold_seen(task, seen, gate, now)
    state.strays = seen_by_task
    note_lost_files(state, event.with_files)


def _stir(state: AgentState, task_id: TaskId, is_start: bool) -> tuple[TaskId, ...]:
    """Look again at a task's container; an unknown task's makes a listing due."""
    task = state.tasks.get(task_id)
    if task is None:
        state.is_list_due = True
        return ()
    if is_start and is_own_start(task):
        return ()
    task.needs_look = True
    return (task_id,)


def _look_at_everything(state: AgentState) -> None:
    """Resync after a gap: look at each task, and list what has none; the runtime answers again."""
    state.is_list_due = True
    for task in state.tasks.values():
        task.retry_at = Instant(0.0)
        if task.phase is not Phase.ABSENT or task.call is Call.CREATE:
            task.needs_look = True


def _fold_list(state: AgentState, event: ContainersListed, now: Instant) -> None:
    if event.call_id != state.list_call_id:
        return
    state.list_call_id = 0
    unknown = [seen for seen in event.containers if seen.task_id not in state.tasks]
    if not state.is_synced:
        state.strays = {seen.task_id: seen for seen in unknown}
        return
    for seen in unknown:
        add_surplus(state, seen, gate_of(state, now), now)


def _fold_result(
    state: AgentState, event: CallResult, gate: Gate, now: Instant
) -> Iterable[TaskId]:
    """Fold the result of a call, unless nobody waits for it any more.

    Returns:
        Other tasks that waited for it.
    """
    task = state.tasks.get(event.task_id)
    if task is None or task.call is None or task.call_id != event.call_id:
        return ()
    if isinstance(event, PullAdvanced):
        task.tell(event.text)
        return ()
    call = task.call
    waited = finish_call(state, task)
    match event:
        case ContainerCreated():
            fold_created(task, event.container_id, now, is_new=event.is_new)
        case ContainerSeen() if call is _START:
            fold_started(task, event.seen, gate, now)
        case ImagePulled(image=image):
            fold_pulled(task, image)
            for other in (state.tasks.get(task_id) for task_id in waited):
                if other is not None and other.image is None and not other.must_stop:
                    fold_pulled(other, image)
            if image.is_pinned:
                state.images[task.assignment.template_key] = image
        case ContainerSeen(seen=seen):
            fold_seen(task, seen, gate, now)
        case CallFailed(message=message, retry=retry, was_sent=was_sent):
            fold_failed(
                task,
                call,
                message,
                retry,
                gate=gate,
                lacks_credentials=task.assignment.template_key in state.without_credentials,
                now=now,
                was_sent=was_sent,
            )
        case CallEnded() if call is Call.START:
            fold_started(task, None, gate, now)
        case ContainerStopped(was_told=was_told):
            fold_stopped(task, was_told=was_told)
        case CallEnded():
            fold_removed(task, gate, now)
    return waited
