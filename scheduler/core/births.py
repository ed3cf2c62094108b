"""Many new tasks at once: for a group, what `LeaderState.add_task` and `bind` do for one.

Why this stands apart: where 100,000 replicas are created, or a lost rack's are made anew, one call
a task for every index costs 15 us a task, ten times as much as filling each index by one call for
the whole group. tests/property/test_births.py holds the two ways to the same memory, documents and
messages; whoever changes one changes the other.

Only for replicated services, for tasks without a predecessor in their slot and without generic
resources, which are granted one by one.
"""

from collections.abc import Sequence
from itertools import repeat

from berth.model.defaults import effective_replicas
from berth.model.ids import NodeId, task_ids
from berth.model.task import Task, TaskState, newborn_tasks
from scheduler.core.now import Now
from scheduler.core.reconcile import Phase
from scheduler.core.service_state import STORY_LENGTH, ServiceState
from scheduler.core.state import LeaderState


def bear_newborn(state: LeaderState, service: ServiceState, now: Now, slots_max: int) -> int:
    """Open every slot of a service in which nothing ever was, and make their tasks.

    The general way (`scheduler.core.supervise`) learns the same from views and plans, slot by slot:
    that slots 1 to n are to be opened, that each wants its first task at once, and that there is
    nothing to roll out. A burst of small services comes by here alone.

    Returns:
        How many tasks were made; 0 when it is no such service, or wants more than `slots_max`: then
        nothing was changed.
    """
    if not service.is_newborn:
        return 0
    replicas = effective_replicas(service.record.spec.mode)
    if replicas > slots_max:
        return 0
    slots = range(1, replicas + 1)
    service.is_all_dirty = False
    service.dirty_slots.clear()
    service.open_slots(slots, Phase.YOUNG)
    add_first_tasks(state, service, slots, now)
    return replicas


def add_first_tasks(
    state: LeaderState, service: ServiceState, slots: Sequence[int], now: Now
) -> None:
    """Add a task that waits for a place to each of `slots`, in which nothing ever was."""
    record = service.record
    if len(slots) == 1:
        state.add_task(service, slots[0], record.template_version, TaskState.RUNNING, now)
        return
    attempt = record.attempt_floor + 1
    ids = task_ids(record.id, slots, attempt)
    tasks = newborn_tasks(
        ids,
        slots,
        service_id=record.id,
        attempt=attempt,
        template_version=record.template_version,
        now=now.instant,
        today=now.timestamp,
    )
    known = len(state.tasks)
    state.tasks.update(zip(ids, tasks, strict=True))
    assert len(state.tasks) == known + len(tasks), f"a task of service {record.id} exists"
    running, pending = TaskState.RUNNING, TaskState.PENDING
    state.chronicle.note_alike(service, tasks, (None, None), (pending, running))
    service.slots.update(zip(slots, [[task] for task in tasks], strict=True))
    service.waiting.update(zip(ids, tasks, strict=True))
    state.waiting_services[record.id] = None
    state.newly_waiting[record.id] = None


def bind_group(
    state: LeaderState,
    service: ServiceState,
    tasks: Sequence[Task],
    nodes: Sequence[NodeId],
    now: Now,
) -> None:
    """Give each of `tasks` the node at its place in `nodes`, which placement occupied already."""
    if len(tasks) == 1:
        state.bind(service, tasks[0], nodes[0], now)
        return
    instant, timestamp = now.instant, now.timestamp
    node_tasks, untold, waiting = state.node_tasks, state.untold, service.waiting
    assigned = TaskState.ASSIGNED
    for desired, alike in _by_wish(tasks).items():
        before, after = (TaskState.PENDING, desired), (assigned, desired)
        state.chronicle.note_alike(service, alike, before, after)
    is_all = len(tasks) == len(waiting)
    for task, node in zip(tasks, nodes, strict=True):
        task.node_id = node
        task.reason = ""
        task.observed = assigned
        task.observed_since = instant
        task.observed_at = timestamp
        task_id = task.id
        node_tasks[node][task_id] = task
        told = untold.get(node)
        if told is None:
            untold[node] = {task_id: task}
        else:
            told[task_id] = task
        if not is_all:
            del waiting[task_id]
    if is_all:
        waiting.clear()
    state.unsaved.placements.update(zip(nodes, repeat(None)))
    state.unsaved.tasks[service.record.id] = None
    last = slice(max(len(tasks) - STORY_LENGTH, 0), None)
    service.story.extend(
        (timestamp, task.slot, task.attempt, f"assigned to {node}")
        for task, node in zip(tasks[last], nodes[last], strict=True)
    )


def _by_wish(tasks: Sequence[Task]) -> dict[TaskState, Sequence[Task]]:
    """Return the tasks by what is wanted of them: mostly RUNNING of all."""
    wishes = dict.fromkeys([task.desired for task in tasks])
    if len(wishes) == 1:
        return dict.fromkeys(wishes, tasks)
    return {wish: [task for task in tasks if task.desired is wish] for wish in wishes}
