"""Give waiting tasks a node: the pass between supervision and placement.

Duty: group what waits, ask the placement engine, bind what was placed, and leave the rest waiting
with its reason. Freed capacity, a returning node or a changed label raise the table's `relief`;
then, and only then, everything that waits is tried again.

A replacement whose predecessor still holds its place is placed as if that one did not count; when
it fits nowhere so, it takes over the predecessor's own place: a stop-first update needs no spare
capacity. A start-first replacement that fits nowhere falls back to the same (it would wait for
ever, for instance for its own host port).
"""

from itertools import islice

from berth.model.ids import NodeId
from berth.model.instant import Instant
from berth.model.node import NodeState
from berth.model.task import Task, TaskState
from scheduler.core.births import bind_group
from scheduler.core.costs import PLACE_US, TRY_US, group_us, tasks_within
from scheduler.core.now import Now
from scheduler.core.placement.demand import Demand
from scheduler.core.placement.place import place, place_on, place_one, why_not
from scheduler.core.service_state import ServiceState, slot_of
from scheduler.core.state import LeaderState

FAILURE_WINDOW_S = 300.0
"""Failures of a service on a node count against that node for this long (swarmkit's figure)."""


def schedule(state: LeaderState, now: Now, budget_us: int) -> int:
    """Place waiting tasks for about `budget_us`; return how many were placed.

    Services whose tasks fit nowhere stay waiting and are not tried again until something is freed;
    then all are, those first that were not since it was freed before.
    """
    newly_waiting = state.newly_waiting
    if state.table.relief != state.relief_tried:
        newly_waiting.update(state.waiting_services)
    placed, left_us = 0, budget_us
    for service_id in list(islice(newly_waiting, budget_us // TRY_US + 1)):
        if left_us <= 0:
            break
        newly_waiting.pop(service_id, None)
        service = state.services.get(service_id)
        if service is None or not service.waiting:
            state.waiting_services.pop(service_id, None)
            continue
        lost = _lost_predecessors(state, service)
        for node, demand in lost:
            state.table.uncount(node, demand)
        found, left_us = _schedule_service(state, service, now, left_us)
        for node, demand in lost:
            state.table.count(node, demand)
        placed += found
        if not found:
            left_us -= TRY_US
        elif service.waiting and left_us <= 0:
            newly_waiting[service_id] = None
    state.relief_tried = state.table.relief
    return placed


def _schedule_service(
    state: LeaderState, service: ServiceState, now: Now, budget_us: int
) -> tuple[int, int]:
    """Place some of what waits of a service; return how many were placed, and the budget left.

    None is left when there may be more to place.
    """
    if service.failures_by_node:
        _feed_penalties(state, service, now.instant)
    slots, waiting = service.slots, service.waiting
    if len(waiting) == 1:
        (task,) = waiting.values()
        if task.home is None and len(slots[task.slot]) == 1:
            placed = _place_anywhere(state, service, task, now)
            if placed:
                state.waiting_services.pop(service.record.id, None)
            return placed, budget_us - group_us(placed)
    groups: dict[int, list[Task]] = {}
    placed = grouped = 0
    left_us = budget_us
    room = tasks_within(budget_us)
    for task in list(waiting.values()):
        if grouped >= room or left_us <= 0:
            break
        if task.home is None and len(slots[task.slot]) == 1:
            groups.setdefault(task.template_version, []).append(task)
            grouped += 1
            continue
        predecessor = _predecessor(state, service, task)
        is_alive = predecessor is not None and predecessor.is_alive
        if is_alive and slot_of(task) in service.dirty_slots:
            # Its predecessor's node may be back, so that nothing need replace it: look first.
            state.newly_waiting[service.record.id] = None
            continue
        if task.home is not None:
            found = _place_at_home(state, service, task, predecessor, now)
        elif predecessor is not None:
            found = _place_replacement(state, service, task, predecessor, now)
        else:
            found = _place_anywhere(state, service, task, now)
        placed += found
        left_us -= found * PLACE_US
    for version, tasks in groups.items():
        found = _place_group(state, service, version, tasks, now)
        placed += found
        left_us = 0 if found == room else left_us - group_us(found)
    if not service.waiting:
        state.waiting_services.pop(service.record.id, None)
    return placed, left_us


def _place_group(
    state: LeaderState, service: ServiceState, version: int, tasks: list[Task], now: Now
) -> int:
    """Place tasks of one template that replace nothing: all at once."""
    demand = service.demand(version)
    nodes = place(state.table, demand, len(tasks)).nodes
    if demand.generic:
        for task, node in zip(tasks, nodes, strict=False):
            state.bind(service, task, node, now)
    else:
        bind_group(state, service, tasks[: len(nodes)], nodes, now)
    return len(nodes)


def _predecessor(state: LeaderState, service: ServiceState, task: Task) -> Task | None:
    """Return the placed task that `task` is to replace, while that one is wanted and not lost."""
    tasks = service.slots[slot_of(task)]
    if len(tasks) == 1:
        return None
    for other in tasks:
        if other is task or other.node_id is None or not other.is_wanted:
            continue
        if state.nodes[other.node_id].state is not NodeState.DOWN:
            return other
    return None


def _lost_predecessors(state: LeaderState, service: ServiceState) -> list[tuple[NodeId, Demand]]:
    """Return where lost tasks are that what waits is to replace, where that matters: in branches.

    They are wanted until then, but nobody is served by them, and their branch may have room.
    """
    if service.record.is_global or not service.demand(service.record.live_version).spread:
        return []
    return [
        (other.node_id, service.demand(other.template_version))
        for slot in dict.fromkeys(map(slot_of, service.waiting.values()))
        for other in service.slots[slot]
        if other.node_id is not None
        and other.is_wanted
        and other.is_alive
        and state.nodes[other.node_id].state is NodeState.DOWN
    ]


def _place_at_home(
    state: LeaderState, service: ServiceState, task: Task, predecessor: Task | None, now: Now
) -> int:
    assert task.home is not None
    demand = service.demand(task.template_version)
    credit = None
    if predecessor is not None and predecessor.is_alive:
        credit = service.demand(predecessor.template_version)
    reasons = place_on(state.table, task.home, demand)
    if reasons and credit is not None:
        reasons = place_on(state.table, task.home, demand, credit=credit)
        if not reasons and task.desired == TaskState.RUNNING:
            _fall_back(task)
    if reasons:
        task.reason = "; ".join(str(reason) for reason in reasons)
        return 0
    state.bind(service, task, task.home, now, reuse=predecessor.granted if predecessor else ())
    return 1


def _place_replacement(
    state: LeaderState, service: ServiceState, task: Task, old: Task, now: Now
) -> int:
    assert old.node_id is not None
    demand = service.demand(task.template_version)
    credit = service.demand(old.template_version)
    is_leaving = slot_of(task) in service.in_phase("leaving") or not _may_stay(state, old)
    if not old.is_alive:
        return _place_anywhere(state, service, task, now)
    state.table.uncount(old.node_id, credit)
    placed = _place_anywhere(state, service, task, now)
    state.table.count(old.node_id, credit)
    if placed or is_leaving:
        return placed
    if why_not(state.table, old.node_id, demand, credit=credit):
        return 0
    if task.desired == TaskState.RUNNING:
        _fall_back(task)
    assert not place_on(state.table, old.node_id, demand, credit=credit)
    state.bind(service, task, old.node_id, now, reuse=old.granted)
    return 1


def _may_stay(state: LeaderState, task: Task) -> bool:
    assert task.node_id is not None
    return state.nodes[task.node_id].spec.availability == "active"


def _place_anywhere(state: LeaderState, service: ServiceState, task: Task, now: Now) -> int:
    node = place_one(state.table, service.demand(task.template_version))
    if node is None:
        return 0
    state.bind(service, task, node, now)
    return 1


def _fall_back(task: Task) -> None:
    """Turn a start-first replacement that was never told to anyone into a stop-first one."""
    assert task.node_id is None
    task.desired = TaskState.READY
    task.cohort = None
    task.told = b""


def _feed_penalties(state: LeaderState, service: ServiceState, now: Instant) -> None:
    """Tell the table where the service failed lately, so that it goes elsewhere first."""
    for node in list(service.failures_by_node):
        recent = [at for at in service.failures_by_node[node] if now - at < FAILURE_WINDOW_S]
        state.table.set_penalty(service.record.id, node, len(recent))
        if recent:
            service.failures_by_node[node] = recent
        else:
            del service.failures_by_node[node]
