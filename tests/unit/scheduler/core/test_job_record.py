"""What a job's record says after what happened to it."""

from berth.model.instant import Timestamp
from berth.model.job import JobRun, RunCause, RunOutcome
from scheduler.core.job_record import RUNS_KEPT, JobRecord

T = Timestamp


def test_runs_are_numbered_from_0_as_docker_numbers_iterations():
    first = JobRecord().begun(T(1), RunCause.CREATED)
    assert (first.run_version, first.iteration) == (1, 0)
    second = first.counted(2, 0, T(2)).begun(T(3), RunCause.UPDATED)
    assert (second.run_version, second.iteration, second.began_at) == (2, 1, T(3))
    assert [run.outcome for run in second.runs] == [RunOutcome.COMPLETED, RunOutcome.RUNNING]


def test_a_run_that_is_under_way_is_replaced_by_the_next():
    record = JobRecord().begun(T(1), RunCause.CREATED).begun(T(5), RunCause.FORCED)
    assert (record.runs[0].outcome, record.runs[0].ended_at) == (RunOutcome.REPLACED, T(5))
    assert record.is_under_way


def test_counts_may_be_mended_but_not_the_end():
    ended = JobRecord().begun(T(1), RunCause.CREATED).counted(1, 1, T(2))
    assert ended.newest is not None
    assert ended.newest.outcome is RunOutcome.FAILED
    mended = ended.counted(2, 0, T(9))
    assert mended.newest is not None
    assert (mended.newest.outcome, mended.newest.ended_at) == (RunOutcome.COMPLETED, T(2))
    assert not mended.is_under_way


def skipped(at: float) -> JobRun:
    return JobRun(cause=RunCause.SCHEDULE, outcome=RunOutcome.SKIPPED, started_at=T(at))


def test_successive_due_times_without_a_run_are_one_note():
    record = JobRecord().begun(T(0), RunCause.SCHEDULE)
    for at in (1, 2, 3):
        record = record.not_begun(skipped(at))
    assert len(record.runs) == 2
    assert (record.runs[1].times, record.runs[1].started_at) == (3, T(1))


def test_only_so_many_runs_are_kept_and_always_the_newest_that_was_begun():
    record = JobRecord()
    for at in range(50):
        record = record.begun(T(at), RunCause.SCHEDULE)
    assert len(record.runs) == RUNS_KEPT
    assert record.newest is record.runs[-1]
    for at in range(50):
        record = record.not_begun(skipped(at))
        missed = JobRun(outcome=RunOutcome.MISSED, started_at=T(at))
        record = record.not_begun(missed)
    assert len(record.runs) == RUNS_KEPT
    assert record.newest is not None
    assert record.counted(1, 0, T(99)).newest.completed == 1
