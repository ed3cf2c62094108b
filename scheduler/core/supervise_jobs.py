"""A job service, one turn: which slots take part in its run, when the run ends, when one is due.

Duty: for jobs, what `supervise` does through scale, reconcile_global and rollout for services that
stay up. Slots of a replicated job open in order, the lowest first, at most so many at once as its
user allows; a global job has one on every node that can take it while its run is under way.
Not here: one slot (reconcile_jobs), cron (job_schedule).

A slot of a run has a phase; that it has none means that it does not take part yet. Phases are
derived: after a take-over they are found again from tasks and history, before anything is opened.
"""

from collections.abc import Callable
from dataclasses import replace

from berth.model.defaults import effective_completions, effective_concurrency
from berth.model.instant import Instant, Timestamp, after
from berth.model.schedule import is_scheduled
from scheduler.core.job_schedule import DuePlan, plan_due
from scheduler.core.now import Now
from scheduler.core.placement.place import global_candidates
from scheduler.core.reconcile import Phase, SlotPlan, SlotView
from scheduler.core.reconcile_jobs import Home, home_of, plan_job_slot
from scheduler.core.service_record import ServiceRecord, begin_run
from scheduler.core.service_state import ServiceState, SlotKey, noted
from scheduler.core.state import LeaderState

CLOCK_CHECK_S = 60.0
"""How often a schedule is held against the clock at least, which may have been set."""


def plan_job_slots(state: LeaderState, service: ServiceState) -> None:
    """Close what is not wanted; of a global job, open a slot on each node that can take it."""
    job = service.record.job
    assert job is not None
    if service.run_seen != job.run_version:
        service.run_seen = job.run_version
        service.next_slot = 1
        for slot in list(service.phases):
            service.set_phase(slot, None)
        state.prune_templates(service)
    record = service.record
    open_now = {*service.slots, *service.history, *service.phases} - service.closing
    if record.is_removing:
        service.closing = noted(service.closing, open_now)
        return
    if not record.is_global:
        total = effective_completions(record.spec.mode)
        beyond = [slot for slot in open_now if isinstance(slot, int) and slot > total]
        service.closing = noted(service.closing, beyond)
        return
    gone = [slot for slot in open_now if slot not in state.nodes]
    service.closing = noted(service.closing, gone)
    if job.run_version:
        demand = service.demand(record.live_version)
        service.candidates = frozenset(global_candidates(state.table, demand))
    if job.is_under_way:
        for node in sorted(service.candidates - service.phases.keys() - service.closing):
            if home_of(state.nodes[node], is_candidate=True) is Home.OPEN:
                service.set_phase(node, Phase.YOUNG)


def plan_slot_of_job(
    state: LeaderState, service: ServiceState, slot: SlotKey, view: SlotView, now: Now
) -> SlotPlan:
    """Return the plan of one slot of a job."""
    home = Home.OPEN
    if isinstance(slot, str):
        home = home_of(state.nodes.get(slot), is_candidate=slot in service.candidates)
    versions = {task.template_version for task in view.tasks}
    versions.update(entry.template_version for entry in view.history)
    is_open = slot in service.phases or view.record.live_version in versions
    return plan_job_slot(view, now, home, is_open=is_open)


def supervise_run(
    state: LeaderState, service: ServiceState, now: Now, wake: Callable[[Instant], None]
) -> None:
    """Open the next slots, judge whether the run has ended, and begin one that is due.

    Called when every slot has been looked at; asks by `wake` to be called again.
    """
    record = service.record
    assert record.job is not None
    if record.job.is_under_way and not record.is_global:
        _open_slots(state, service)
    _judge_run(state, service, now.timestamp)
    if not is_scheduled(record.spec.labels):
        return
    plan = plan_due(service.record, now.timestamp)
    if plan.is_due:
        _see_to(state, service, plan, now.timestamp)
    if plan.next_at is not None:
        wait_s = min(max(plan.next_at - now.timestamp, 0.0), CLOCK_CHECK_S)
        wake(after(now.instant, wait_s))


def _open_slots(state: LeaderState, service: ServiceState) -> None:
    mode = service.record.spec.mode
    room = effective_concurrency(mode) - len(service.in_phase(Phase.YOUNG))
    total = effective_completions(mode)
    while service.next_slot <= total:
        slot = service.next_slot
        if slot not in service.phases:
            if room <= 0 or slot in service.closing:
                return
            service.set_phase(slot, Phase.YOUNG)
            state.mark_slot(service.record.id, slot)
            room -= 1
        service.next_slot += 1


def _judge_run(state: LeaderState, service: ServiceState, now: Timestamp) -> None:
    """Note that the run has ended, or that a run that had ended completed more after all."""
    job = service.record.job
    assert job is not None
    completed = len(service.in_phase(Phase.DONE))
    if job.is_under_way:
        if _is_at_work(state, service):
            return
    elif job.newest is None or completed <= job.newest.completed:
        return
    failed = max(_slots_of_run(service) - completed, 0)
    _amend_job(state, service, replace(service.record, job=job.counted(completed, failed, now)))


def _is_at_work(state: LeaderState, service: ServiceState) -> bool:
    if service.in_phase(Phase.YOUNG):
        return True
    if not service.record.is_global:
        return service.next_slot <= effective_completions(service.record.spec.mode)
    if not service.phases:
        return True  # No node can take it yet.
    return any(
        home_of(state.nodes[node], is_candidate=True) in (Home.OPEN, Home.UNHEARD)
        for node in service.candidates - service.phases.keys()
    )


def _slots_of_run(service: ServiceState) -> int:
    if service.record.is_global:
        return len(service.phases)
    return effective_completions(service.record.spec.mode)


def _see_to(state: LeaderState, service: ServiceState, plan: DuePlan, now: Timestamp) -> None:
    record = service.record
    assert record.job is not None
    job = replace(record.job, schedule_from=now)
    if plan.note is not None:
        job = job.not_begun(plan.note)
    record = replace(record, job=job)
    if plan.cause is None:
        _amend_job(state, service, record)
        return
    state.put_service(begin_run(record, now, plan.cause, plan.due_at))
    state.prune_templates(service)


def _amend_job(state: LeaderState, service: ServiceState, record: ServiceRecord) -> None:
    state.amend_service(record)
    state.prune_templates(service)
