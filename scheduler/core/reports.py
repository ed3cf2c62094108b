"""What an agent tells of many tasks at once, folded in.

Why this stands apart: in a burst nearly every report says that a task which is wanted runs, and
folding that in by `LeaderState.observe`, which takes any report, is a dozen calls a task. Here it
is none. tests/property/test_reports.py holds the two ways to the same memory; whoever changes one
changes the other.
"""

from collections.abc import Iterable

from berth.model.ids import NodeId
from berth.model.instant import Instant, Timestamp
from berth.model.task import STATE_WORDS, Task, TaskState, TaskStatus
from scheduler.core.now import Now
from scheduler.core.service_state import slot_of
from scheduler.core.state import LeaderState

_RUNNING, _WANTED_MAX = TaskState.RUNNING, TaskState.COMPLETE
_WORD = STATE_WORDS[_RUNNING]


def fold_reports(
    state: LeaderState, node: NodeId, statuses: Iterable[TaskStatus], now: Now
) -> list[Task]:
    """Fold in what the agent of `node` observed; of tasks of others it has nothing to say.

    Returns:
        The tasks that began to run by this report.
    """
    began: list[Task] = []
    known = state.tasks
    for status in statuses:
        task = known.get(status.task_id)
        if task is None or task.node_id != node:
            if status.state.is_terminal:
                # Recorded already; the agent missed that it may forget it.
                state.forgotten.setdefault(node, []).append(status.task_id)
        elif status.state is _RUNNING and task.observed < _RUNNING and task.desired <= _WANTED_MAX:
            _begin_to_run(state, node, task, status, now)
            began.append(task)
        elif state.observe(task, status, now) and task.observed is _RUNNING:
            began.append(task)
    if began and node not in state.lagging:
        state.lagging[node] = now.instant
    return began


def _begin_to_run(
    state: LeaderState, node: NodeId, task: Task, status: TaskStatus, now: Now
) -> None:
    """Do what `LeaderState.observe` does where a task that is wanted runs, but for `lagging`."""
    service, wish, age_s = state.services[task.service_id], task.desired, status.state_age_s
    state.chronicle.changes.append((service, task, task.observed, wish, _RUNNING, wish, status))
    task.status = status
    task.encoded = b""
    task.cohort = None
    task.told = b""
    task.observed = _RUNNING
    task.observed_since = task.running_since = Instant(now.instant - age_s)
    task.observed_at = Timestamp(now.timestamp - age_s)
    slot = slot_of(task)
    service.dirty_slots[slot] = None
    state.dirty[task.service_id] = None
    words = f"{_WORD}: {status.error or status.message}"
    service.tell((now.timestamp, slot, task.attempt, words))
    service.count_running(node, 1)
