"""When a job is due, and what follows: the table of docs/jobs.md."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from berth.model.ids import ServiceId
from berth.model.instant import Timestamp
from berth.model.job import RunCause, RunOutcome
from berth.model.schedule import MISSED_LABEL, OVERLAP_LABEL, SCHEDULE_LABEL
from scheduler.core.job_record import JobRecord
from scheduler.core.job_schedule import DuePlan, next_due, plan_due
from scheduler.core.service_record import ServiceRecord, create_record
from tests.builders import a_job


def at(text: str) -> Timestamp:
    return Timestamp(datetime.fromisoformat(f"2026-03-10 {text}").replace(tzinfo=UTC).timestamp())


def a_record(since: str = "12:00", *, is_under_way: bool = False, **labels: str) -> ServiceRecord:
    found = {SCHEDULE_LABEL: "*/5 * * * *"}
    found |= {f"{SCHEDULE_LABEL}.{key}": value for key, value in labels.items()}
    record = create_record(ServiceId("s"), a_job(labels=found), at(since))
    job = JobRecord(schedule_from=at(since))
    if is_under_way:
        job = job.begun(at(since), RunCause.FORCED)
    return replace(record, job=job)


def said(plan: DuePlan) -> str:
    if plan.cause is not None:
        assert plan.due_at is not None
        due = datetime.fromtimestamp(plan.due_at, UTC)
        return f"run ({plan.cause.value}) for {due:%H:%M}"
    return plan.note.outcome.value if plan.note is not None else "wait"


@pytest.mark.parametrize(
    ("record", "now", "words"),
    [
        pytest.param(a_record(), "12:04:59", "wait", id="not due yet"),
        pytest.param(a_record(), "12:05:00", "run (schedule) for 12:05", id="due now"),
        pytest.param(a_record(), "12:05:50", "run (schedule) for 12:05", id="a little late"),
        pytest.param(a_record(), "12:06:01", "missed", id="too late"),
        pytest.param(
            a_record(missed="once"), "12:16:30", "run (missed schedule) for 12:05", id="made up for"
        ),
        pytest.param(a_record(), "12:15:10", "run (schedule) for 12:15", id="the newest counts"),
        pytest.param(a_record(is_under_way=True), "12:05:00", "skipped", id="overlap skips"),
        pytest.param(
            a_record(is_under_way=True, overlap="replace"),
            "12:05:00",
            "run (schedule) for 12:05",
            id="overlap replaces",
        ),
        pytest.param(
            a_record("12:30"), "12:05:00", "wait", id="a clock set back a little repeats nothing"
        ),
        pytest.param(
            a_record("23:30"), "12:05:00", "wait", id="set back far: it counts anew from now"
        ),
    ],
)
def test_what_follows(record, now, words):
    assert said(plan_due(record, at(now))) == words


def test_the_labels_are_those_that_users_write():
    assert {OVERLAP_LABEL, MISSED_LABEL} == {
        f"{SCHEDULE_LABEL}.overlap",
        f"{SCHEDULE_LABEL}.missed",
    }


def test_every_due_time_is_seen_to_exactly_once():
    record, seen = a_record(), []
    for second in range(0, 3600, 7):
        now = Timestamp(at("12:00") + second)
        plan = plan_due(record, now)
        if plan.is_due:
            assert record.job is not None
            seen.append(plan.due_at)
            record = replace(record, job=replace(record.job, schedule_from=now))
    assert seen == [Timestamp(at("12:00") + 300 * number) for number in range(1, 12)]


def test_after_a_clock_was_set_back_far_the_next_time_is_near():
    assert next_due(a_record("23:30"), at("12:01")) == at("12:05")
    assert next_due(a_record("12:30"), at("12:01")) == at("12:35")


def test_a_run_that_was_missed_says_so():
    note = plan_due(a_record(), at("12:09")).note
    assert note is not None
    assert (note.outcome, note.due_at) == (RunOutcome.MISSED, at("12:05"))


def test_a_service_without_a_schedule_is_never_due():
    record = create_record(ServiceId("s"), a_job(), at("12:00"))
    assert plan_due(record, at("12:05")) == DuePlan(None)
    assert next_due(record, at("12:05")) is None
