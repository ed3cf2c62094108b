"""Take in what a leader assigned: which tasks there are, and what it wants of them.

Duty: check one assignment message as a whole, then apply it as a whole.
Not here: what the tasks then do (nodeagent.core.task_machine), epochs (nodeagent.core.step).
Invariants (tests/property/test_agent_core.py): after a complete set every task is in it or on its
way out; a message that is refused has changed nothing.
"""

from berth.model.ids import ServiceId, TaskId
from berth.model.instant import START, Instant
from berth.model.task import TaskState
from nodeagent.core.advance import restless
from nodeagent.core.departure import DepartureNoted
from nodeagent.core.messages import (
    Assigned,
    DropSession,
    LogsRequested,
    Said,
    TaskAssignment,
    Welcomed,
)
from nodeagent.core.state import DEAD_STATES, AgentState, LocalTask, Phase
from nodeagent.core.task_machine import Gate, fold_seen
from nodeagent.runtime.port import SeenContainer

TEMPLATES_KEPT_UNUSED = 256


def refusal_of(state: AgentState, assigned: Assigned) -> DropSession | None:
    """Return why `assigned` cannot be applied, or None when it can."""
    if not state.is_connected:
        return DropSession("unexpected", "assignments came before the leader's welcome")
    if not assigned.is_complete and state.sequence == 0:
        return DropSession("gap", "changes to the assignments came before the complete set")
    if not assigned.is_complete and assigned.sequence != state.sequence + 1:
        return DropSession(
            "gap",
            f"assignment message {assigned.sequence} came after message {state.sequence}; "
            "asking for the complete set again",
        )
    known = {template.key for template in assigned.templates}
    for task in assigned.tasks:
        key = task.template_key
        if key not in known and key not in state.templates:
            return DropSession(
                "template",
                f"task {task.task_id} refers to version {key[1]} of service {key[0]}, which this "
                "node was not told; asking for the complete set again",
            )
    return None


def apply_assigned(state: AgentState, assigned: Assigned, gate: Gate, now: Instant) -> None:
    """Apply a message that `refusal_of` found fit."""
    state.sequence = assigned.sequence
    for template in assigned.templates:
        state.templates.pop(template.key, None)  # So that the newest told come last.
        state.templates[template.key] = template
        state.without_credentials.pop(template.key, None)
    with_new_credentials = {t.key for t in assigned.templates if t.registry_auth is not None}
    for assignment in assigned.tasks:
        _apply_one(state, assignment, gate, now)
    if with_new_credentials:
        for task in state.tasks.values():
            if task.assignment.template_key in with_new_credentials:
                task.retry_at = START  # A pull that was denied may succeed now.
    for task_id in assigned.forgotten:
        _release(state, task_id)
    if assigned.is_complete:
        wanted = {assignment.task_id for assignment in assigned.tasks}
        for task_id in [known for known in state.tasks if known not in wanted]:
            _release(state, task_id)
        _let_strays_go(state, gate, now)
        _prune_templates(state, keep=len(assigned.templates))  # It counts on what it just told.
    else:
        _prune_templates(state, keep=TEMPLATES_KEPT_UNUSED)


def disown(state: AgentState, gate: Gate, now: Instant) -> None:
    """Let go of every task: the node is at work on another machine, and this one is its copy."""
    for task_id in list(state.tasks):
        _release(state, task_id)
    _let_strays_go(state, gate, now)


def concerned(state: AgentState, said: Said) -> list[TaskId]:
    """Return the tasks whose next step a message may change.

    In a burst a node with hundreds of tasks is told of a few more again and again. Changes concern
    these, and those whose template came with credentials: their pulls may succeed now.
    """
    match said:
        case Assigned(is_complete=False):
            told = [*(task.task_id for task in said.tasks), *said.forgotten]
            keys = {template.key for template in said.templates if template.registry_auth}
            if keys:
                tasks = state.tasks.values()
                told += [task.id for task in tasks if task.assignment.template_key in keys]
            return told
        case LogsRequested() | DepartureNoted():
            return []
        case Welcomed():
            return restless(state)
        case _:
            return list(state.tasks)


def _let_strays_go(state: AgentState, gate: Gate, now: Instant) -> None:
    """Stop what no assignment names, now and from now on."""
    strays, state.strays = state.strays, {}
    for seen in strays.values():
        add_surplus(state, seen, gate, now)
    state.is_synced = True


def add_surplus(state: AgentState, seen: SeenContainer, gate: Gate, now: Instant) -> None:
    """Take charge of a container without assignment, so that it is stopped and removed.

    One that has ended already is left to the sweep, which keeps it a while for its logs.
    """
    assert seen.task_id not in state.tasks
    if seen.state in DEAD_STATES:
        return
    service = ServiceId(seen.labels.get("berth.service", ""))
    task = LocalTask(
        TaskAssignment(seen.task_id, service), desired=TaskState.RUNNING, is_surplus=True
    )
    state.tasks[task.id] = task
    fold_seen(task, seen, gate, now)


def _apply_one(state: AgentState, assignment: TaskAssignment, gate: Gate, now: Instant) -> None:
    task = state.tasks.get(assignment.task_id)
    if task is None:
        task = LocalTask(assignment, desired=assignment.desired, observed_since=now)
        state.tasks[task.id] = task
        task.rise(TaskState.ACCEPTED, now, "accepted")
        seen = state.strays.pop(task.id, None)
        if seen is not None:
            fold_seen(task, seen, gate, now)
        return
    if task.is_surplus or task.is_released:
        # Let go by one set and wanted by a later one: it goes on as it is.
        task.is_surplus = task.is_released = False
        task.assignment = assignment
        task.is_changed = True
    if assignment.desired > task.desired:
        task.desired = assignment.desired
        task.failures, task.retry_at = 0, START  # What is wanted now must not wait for what was.


def _release(state: AgentState, task_id: TaskId) -> None:
    """Let go of a task: forget one that has ended, stop and remove one that has not."""
    task = state.tasks.get(task_id)
    if task is None:
        return
    is_kept = task.phase in (Phase.ENDED, Phase.ABSENT) and not task.must_vanish
    task.is_released = task.observed.is_terminal and is_kept
    task.is_surplus = not task.is_released


def _prune_templates(state: AgentState, *, keep: int) -> None:
    """Forget templates that no task refers to, oldest first, except the newest `keep`."""
    if len(state.templates) <= keep:
        return
    used = {task.assignment.template_key for task in state.tasks.values()}
    unused: list[tuple[ServiceId, int]] = [key for key in state.templates if key not in used]
    for key in unused[: max(len(unused) - keep, 0)]:
        del state.templates[key]
        state.without_credentials.pop(key, None)
        state.images.pop(key, None)
