"""What a service's rollout is doing and what it waits for, in sentences. Pure.

Duty: read the update status and the notes of the reconciler. Not here: deciding (core.rollout).
"""

from collections.abc import Collection
from typing import Final

from berth.model.defaults import EffectiveUpdate, effective_stop_grace_s
from berth.model.duration import duration_text
from berth.model.instant import NEVER, after
from berth.model.task import Task, TaskState
from scheduler.control.views import node_name, task_name
from scheduler.core.now import Now
from scheduler.core.reconcile import Phase
from scheduler.core.restart import GiveUp, plan_restart
from scheduler.core.rollout import active_policy, settle_s
from scheduler.core.service_record import UpdateStatus
from scheduler.core.service_state import ServiceState, SlotKey
from scheduler.core.state import LeaderState

_SLOTS_SHOWN_MAX: Final = 10


def rollout_lines(state: LeaderState, service: ServiceState, now: Now) -> list[str]:
    """Return how a service's rollout and its drains stand; empty when there is nothing to tell."""
    lines = []
    status = service.record.update_status
    if status is not None:
        lines.append(f"{status.state.value}: {status.message}")
        if status.state.is_active:
            lines += _active_lines(state, service, status, now)
        elif status.state.is_paused:
            lines.append(
                f"with the old template: {_slots(service.in_phase(Phase.OUTDATED))}; nothing goes "
                "on until the service is updated or rolled back"
            )
    leaving = service.in_phase(Phase.LEAVING)
    if leaving:
        lines.append(f"{_slots(leaving)} must leave their nodes (drain)")
    return lines


def _active_lines(
    state: LeaderState, service: ServiceState, status: UpdateStatus, now: Now
) -> list[str]:
    policy = active_policy(service.record)
    outdated = service.in_phase(Phase.OUTDATED)
    replacing = service.in_phase(Phase.REPLACING)
    under_way = replacing | (service.begun & service.in_phase(Phase.YOUNG))
    lines = [
        f"of {status.slots_total} slots {len(outdated)} wait their turn and {len(under_way)} are "
        f"under way; {status.failed_tasks} new tasks failed",
        _policy_line(policy),
    ]
    lines += [
        f"slot {slot}: {_waits_for(state, service, slot, now)}"
        for slot in sorted(under_way - service.failed, key=_order)[:_SLOTS_SHOWN_MAX]
    ]
    if service.failed:
        lines.append(f"{_slots(service.failed)} failed and are not waited for")
    due = [_restart_due_s(service, slot, now) for slot in outdated]
    if outdated and not under_way and min(due, default=0.0) > 0:
        soonest = min(due)
        lines.append(
            "the slots left have used up their restart attempts"
            if soonest == NEVER
            else f"the next slot is held back by a restart delay for {soonest:.1f} s"
        )
    if not outdated and not under_way:
        lines.append(_monitor_line(service, policy, now))
    return lines


def _policy_line(policy: EffectiveUpdate) -> str:
    at_once = f"{policy.parallelism} at a time" if policy.parallelism else "all at once"
    return (
        f"{at_once}, {policy.order.value}, delay {duration_text(policy.delay_s)}, on failure "
        f"{policy.failure_action.value}"
    )


def _waits_for(state: LeaderState, service: ServiceState, slot: SlotKey, now: Now) -> str:
    tasks = service.slots.get(slot, ())
    current = [t for t in tasks if t.is_wanted and service.record.runs_current(t.template_version)]
    stopping = [t for t in tasks if not t.is_wanted and t.is_alive]
    if not current:
        wait_s = _restart_due_s(service, slot, now)
        return "no attempt follows" if wait_s == NEVER else f"next attempt in {wait_s:.1f} s"
    new = current[-1]
    if new.node_id is None:
        return f"attempt {new.attempt} waits for a node"
    where = f"attempt {new.attempt} on {node_name(state.nodes[new.node_id])}"
    if new.observed == TaskState.RUNNING:
        since = now.instant if new.running_since is None else new.running_since
        left_s = max(after(since, settle_s(service.record)) - now.instant, 0.0)
        return f"{where} runs, and must do so for another {left_s:.1f} s"
    words = f"{where} is {new.observed.name.lower()}"
    if new.desired == TaskState.READY and stopping:
        return f"{words}; {_stop_words(service, stopping[0])}"
    return f"{words}; it must run before the next slot is begun"


def _stop_words(service: ServiceState, task: Task) -> str:
    container = service.record.templates[task.template_version].task.container
    grace = duration_text(effective_stop_grace_s(container))
    return f"{task_name(service, task)} attempt {task.attempt} is stopping, within {grace}"


def _monitor_line(service: ServiceState, policy: EffectiveUpdate, now: Now) -> str:
    latest = max(
        (
            t.running_since
            for slot in service.begun
            for t in service.slots.get(slot, ())
            if t.is_wanted and t.running_since is not None
        ),
        default=now.instant,
    )
    left_s = max(after(latest, max(policy.monitor_s, policy.delay_s)) - now.instant, 0.0)
    return f"all slots are replaced; the last ones are watched for another {left_s:.1f} s"


def _restart_due_s(service: ServiceState, slot: SlotKey, now: Now) -> float:
    record = service.record
    restart = plan_restart(
        service.history.get(slot, ()),
        record.template.task.restart,
        record.template_version,
        now.timestamp,
    )
    return NEVER if isinstance(restart, GiveUp) else restart.wait_s


def _slots(slots: Collection[SlotKey]) -> str:
    if not slots:
        return "no slot"
    shown = [str(slot) for slot in sorted(slots, key=_order)]
    text = ", ".join(shown[:_SLOTS_SHOWN_MAX])
    more = len(shown) - _SLOTS_SHOWN_MAX
    noun = "slot" if len(shown) == 1 else "slots"
    return f"{noun} {text} and {more} more" if more > 0 else f"{noun} {text}"


def _order(slot: SlotKey) -> tuple[int, str]:
    return (slot, "") if isinstance(slot, int) else (0, slot)
