"""Whether a scheduled job is due now, and what that means: run, skip, or wait.

Duty: `plan_due`, judged from the job's record alone: up to when due times were seen to is in the
store, so that a new leader neither repeats a run nor forgets one. Not here: cron's rules
(berth.model.schedule), beginning runs (supervise_jobs).

A due time is kept when a leader sees to it within `LATE_S`; that covers a change of leader. Older
ones were missed: by the job's label they are made up for by one run, or left out.

Clocks: due times are wall clock, and only ever the leader's. One that was set back does not repeat
runs; only when it was set back by more than `SET_BACK_MAX_S` does the schedule count anew, since
otherwise nothing would be due until the clock has caught up, for years perhaps.

Invariant (tests/unit/scheduler/core/test_job_schedule.py): every due time is seen to exactly once.
"""

from dataclasses import dataclass

from berth.errors import InvalidRequestError
from berth.model.instant import Timestamp
from berth.model.job import JobRun, RunCause, RunOutcome
from berth.model.schedule import Missed, Overlap, Schedule, schedule_of
from scheduler.core.service_record import ServiceRecord

LATE_S = 60.0
SET_BACK_MAX_S = 3600.0


@dataclass(frozen=True, slots=True)
class DuePlan:
    """What to do now about a schedule, and when to look again (None = never)."""

    next_at: Timestamp | None
    is_due: bool = False
    """Due times have passed: `next_at` counts from now."""
    cause: RunCause | None = None
    """Why a run is to begin now; None = none is."""
    due_at: Timestamp | None = None
    note: JobRun | None = None
    """Of due times that begin no run."""


def next_due(record: ServiceRecord, now: Timestamp) -> Timestamp | None:
    """Return when the job is due next, None when it has no schedule."""
    schedule = _schedule(record)
    if schedule is None or record.job is None:
        return None
    return schedule.next_after(_counted_from(record, now))


def plan_due(record: ServiceRecord, now: Timestamp) -> DuePlan:
    """Decide whether a run begins now because the job is due."""
    schedule = _schedule(record)
    if schedule is None or record.job is None:
        return DuePlan(None)
    since = _counted_from(record, now)
    first = schedule.next_after(since)
    if first is None or first > now:
        return DuePlan(first)
    next_at = schedule.next_after(now)
    recent = schedule.next_after(max(since, Timestamp(now - LATE_S)))
    is_missed = recent is None or recent > now
    due_at = first if is_missed else recent
    if is_missed and schedule.missed is Missed.SKIP:
        note = JobRun(
            cause=RunCause.SCHEDULE,
            outcome=RunOutcome.MISSED,
            started_at=now,
            due_at=first,
            note="no leader was at hand",
        )
        return DuePlan(next_at, is_due=True, note=note)
    if record.job.is_under_way and schedule.overlap is Overlap.SKIP:
        note = JobRun(
            cause=RunCause.SCHEDULE,
            outcome=RunOutcome.SKIPPED,
            started_at=now,
            due_at=due_at,
            note=f"run {record.job.iteration} was under way",
        )
        return DuePlan(next_at, is_due=True, note=note)
    cause = RunCause.MISSED if is_missed else RunCause.SCHEDULE
    return DuePlan(next_at, is_due=True, cause=cause, due_at=due_at)


def _schedule(record: ServiceRecord) -> Schedule | None:
    try:
        return schedule_of(record.spec.labels)
    except InvalidRequestError:
        return None  # Refused at create; this one was written where another time zone is known.


def _counted_from(record: ServiceRecord, now: Timestamp) -> Timestamp:
    assert record.job is not None
    seen_to = record.job.schedule_from
    return now if seen_to > now + SET_BACK_MAX_S else seen_to
