"""Many new tasks at once: for a group, what `LeaderState.add_task` and `bind` do for one.

Why this stands apart: where 100,000 replicas are created, or a lost rack's are made anew, one call
a task for every index costs 15 us a task, ten times as much as filling each index by one call for
the whole group. tests/property/test_births.py holds the two ways to the same memory, documents and
messages; whoever changes one changes the other.

Only for replicated services, for tasks without a predecessor in their slot and without generic
resources, which are granted one by one.
"""

from collections.abc import Sequence

from berth.model.defaults import effective_replicas
from berth.model.ids import NodeId, task_id_of_slot
from berth.model.task import Task, TaskState, newborn_tasks
from scheduler.core.costs import BIRTH_US, group_us, tasks_within
from scheduler.core.now import Now
from scheduler.core.placement.place import place, place_one
from scheduler.core.reconcile import Phase
from scheduler.core.service_state import ASSIGNED_TO, STORY_LENGTH, ServiceState
from scheduler.core.state import LeaderState
from scheduler.core.task_names import task_ids

_ASSIGNED, _RUNNING = TaskState.ASSIGNED, TaskState.RUNNING
_YOUNG = Phase.YOUNG
_LONE_US = group_us(1)


def bear_newborn(state: LeaderState, service: ServiceState, now: Now, budget_us: int) -> int:
    """Open every slot of a service in which nothing ever was, and bear their tasks.

    The general way (`scheduler.core.supervise`) learns the same from views and plans, slot by slot:
    that slots 1 to n are to be opened, that each wants its first task at once, and that there is
    nothing to roll out. A burst of small services comes by here alone.

    Returns:
        What that cost; 0 when it is no such service, wants no tasks, or more than `budget_us`
        allows: then nothing was changed.
    """
    if not service.is_newborn:
        return 0
    replicas = effective_replicas(service.record.spec.mode)
    if not 0 < replicas <= tasks_within(budget_us):
        return 0
    slots = range(1, replicas + 1)
    service.is_all_dirty = False
    service.dirty_slots.clear()
    service.open_slots(slots, _YOUNG)
    return bear(state, service, slots, now)


def bear(state: LeaderState, service: ServiceState, slots: Sequence[int], now: Now) -> int:
    """Add a task to each of `slots`, in which nothing ever was; return what that cost.

    They are placed at once where there is room, as they would be at the end of this turn if nothing
    else were to be placed before them; else they wait for `scheduling`.
    """
    demand = service.demand(service.record.template_version)
    is_plain = not demand.generic and not service.failures_by_node
    nodes: Sequence[NodeId] = ()
    if is_plain and not state.newly_waiting and state.table.relief == state.relief_tried:
        if len(slots) == 1:
            node = place_one(state.table, demand)
            if node is not None:
                _add_placed_task(state, service, slots[0], node, now)
                return _LONE_US
        else:
            nodes = place(state.table, demand, len(slots)).nodes
    if nodes:
        add_placed_tasks(state, service, slots[: len(nodes)], nodes, now)
    if len(nodes) < len(slots):
        add_first_tasks(state, service, slots[len(nodes) :], now)
    return group_us(len(nodes)) + (len(slots) - len(nodes)) * BIRTH_US


def add_first_tasks(
    state: LeaderState, service: ServiceState, slots: Sequence[int], now: Now
) -> None:
    """Add a task that waits for a place to each of `slots`, in which nothing ever was."""
    if len(slots) == 1:
        version = service.record.template_version
        state.add_task(service, slots[0], version, TaskState.RUNNING, now)
        return
    tasks = _add(state, service, slots, None, now)
    service.waiting.update(zip([task.id for task in tasks], tasks, strict=True))
    state.waiting_services[service.record.id] = None
    state.newly_waiting[service.record.id] = None


def add_placed_tasks(
    state: LeaderState,
    service: ServiceState,
    slots: Sequence[int],
    nodes: Sequence[NodeId],
    now: Now,
) -> None:
    """Add a task to each of `slots` on the node at its place in `nodes`, which is occupied already.

    What is held, written, told and noted is as if it had waited in between.
    """
    if len(slots) == 1:
        _add_placed_task(state, service, slots[0], nodes[0], now)
        return
    tasks = _add(state, service, slots, nodes, now)
    wanted = TaskState.RUNNING
    before, after = (TaskState.PENDING, wanted), (TaskState.ASSIGNED, wanted)
    state.chronicle.note_alike(service, tasks, before, after)
    places = map(state.node_tasks.__getitem__, nodes)
    for task, on_node in zip(tasks, places, strict=True):
        on_node.append(task)
    _note_places(state, service, tasks, nodes, now)


def _add_placed_task(
    state: LeaderState, service: ServiceState, slot: int, node: NodeId, now: Now
) -> None:
    """Do the same for one: most services of a large cluster have no more."""
    record, instant, timestamp = service.record, now.instant, now.timestamp
    service_id, attempt = record.id, record.attempt_floor + 1
    known = task_id_of_slot(service_id, slot, attempt)
    assert known not in state.tasks, f"task {known} exists"
    task = Task(
        known,
        service_id,
        slot,
        None,
        attempt,
        record.template_version,
        _RUNNING,
        timestamp,
        node,
        _ASSIGNED,
        instant,
        timestamp,
        is_untold=True,
    )
    state.tasks[known] = task
    state.node_tasks[node].append(task)
    service.slots[slot] = (task,)
    state.chronicle.note_lone_birth(service, task)
    unsaved = state.unsaved
    unsaved.placements[node] = unsaved.tasks[service_id] = state.untold[node] = None
    state.placed += 1
    service.tell((timestamp, slot, attempt, f"{ASSIGNED_TO}{node}"))


def _add(
    state: LeaderState,
    service: ServiceState,
    slots: Sequence[int],
    nodes: Sequence[NodeId] | None,
    now: Now,
) -> list[Task]:
    record = service.record
    attempt = record.attempt_floor + 1
    ids = task_ids(record.id, slots, attempt)
    tasks = newborn_tasks(
        ids,
        slots,
        nodes,
        service_id=record.id,
        attempt=attempt,
        template_version=record.template_version,
        now=now.instant,
        today=now.timestamp,
    )
    known = len(state.tasks)
    state.tasks.update(zip(ids, tasks, strict=True))
    assert len(state.tasks) == known + len(tasks), f"a task of service {record.id} exists"
    new, wanted = (None, None), (TaskState.PENDING, TaskState.RUNNING)
    state.chronicle.note_alike(service, tasks, new, wanted)
    service.slots.update(zip(slots, zip(tasks, strict=True), strict=True))
    return tasks


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
    node_tasks, waiting = state.node_tasks, service.waiting
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
        task.is_untold = True
        node_tasks[node].append(task)
        if not is_all:
            del waiting[task.id]
    if is_all:
        waiting.clear()
    _note_places(state, service, tasks, nodes, now)


def _note_places(
    state: LeaderState,
    service: ServiceState,
    tasks: Sequence[Task],
    nodes: Sequence[NodeId],
    now: Now,
) -> None:
    """Have it written and told that these tasks got these nodes, and keep the end of the story."""
    places = dict.fromkeys(nodes)
    state.unsaved.placements.update(places)
    state.untold.update(places)
    state.unsaved.tasks[service.record.id] = None
    state.placed += len(tasks)
    if tasks and tasks[0].cohort is not None:
        state.cohorts.append(tasks)
    last = slice(max(len(tasks) - STORY_LENGTH, 0), None)
    service.tell(
        *(
            (now.timestamp, task.slot, task.attempt, f"{ASSIGNED_TO}{node}")
            for task, node in zip(tasks[last], nodes[last], strict=True)
        )
    )


def _by_wish(tasks: Sequence[Task]) -> dict[TaskState, Sequence[Task]]:
    """Return the tasks by what is wanted of them: mostly RUNNING of all."""
    wishes = dict.fromkeys([task.desired for task in tasks])
    if len(wishes) == 1:
        return dict.fromkeys(wishes, tasks)
    return {wish: [task for task in tasks if task.desired is wish] for wish in wishes}
