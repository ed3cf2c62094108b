"""One service, one turn: plan its dirty slots and its rollout, and apply the plans to memory.

Duty: the bridge between the plans (reconcile, scale, rollout: pure views in, actions out) and the
state. It also keeps the derived notes of a service: phases, closing slots, what a rollout began.
Not here: placing what waits (scheduling), storing and sending (scheduler.leader).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice

from berth.model.defaults import effective_replicas, effective_stop_grace_s
from berth.model.fence import fence_after_s, replace_after_s
from berth.model.ids import NodeId
from berth.model.instant import NEVER, Instant, after
from berth.model.node import NodeState
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.births import bear, bear_newborn
from scheduler.core.costs import SERVICE_US, SLOT_US, tasks_within
from scheduler.core.new_specs import put_new_spec
from scheduler.core.now import Now
from scheduler.core.placement.place import global_candidates
from scheduler.core.reconcile import (
    Action,
    CloseSlot,
    Create,
    Drop,
    Fate,
    Finish,
    Phase,
    SetDesired,
    SlotView,
    plan_slot,
)
from scheduler.core.reconcile_global import may_take, plan_global
from scheduler.core.restart import GiveUp, plan_restart, since_last_run
from scheduler.core.rollout import RolloutView, count_failure, is_at_rest, plan_rollout, settle_s
from scheduler.core.scale import plan_scale
from scheduler.core.service_record import ServiceRecord
from scheduler.core.service_state import (
    ServiceState,
    SlotKey,
    in_order,
    noted,
    slot_of,
    strike,
)
from scheduler.core.state import LeaderState
from scheduler.core.supervise_jobs import plan_job_slots, plan_slot_of_job, supervise_run

Waker = Callable[[Instant, SlotKey | None], None]
"""Asks that the service (slot None) or one slot of it be looked at again at an instant."""


def supervise(
    state: LeaderState, service: ServiceState, now: Now, wake: Waker, budget_us: int
) -> int:
    """Bring one service one step closer to what its user wants; harmless to repeat.

    Slots are looked at for about `budget_us`, at least one; the service stays dirty for the rest.
    Returns what that cost, as `costs` estimates it.
    """
    if born_us := bear_newborn(state, service, now, budget_us - SERVICE_US):
        return SERVICE_US + born_us
    if service.is_all_dirty:
        service.is_all_dirty = False
        if service.is_fresh:
            _recall_rollout(service)
        if service.record.job is not None:
            plan_job_slots(state, service)
        else:
            _plan_slots(state, service)
        keys: set[SlotKey] = {*service.slots, *service.history, *service.phases}
        service.dirty_slots = dict.fromkeys(in_order(keys))
    cost_us = SERVICE_US + _bear(state, service, now, tasks_within(budget_us))
    slots = list(islice(service.dirty_slots, max((budget_us - cost_us) // SLOT_US, 0)))
    for slot in slots:
        del service.dirty_slots[slot]
        _supervise_slot(state, service, slot, now, wake)
    if service.is_all_dirty or service.dirty_slots:
        # A rollout is judged by how all slots stand, so only when all of them were looked at.
        state.dirty[service.record.id] = None
    elif service.record.is_removing:
        if not service.slots:
            state.drop_service(service)
    elif service.record.job is not None:
        supervise_run(state, service, now, lambda at: wake(at, None))
        service.is_fresh = False
    else:
        _supervise_rollout(state, service, now, wake)
        service.is_fresh = False
    return cost_us + len(slots) * SLOT_US


def _bear(state: LeaderState, service: ServiceState, now: Now, slots_max: int) -> int:
    """Make the first tasks of slots that were just opened, all at once; return what that cost."""
    slots = service.unbegun(islice(service.dirty_slots, slots_max))
    if not slots:
        return 0
    if len(slots) == len(service.dirty_slots):
        service.dirty_slots.clear()
    else:
        for slot in slots:
            del service.dirty_slots[slot]
    for slot in slots:
        if service.phases[slot] is not Phase.YOUNG:
            service.set_phase(slot, Phase.YOUNG)
    return bear(state, service, slots, now)


def _recall_rollout(service: ServiceState) -> None:
    """Note which slots an earlier leader's rollout has replaced: its delay and watch still hold."""
    status = service.record.update_status
    if status is None or not status.state.is_active:
        return
    replaced = [
        slot
        for slot, tasks in service.slots.items()
        if any(
            task.template_version == service.record.template_version
            and task.created_at >= status.started_at
            for task in tasks
        )
    ]
    service.begun = noted(service.begun, replaced)


def _plan_slots(state: LeaderState, service: ServiceState) -> None:
    """Open and close slots so that their number, or their nodes, are what is wanted."""
    open_now = {*service.slots, *service.history, *service.phases} - service.closing
    closing: Iterable[SlotKey]
    opening: Iterable[SlotKey]
    if service.record.is_removing:
        opening, closing = (), open_now
    elif service.record.is_global:
        held_nodes = {slot for slot in open_now if isinstance(slot, str)}
        demand = service.demand(service.record.template_version)
        candidates = global_candidates(state.table, demand)
        by_node = plan_global(candidates, state.nodes, held_nodes)
        closing = by_node.close_slots
        # One that is closing opens again once it has closed, which marks the service.
        opening = [slot for slot in by_node.open_slots if slot not in service.closing]
    else:
        replicas = effective_replicas(service.record.spec.mode)
        numbers = [slot for slot in open_now if isinstance(slot, int)]
        if len(numbers) == replicas:
            return  # So it is with all that a new leader has loaded: none of their tasks is read.
        held = {
            slot: [t for t in service.slots.get(slot, ()) if t.is_wanted and not _is_lost(state, t)]
            for slot in numbers
        }
        plan = plan_scale(replicas, held, service.closing)
        opening, closing = plan.open_slots, plan.close_slots
    service.closing = noted(service.closing, closing)
    service.open_slots([slot for slot in opening if slot not in service.phases], Phase.YOUNG)


def _supervise_slot(
    state: LeaderState, service: ServiceState, slot: SlotKey, now: Now, wake: Waker
) -> None:
    record = service.record
    tasks = service.slots.get(slot, ())
    if not tasks and slot not in service.phases and slot not in service.history:
        strike(service.closing, slot)
        return
    if _is_plain(state, service, slot, tasks):
        service.set_phase(slot, Phase.SETTLED)
        strike(service.handing_over, slot)
        return
    may_create = True
    if isinstance(slot, str):
        node = state.nodes.get(slot)
        may_create = node is not None and may_take(node)
    view = SlotView(
        record=record,
        tasks=tasks,
        history=service.history.get(slot, ()),
        fate=partial(_fate, state, service, now, wake),
        settle_s=settle_s(record) if slot in service.begun else 0.0,
        is_wanted=slot not in service.closing,
        may_create=may_create,
    )
    if record.job is not None:
        plan = plan_slot_of_job(state, service, slot, view, now)
    else:
        plan = plan_slot(view, now)
    for action in plan.actions:
        _apply(state, service, slot, action, now)
    if slot not in service.closing:
        is_away = isinstance(slot, str) and not record.job and _is_away(state, slot, plan.phase)
        service.set_phase(slot, Phase.AWAY if is_away else plan.phase)
    if _is_handing_over(state, service, service.slots.get(slot, ())):
        service.handing_over = noted(service.handing_over, (slot,))
    else:
        strike(service.handing_over, slot)
    if plan.wake_at != NEVER:
        wake(plan.wake_at, slot)


def _is_away(state: LeaderState, node_id: NodeId, phase: Phase | None) -> bool:
    """Return whether a global service's rollout must not wait for the slot of this node.

    A replacement that was begun goes on where its node still answers; where the node is lost, maybe
    for ever, it goes on when the node is back.
    """
    node = state.nodes.get(node_id)
    if node is not None and node.state is NodeState.DOWN:
        return phase in (Phase.OUTDATED, Phase.YOUNG, Phase.REPLACING)
    return phase is Phase.OUTDATED and (node is None or not may_take(node))


def _is_handing_over(state: LeaderState, service: ServiceState, tasks: Sequence[Task]) -> bool:
    """Return whether a task of another template gives way here to one that does not run yet."""
    record = service.record
    nexts = [
        task.observed
        for task in tasks
        if task.is_wanted and task.node_id and record.runs_current(task.template_version)
    ]
    if not nexts or TaskState.RUNNING in nexts:
        return False
    return any(
        task.is_alive
        and task.node_id is not None
        and not _is_lost(state, task)
        and not record.runs_current(task.template_version)
        for task in tasks
    )


def _is_plain(
    state: LeaderState, service: ServiceState, slot: SlotKey, tasks: Sequence[Task]
) -> bool:
    """Return whether the slot is as nearly all are: one task, current, running, to be left alone.

    `plan_slot` would say the same; this says it at a tenth of the cost.
    """
    if len(tasks) != 1 or slot in service.closing or slot in service.begun or service.misplaced:
        return False
    (task,) = tasks
    if task.observed != TaskState.RUNNING or task.desired != TaskState.RUNNING:
        return False
    if task.template_version != service.record.template_version or task.node_id is None:
        return False
    node = state.nodes[task.node_id]
    return node.state is not NodeState.DOWN and not node.must_be_left


def _fate(state: LeaderState, service: ServiceState, now: Now, wake: Waker, task: Task) -> Fate:
    if task.node_id is None:
        return Fate.KEEP
    node = state.nodes[task.node_id]
    if node.state is NodeState.DOWN:
        # Nothing replaces a global service's task elsewhere, so nothing is gained by ending it.
        if service.record.is_global:
            return Fate.KEEP
        fenced_until = _fenced_until(state, service, task, now)
        if fenced_until > now.instant:
            wake(fenced_until, slot_of(task))
            return Fate.KEEP
        return Fate.LOST
    if task.id in service.misplaced:
        return Fate.EVICT
    if node.must_be_left:
        return Fate.LEAVE
    return Fate.KEEP


def _is_lost(state: LeaderState, task: Task) -> bool:
    return task.node_id is not None and state.nodes[task.node_id].state is NodeState.DOWN


def _fenced_until(state: LeaderState, service: ServiceState, task: Task, now: Now) -> Instant:
    """Return until when a lost node's task may still run; `now` when the service has no fence."""
    fence_s = fence_after_s(service.record.spec.labels)
    if fence_s is None or task.node_id is None:
        return now.instant
    down_at = state.liveness[task.node_id].down_at
    container = service.record.templates[task.template_version].task.container
    wait_s = replace_after_s(fence_s, effective_stop_grace_s(container))
    return after(now.instant if down_at is None else down_at, wait_s)


def _apply(
    state: LeaderState, service: ServiceState, slot: SlotKey, action: Action, now: Now
) -> None:
    match action:
        case Finish(task):
            _note_end(state, service, state.finish_task(task), now)
        case Drop(task):
            state.drop_task(task)
        case SetDesired(task, desired, reason):
            state.set_desired(task, desired, now, reason)
        case Create(template_version, desired):
            state.add_task(service, slot, template_version, desired, now)
        case CloseSlot():
            state.close_slot(service, slot)
            if service.record.is_global and not service.record.is_removing:
                state.mark_all(service)


def _note_end(state: LeaderState, service: ServiceState, finished: FinishedTask, now: Now) -> None:
    """Count an end that nobody asked for, against its node and against the rollout."""
    if not finished.counts_as_restart or finished.node_id is None:
        return
    service.failures_by_node.setdefault(finished.node_id, []).append(now.instant)
    record = count_failure(service.record, finished.template_version, finished.ran_s)
    if record is not service.record:
        slot = finished.home if finished.home is not None else finished.slot
        service.failed = noted(service.failed, (slot,))
        state.amend_service(record)


def _supervise_rollout(state: LeaderState, service: ServiceState, now: Now, wake: Waker) -> None:
    status = service.record.update_status
    if service.is_fresh and status is not None and status.state.is_active:
        # What an earlier leader had begun is what is not settled yet. What waits for a place was
        # made anew just now: it may wait for ever, and must not hold the rollout up.
        placed = {
            slot
            for slot in service.in_phase(Phase.YOUNG)
            if any(t.node_id and not _is_lost(state, t) for t in service.slots.get(slot, ()))
        }
        service.begun = noted(service.begun, placed | service.in_phase(Phase.REPLACING))
        failed = [
            slot
            for slot in service.begun
            if any(
                entry.counts_as_restart
                and entry.template_version == service.record.template_version
                for entry in service.history.get(slot, ())
            )
        ]
        service.failed = noted(service.failed, failed)
    if is_at_rest(status, service.in_phase):
        return
    view = RolloutView(
        record=service.record,
        outdated=service.in_phase(Phase.OUTDATED),
        leaving=service.in_phase(Phase.LEAVING),
        replacing=service.in_phase(Phase.REPLACING),
        young=service.in_phase(Phase.YOUNG),
        begun=service.begun,
        failed=service.failed,
        handing_over=service.handing_over,
        may_begin_at=partial(_may_begin_at, service, now),
        running_since=partial(_running_since, service, now),
    )
    plan = plan_rollout(view, now)
    outdated = view.outdated & {begin.slot for begin in plan.begin}
    for begin in plan.begin:
        version = service.record.template_version
        state.add_task(service, begin.slot, version, begin.desired, now)
        if begin.slot in outdated:  # A drain is no part of a rollout.
            service.begun = noted(service.begun, (begin.slot,))
        service.set_phase(begin.slot, Phase.REPLACING)
    if plan.record is not None:
        _adopt_record(state, service, plan.record)
    if plan.wake_at != NEVER:
        wake(plan.wake_at, None)


def _adopt_record(state: LeaderState, service: ServiceState, record: ServiceRecord) -> None:
    before, after_it = service.record.update_status, record.update_status
    assert after_it is not None
    if record.version != service.record.version:  # It goes back by itself.
        service.forget_rollout()
        put_new_spec(state, service, record)
        return
    has_changed = before is None or before.state is not after_it.state
    if has_changed and not after_it.state.is_active:
        service.end_rollout()
    if has_changed and after_it.state.is_paused:
        state.put_service(record)
    else:
        state.amend_service(record)
    if not after_it.state.is_active:
        state.prune_templates(service)


def _may_begin_at(service: ServiceState, now: Now, slot: SlotKey) -> Instant:
    version = service.record.template_version
    policy = service.record.template.task.restart
    history = since_last_run(service.history.get(slot, ()), service.slots.get(slot, ()))
    restart = plan_restart(history, policy, version, now.timestamp)
    if isinstance(restart, GiveUp):
        return NEVER
    return after(now.instant, restart.wait_s) if restart.wait_s else now.instant


def _running_since(service: ServiceState, now: Now, slots: Iterable[SlotKey]) -> Instant:
    latest = Instant(0.0)
    for slot in slots:
        for task in service.slots.get(slot, ()):
            if task.is_wanted and task.observed == TaskState.RUNNING:
                since = now.instant if task.running_since is None else task.running_since
                latest = max(latest, since)
    return latest
