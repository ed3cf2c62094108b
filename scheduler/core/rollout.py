"""How a service moves from one template to the next, and off draining nodes: batch by batch.

Duty: `plan_rollout` looks at how a service's slots stand; it says which to begin now, and what
becomes of the update status: begun, completed, paused, rolled back. All of it is read off the
record, the tasks and the history, so a new leader carries on where the old one stopped.
Not here: how one slot's replacement goes on (reconcile), where tasks go (placement).

Source of the rules: swarmkit's updater; section 1.3 of Swarm's semantics. Deliberately different:
a drain goes through here as well, start-first unless the service's update order says stop-first.
"""

from collections.abc import Callable, Collection, Iterable, Set
from dataclasses import dataclass, field, replace

from berth.model.defaults import EffectiveUpdate, effective_update
from berth.model.instant import NEVER, Instant, Timestamp, after
from berth.model.service import FailureAction, UpdateOrder
from berth.model.task import TaskState
from scheduler.core.now import Now
from scheduler.core.service_record import ServiceRecord, UpdateState, UpdateStatus, roll_back
from scheduler.core.service_state import SlotKey, in_order


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin to replace the task of a slot."""

    slot: SlotKey
    desired: TaskState
    """READY for stop-first, RUNNING for start-first."""


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What to begin, the record after it (None = unchanged), and when to look again."""

    begin: tuple[Begin, ...] = ()
    record: ServiceRecord | None = None
    wake_at: Instant = NEVER


@dataclass(frozen=True, slots=True)
class RolloutView:
    """What a rollout may see of its service."""

    record: ServiceRecord
    outdated: Set[SlotKey]
    leaving: Set[SlotKey]
    replacing: Set[SlotKey]
    young: Set[SlotKey]
    begun: Set[SlotKey]
    failed: Set[SlotKey]
    may_begin_at: Callable[[SlotKey], Instant]
    """When a slot may be begun: a failed attempt's restart delay holds; NEVER = not at all."""
    running_since: Callable[[Iterable[SlotKey]], Instant]
    """The latest start among the tasks of these slots."""
    handing_over: Set[SlotKey] = frozenset()
    """Where an old task gives way to one that does not run yet, whichever rollout began it."""


@dataclass(slots=True)
class _Draft:
    begin: list[Begin] = field(default_factory=list)
    wake_at: Instant = NEVER


def active_policy(record: ServiceRecord) -> EffectiveUpdate:
    """Return the policy that holds now: the rollback's while one is under way."""
    status = record.update_status
    is_rollback = status is not None and status.state.is_rollback
    policy = effective_update(record.spec.rollback if is_rollback else record.spec.update)
    return replace(policy, order=UpdateOrder.STOP_FIRST) if record.is_fenced else policy


def settle_s(record: ServiceRecord) -> float:
    """Return how long a replaced task must have run before the next slot may be begun."""
    status = record.update_status
    return active_policy(record).delay_s if status is not None and status.state.is_active else 0.0


def is_at_rest(status: UpdateStatus | None, in_phase: Callable[[str], Collection[SlotKey]]) -> bool:
    """Return whether nothing is to be replaced: `plan_rollout` would have nothing to say.

    Args:
        status: of the service; a rollout may be active with nothing left to replace.
        in_phase: returns the service's slots that stand at a phase.
    """
    if status is not None and status.state.is_active:
        return False
    return not (in_phase("outdated") or in_phase("leaving") or in_phase("replacing"))


def plan_rollout(view: RolloutView, now: Now) -> RolloutPlan:
    """Decide what to begin, and whether the rollout is done or has failed."""
    draft = _Draft()
    _begin_leaving(view, now, draft)
    record = view.record
    status = record.update_status
    if status is not None and status.state.is_paused:
        return RolloutPlan(tuple(draft.begin), None, draft.wake_at)
    # A change that needs no rollout of its own may come while one is at work on its last slots.
    to_do = len(view.outdated) + len(view.begun & view.replacing)
    if to_do and (status is None or not status.state.is_active):
        status = UpdateStatus(
            UpdateState.UPDATING, "update in progress", now.timestamp, None, to_do
        )
        record = replace(record, update_status=status)
    elif status is not None and status.state.is_active and not status.slots_total:
        total = len(view.outdated) + len(view.replacing)
        if total:
            status = replace(status, slots_total=total)
            record = replace(record, update_status=status)
    if status is None or not status.state.is_active:
        return RolloutPlan(tuple(draft.begin), None, draft.wake_at)
    if (verdict := _judge_failures(record, status, now)) is not None:
        return RolloutPlan(tuple(draft.begin), verdict, draft.wake_at)
    policy = active_policy(record)
    in_flight = (view.begun & (view.young | view.replacing) | view.handing_over) - view.failed
    _begin_outdated(view, policy, len(in_flight), now, draft)
    if not view.outdated and not view.replacing and not in_flight:
        done_at = after(view.running_since(view.begun), max(policy.monitor_s, policy.delay_s))
        if done_at <= now.instant or not view.begun:
            record = replace(record, update_status=_completed(status, now.timestamp))
        else:
            draft.wake_at = min(draft.wake_at, done_at)
    changed = record if record is not view.record else None
    return RolloutPlan(tuple(draft.begin), changed, draft.wake_at)


def count_failure(record: ServiceRecord, template_version: int, ran_s: float) -> ServiceRecord:
    """Return the record after a task ended by itself, which may count against its rollout.

    It counts when it is of the template that is being rolled out and ended before it ran, or within
    the monitor period.
    """
    status = record.update_status
    if status is None or not status.state.is_active or template_version != record.template_version:
        return record
    if ran_s >= active_policy(record).monitor_s and ran_s > 0:
        return record
    return replace(record, update_status=replace(status, failed_tasks=status.failed_tasks + 1))


def _begin_outdated(
    view: RolloutView, policy: EffectiveUpdate, in_flight: int, now: Now, draft: _Draft
) -> None:
    room = policy.parallelism - in_flight if policy.parallelism else len(view.outdated)
    _begin(view.outdated, room, _first_wish(policy.order), view, now, draft)


def _begin_leaving(view: RolloutView, now: Now, draft: _Draft) -> None:
    policy = effective_update(view.record.spec.update)
    asked = view.record.spec.update.order if view.record.spec.update else None
    # A drain must not cost strength; only a service that says stop-first may go below it.
    order = asked or UpdateOrder.START_FIRST
    if view.record.is_fenced:
        order = UpdateOrder.STOP_FIRST
    # One at a time at least; what is being replaced already counts, whyever it is.
    room = (policy.parallelism or len(view.leaving)) - len(view.replacing)
    _begin(view.leaving, room, _first_wish(order), view, now, draft)


def _begin(
    slots: Set[SlotKey], room: int, wish: TaskState, view: RolloutView, now: Now, draft: _Draft
) -> None:
    """Begin with the first `room` of `slots` that may be begun now."""
    if room <= 0:
        return  # As mostly: not worth putting many slots in order.
    for slot in in_order(slots):
        due = view.may_begin_at(slot)
        if due > now.instant:
            draft.wake_at = min(draft.wake_at, due)
            continue
        draft.begin.append(Begin(slot, wish))
        room -= 1
        if not room:
            return


def _first_wish(order: UpdateOrder) -> TaskState:
    return TaskState.RUNNING if order is UpdateOrder.START_FIRST else TaskState.READY


def _judge_failures(record: ServiceRecord, status: UpdateStatus, now: Now) -> ServiceRecord | None:
    if not status.failed_tasks:
        return None
    policy = active_policy(record)
    ratio = status.failed_tasks / max(status.slots_total, 1)
    if policy.failure_action is FailureAction.CONTINUE or ratio <= policy.max_failure_ratio:
        return None
    tasks = "task" if status.failed_tasks == 1 else "tasks"
    why = (
        f"{status.failed_tasks} new {tasks} of {status.slots_total} failed before or within "
        f"{policy.monitor_s:g} s of running (allowed ratio {policy.max_failure_ratio:g})"
    )
    is_rollback = status.state.is_rollback
    may_roll_back = not is_rollback and record.previous_spec is not None
    if policy.failure_action is FailureAction.ROLLBACK and may_roll_back:
        return roll_back(record, now.timestamp, f"update rolled back: {why}")
    state = UpdateState.ROLLBACK_PAUSED if is_rollback else UpdateState.PAUSED
    what = "rollback" if is_rollback else "update"
    return replace(
        record, update_status=replace(status, state=state, message=f"{what} paused: {why}")
    )


def _completed(status: UpdateStatus, now: Timestamp) -> UpdateStatus:
    is_rollback = status.state.is_rollback
    state = UpdateState.ROLLBACK_COMPLETED if is_rollback else UpdateState.COMPLETED
    message = "rollback completed" if is_rollback else "update completed"
    return replace(status, state=state, message=message, completed_at=now)
