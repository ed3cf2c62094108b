"""Advance the agent by one event: the only caller of the modules beside it.

Duty: fold an event into the state, let every task that it touches take its next step within the
limits of the lanes, and say what the shell must do.
Not here: carrying out effects, timers, logs (nodeagent.agent).
Invariants (tests/property/test_agent_core.py): a message of a lower epoch, or of another cluster,
changes nothing; each task has at most one call under way; nothing is removed because of the journal
alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

from berth.model.cluster import ClusterSettings
from berth.model.ids import TaskId
from berth.model.instant import NEVER, Instant, after
from nodeagent.core.assignments import add_surplus, apply_assigned, concerned, refusal_of
from nodeagent.core.calls import effect_of
from nodeagent.core.departure import Departure, DepartureBegun, DepartureNoted
from nodeagent.core.files import lack_of_files, note_lost_files, take_files
from nodeagent.core.isolation import acts_alone_from, fence_delay_s, is_obeyed
from nodeagent.core.messages import (
    Assigned,
    Call,
    CallEnded,
    CallFailed,
    CancelCall,
    ContainerCreated,
    ContainerSeen,
    ContainersListed,
    ContainerStirred,
    DropSession,
    Effect,
    Event,
    EventsMissed,
    FilesCame,
    ImagePulled,
    LinkLost,
    ListContainers,
    LogsRequested,
    PullAdvanced,
    PurgeContainers,
    ReportTask,
    Restored,
    SaveJournal,
    SchedulerSpoke,
    ServeLogs,
    SettingsChanged,
    Tick,
    Welcomed,
)
from nodeagent.core.state import LANE_OF, AgentState, LocalTask, Phase, StopReason
from nodeagent.core.task_machine import (
    Gate,
    begin,
    end_call,
    fold_created,
    fold_failed,
    fold_pulled,
    fold_removed,
    fold_seen,
    fold_started,
    fold_stopped,
    next_call,
    settle,
)

_Result = ImagePulled | ContainerCreated | CallEnded | ContainerSeen | CallFailed | PullAdvanced


def step(state: AgentState, event: Event, now: Instant) -> list[Effect]:
    """Fold `event` into `state`; return what to do, in order."""
    is_due = now >= state.wake_at
    effects: list[Effect] = []
    touched: Iterable[TaskId]
    match event:
        case SchedulerSpoke():
            effects += _hear(state, event, now)
            touched = concerned(state, event.said)
        case (
            ImagePulled()
            | ContainerCreated()
            | CallEnded()
            | ContainerSeen()
            | CallFailed()
            | PullAdvanced()
        ):
            _fold_result(state, event, now)
            touched = (event.task_id,)
        case ContainerStirred(task_id):
            touched = _stir(state, task_id)
        case Restored():
            _restore(state, event, now)
            touched = list(state.tasks)
        case LinkLost(silent_for_s):
            _cut(state, silent_for_s, now)
            effects.append(SaveJournal(is_urgent=True))
            touched = list(state.tasks)
        case EventsMissed():
            _look_at_everything(state)
            touched = list(state.tasks)
        case ContainersListed():
            _fold_list(state, event, now)
            touched = list(state.tasks)
        case DepartureBegun(limit_s):
            state.departure = state.departure or Departure(now, limit_s, asked_at=now)
            touched = ()
        case Tick():
            touched = list(state.tasks)
    if is_due:
        touched = list(state.tasks)
    return effects + _advance(state, touched, now)


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
            apply_assigned(state, said, _gate(state, now), now)
            effects.append(SaveJournal(is_urgent=True))
            if said.purged:
                effects.append(PurgeContainers(said.purged))
        case SettingsChanged(settings):
            state.settings = _sound(settings)
            effects.append(SaveJournal(is_urgent=False))
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
    gate = _gate(state, now)
    seen_by_task = {seen.task_id: seen for seen in event.containers}
    for task in state.tasks.values():
        seen = seen_by_task.pop(task.id, None)
        if seen is not None or task.phase is not Phase.ABSENT:
            fold_seen(task, seen, gate, now)
    state.strays = seen_by_task
    note_lost_files(state, event.with_files)


def _stir(state: AgentState, task_id: TaskId) -> tuple[TaskId, ...]:
    """Look again at a task's container; an unknown task's makes a listing due."""
    task = state.tasks.get(task_id)
    if task is None:
        state.is_list_due = True
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
        add_surplus(state, seen, _gate(state, now), now)


def _fold_result(state: AgentState, event: _Result, now: Instant) -> None:
    """Fold the result of a call, unless nobody waits for it any more."""
    task = state.tasks.get(event.task_id)
    if task is None or task.call is None or task.call_id != event.call_id:
        return
    if isinstance(event, PullAdvanced):
        task.tell(event.text)
        return
    call = task.call
    _end_call(state, task)
    gate = _gate(state, now)
    match event:
        case ImagePulled(image=image):
            fold_pulled(task, image)
        case ContainerCreated(container_id=container_id):
            fold_created(task, container_id, now)
        case ContainerSeen(seen=seen):
            fold_seen(task, seen, gate, now)
        case CallFailed(message=message, retry=retry):
            fold_failed(
                task,
                call,
                message,
                retry,
                gate=gate,
                lacks_credentials=task.assignment.template_key in state.without_credentials,
                now=now,
            )
        case CallEnded() if call is Call.START:
            fold_started(task, now)
        case CallEnded() if call is Call.STOP:
            fold_stopped(task)
        case CallEnded():
            fold_removed(task, gate, now)


def _end_call(state: AgentState, task: LocalTask) -> None:
    assert task.call is not None
    state.in_flight[LANE_OF[task.call]] -= 1
    end_call(task)


def _gate(state: AgentState, now: Instant) -> Gate:
    alone_from = NEVER
    if state.cut_at is not None:
        alone_from = acts_alone_from(state.cut_at, state.settings.lost_after_s)
    return Gate(
        is_connected=state.is_connected,
        may_begin=state.is_synced or now >= alone_from,
        may_remove=state.is_synced,
        alone_from=alone_from,
    )


def _advance(state: AgentState, touched: Iterable[TaskId], now: Instant) -> list[Effect]:
    """Let the touched tasks, and those that wait for a lane, take their next step."""
    effects: list[Effect] = []
    gate = _gate(state, now)
    is_journal_due = False
    for task_id in chain(_next_in_lanes(state), dict.fromkeys(touched)):
        task = state.tasks.get(task_id)
        if task is None:
            continue
        task.recorded = None
        effects += _advance_one(state, task, gate, now)
        if task.is_changed:
            task.is_changed = False
            is_journal_due = True
            if not task.is_surplus:
                effects.append(ReportTask(task_id))
        if _is_done_with(task):
            _leave_queues(state, task_id)
            state.timers.pop(task_id, None)
            del state.tasks[task_id]
            is_journal_due = True
        else:
            _note_timer(state, task, now)
    if state.is_list_due and not state.list_call_id:
        state.is_list_due = False
        state.list_call_id = state.next_call_id()
        effects.append(ListContainers(state.list_call_id))
    if is_journal_due:
        effects.append(SaveJournal(is_urgent=False))
    state.wake_at = _next_wake(state, gate, now)
    return effects


def _next_in_lanes(state: AgentState) -> Iterator[TaskId]:
    """Yield tasks that waited for a lane in which there is room by now, oldest first.

    With hundreds of tasks waiting, looking at each after each call made the agent quadratic.
    """
    for lane, queue in state.waiting.items():
        if queue:
            room = state.limits.of(lane) - state.in_flight[lane]
            yield from list(islice(queue, max(room, 0)))


def _is_done_with(task: LocalTask) -> bool:
    if task.call is not None or task.needs_look:
        return False
    if task.is_released:
        return task.phase is not Phase.UP
    return task.is_surplus and task.phase is Phase.ABSENT


def _advance_one(state: AgentState, task: LocalTask, gate: Gate, now: Instant) -> list[Effect]:
    effects: list[Effect] = []
    if now >= _fence_at(state, task):
        task.stop_reason = StopReason.FENCED
    if task.call is Call.PULL and task.must_stop:
        effects.append(CancelCall(task.id, task.call_id))
        _end_call(state, task)
    settle(task, state.template_of(task), gate, now)
    call = next_call(task, gate, now)
    _leave_queues(state, task.id)
    if call is None:
        return effects
    if lack := lack_of_files(state, task, call):
        if task.message != lack:
            task.tell(lack)
        return effects
    lane = LANE_OF[call]
    if state.in_flight[lane] >= state.limits.of(lane):
        state.waiting[lane][task.id] = None
        return effects
    call_id = state.next_call_id()
    effect = effect_of(state, task, call, call_id)
    if effect is not None:
        begin(task, call, call_id, now)
        state.in_flight[lane] += 1
        effects.append(effect)
    return effects


def _leave_queues(state: AgentState, task_id: TaskId) -> None:
    for queue in state.waiting.values():
        if queue:
            queue.pop(task_id, None)


def _fence_at(state: AgentState, task: LocalTask) -> Instant:
    """Return when a task must be fenced; NEVER while a leader answers or no fence is asked for."""
    if state.cut_at is None or task.observed.is_terminal or task.must_stop:
        return NEVER
    delay_s = fence_delay_s(state.template_of(task))
    return NEVER if delay_s is None else after(state.heard_at, delay_s)


def _next_wake(state: AgentState, gate: Gate, now: Instant) -> Instant:
    """Return the next instant after `now` at which something is due."""
    due = min((instant for instant in state.timers.values() if instant > now), default=NEVER)
    return min(due, gate.alone_from) if gate.alone_from > now else due


def _note_timer(state: AgentState, task: LocalTask, now: Instant) -> None:
    """Keep when this task has something to do next; most have nothing."""
    due = task.retry_at if task.retry_at > now else NEVER
    if task.ended is not None and task.ended.restart_at is not None:
        restart_at = task.ended.restart_at
        due = min(due, restart_at) if restart_at > now else due
    if state.cut_at is not None:
        fence_at = _fence_at(state, task)
        due = min(due, fence_at) if fence_at > now else due
    if due < NEVER:
        state.timers[task.id] = due
    else:
        state.timers.pop(task.id, None)
