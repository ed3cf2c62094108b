"""Let tasks take their next step: within the lanes' limits, and only those that something touched.

Duty: which calls begin, which tasks wait for a lane or for a time, which are done with.
Not here: what an event means (nodeagent.core.step), what one task needs next
(nodeagent.core.task_machine).
Invariants (tests/property/test_agent_core.py): each task has at most one call under way; a lane
never holds more calls than its limit; a task waits in one lane at most; of a template's tasks one
at a time pulls its image, and the others wait for that.

Thousands of events a second pass through here while a node starts, each about one of hundreds of
tasks: nothing here looks at a task that no event touched, and what most tasks have nothing of (a
fence, an end, a timer, a queue) is asked for before it is looked into.
"""

from collections.abc import Iterable
from itertools import islice

from berth.model.ids import TaskId
from berth.model.instant import NEVER, Instant, after
from berth.model.task import TaskState
from nodeagent.core.calls import effect_of
from nodeagent.core.files import lack_of_files
from nodeagent.core.isolation import acts_alone_from, fence_delay_s
from nodeagent.core.messages import (
    Call,
    CancelCall,
    Effect,
    ListContainers,
    ReportTasks,
    SaveJournal,
)
from nodeagent.core.state import LANE_OF, AgentState, LocalTask, Phase, StopReason
from nodeagent.core.task_machine import (
    Gate,
    await_pull,
    begin,
    end_call,
    fold_pulled,
    next_call,
    settle,
)

_PULL, _CREATE = Call.PULL, Call.CREATE


def gate_of(state: AgentState, now: Instant) -> Gate:
    """Return how the agent stands."""
    alone_from = NEVER
    if state.cut_at is not None:
        alone_from = acts_alone_from(state.cut_at, state.settings.lost_after_s)
    return Gate(
        is_connected=state.is_connected,
        may_begin=state.is_synced or now >= alone_from,
        may_remove=state.is_synced,
        alone_from=alone_from,
    )


def advance(state: AgentState, touched: Iterable[TaskId], gate: Gate, now: Instant) -> list[Effect]:
    """Let the touched tasks, and those that wait for a lane, take their next step."""
    effects: list[Effect] = []
    changed: list[TaskId] = []
    is_journal_due = False
    todo = list(dict.fromkeys([*_next_in_lanes(state), *touched]))
    is_cut = state.cut_at is not None
    for task_id in todo:  # It grows where a pull is given up that others wait for.
        task = state.tasks.get(task_id)
        if task is None:
            continue
        task.recorded = None
        if is_cut and now >= _fence_at(state, task):
            task.stop_reason = StopReason.FENCED
        if task.call is _PULL and task.must_stop:
            effects.append(CancelCall(task_id, task.call_id))
            todo += finish_call(state, task)
        if task.call is None:
            _advance_one(state, task, gate, now, effects)
        if task.is_changed:
            task.is_changed = False
            is_journal_due = True
            if not task.is_surplus:
                changed.append(task_id)
        if (task.is_released or task.is_surplus) and _is_done_with(task):
            _leave_queue(state, task)
            state.timers.pop(task_id, None)
            del state.tasks[task_id]
            is_journal_due = True
        elif is_cut or task.retry_at > now or task.ended is not None:
            _note_timer(state, task, now)
        elif state.timers:
            state.timers.pop(task_id, None)
    if changed:
        effects.append(ReportTasks(tuple(changed)))
    if state.is_list_due and not state.list_call_id:
        state.is_list_due = False
        state.list_call_id = state.next_call_id()
        effects.append(ListContainers(state.list_call_id))
    if is_journal_due:
        effects.append(SaveJournal(is_urgent=False))
    state.wake_at = _next_wake(state, gate, now)
    return effects


def restless(state: AgentState) -> list[TaskId]:
    """Return the tasks that time, a broken link or a welcome may give something to do.

    Nearly all run as they should, and need nothing whoever leads, unless their service asks for
    fencing. When a leader dies, thousands of agents ask this in the same moment, and again when
    they begin to act alone.
    """
    fenced = {key for key, it in state.templates.items() if fence_delay_s(it) is not None}
    timers = state.timers
    return [
        task_id
        for task_id, task in state.tasks.items()
        if not _is_at_rest(task)
        or (timers and task_id in timers)
        or (fenced and task.assignment.template_key in fenced)
    ]


def finish_call(state: AgentState, task: LocalTask) -> Iterable[TaskId]:
    """Note that the call under way has ended; make room in its lane.

    Returns:
        The tasks that waited for it, whose turn it is now.
    """
    call = task.call
    assert call is not None
    state.in_flight[LANE_OF[call]] -= 1
    waited = state.pulls.pop(task.assignment.template_key) if call is _PULL else ()
    end_call(task)
    return waited


def _next_in_lanes(state: AgentState) -> list[TaskId]:
    """Return tasks that waited for a lane in which there is room by now, oldest first.

    With hundreds of tasks waiting, looking at each after each call made the agent quadratic.
    """
    found: list[TaskId] = []
    for lane, queue in state.waiting.items():
        if queue:
            room = state.limits.of(lane) - state.in_flight[lane]
            found += islice(queue, max(room, 0))
    return found


def _is_at_rest(task: LocalTask) -> bool:
    """Tell whether a task runs and is to go on running, and nothing is known or asked besides."""
    return (
        task.observed is TaskState.RUNNING
        and task.phase is Phase.UP
        and task.call is None
        and task.ended is None
        and not (task.needs_look or task.is_changed or task.is_released or task.must_stop)
    )


def _is_done_with(task: LocalTask) -> bool:
    """Tell whether a task that was let go has nothing left to do."""
    if task.call is not None or task.needs_look:
        return False
    if task.is_released:
        return task.phase is not Phase.UP
    return task.phase is Phase.ABSENT


def _advance_one(
    state: AgentState, task: LocalTask, gate: Gate, now: Instant, effects: list[Effect]
) -> None:
    """Begin the call that a task needs next; none is under way."""
    if task.ended is not None or task.must_stop:
        settle(task, state.template_of(task), gate, now)
    call = next_call(task, gate, now)
    if task.waits_in is not None:
        _leave_queue(state, task)
    if call is None:
        return
    if call is _PULL:
        key = task.assignment.template_key
        if (image := state.images.get(key)) is not None:
            fold_pulled(task, image)  # Should it be gone by now, `create` pulls it again.
            call = _CREATE
        elif (waiting := state.pulls.get(key)) is not None:
            waiting[task.id] = None
            await_pull(task, now)
            return
    if (lack := lack_of_files(state, task, call)) is not None:
        task.tell(lack)
        return
    lane = LANE_OF[call]
    if state.in_flight[lane] >= state.limits.of(lane):
        state.waiting[lane][task.id] = None
        task.waits_in = lane
        return
    call_id = state.next_call_id()
    effect = effect_of(state, task, call, call_id)
    if effect is not None:
        begin(task, call, call_id, now)
        state.in_flight[lane] += 1
        if call is _PULL:
            state.pulls[task.assignment.template_key] = {}
        effects.append(effect)


def _leave_queue(state: AgentState, task: LocalTask) -> None:
    if task.waits_in is not None:
        del state.waiting[task.waits_in][task.id]
        task.waits_in = None


def _fence_at(state: AgentState, task: LocalTask) -> Instant:
    """Return when a task must be fenced; NEVER while a leader answers or no fence is asked for."""
    if state.cut_at is None or task.observed.is_terminal or task.must_stop:
        return NEVER
    delay_s = fence_delay_s(state.template_of(task))
    return NEVER if delay_s is None else after(state.heard_at, delay_s)


def _next_wake(state: AgentState, gate: Gate, now: Instant) -> Instant:
    """Return the next instant after `now` at which something is due."""
    due = NEVER
    if state.timers:
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
    elif state.timers:
        state.timers.pop(task.id, None)
