"""What `berth` shows of jobs, and how it waits for them."""

import json
from typing import Any

from berth.model.ids import ServiceId
from berth.model.instant import Timestamp
from berth.model.job import JobRun, RunCause, RunOutcome
from berth.model.service import ModeKind, ServiceMode
from berth.views import JobStatus, ServiceView
from cli.follow import take_snapshot
from cli.job_runs import runs_document, runs_table
from cli.mode_flags import with_job_numbers
from cli.render import replicas_text, table_rows
from cli.spec_flags import spec_from_flags, updated_spec
from tests.builders import a_global_job, a_job
from tests.unit.cli.conftest import Line

T = Timestamp
RUNS = (
    JobRun(0, RunCause.SCHEDULE, RunOutcome.COMPLETED, T(60), T(70), T(60), 5, 0),
    JobRun(
        cause=RunCause.SCHEDULE, outcome=RunOutcome.SKIPPED, started_at=T(120), due_at=T(120),
        times=3, note="run 0 was under way",
    ),
)  # fmt: skip


def a_view(**fields: Any) -> ServiceView:
    return ServiceView(ServiceId("s"), **{"spec": a_job(5, 2), "job": JobStatus(), **fields})


def test_replicas_are_the_completions_of_a_job() -> None:
    given = {"mode": ModeKind.REPLICATED_JOB, "replicas": 5}
    spec = spec_from_flags("app", (), given)
    assert spec.mode == ServiceMode(ModeKind.REPLICATED_JOB, None, 5, 5)
    spec = spec_from_flags("app", (), {**given, "max_concurrent": 2})
    assert spec.mode == ServiceMode(ModeKind.REPLICATED_JOB, None, 2, 5)
    assert updated_spec(spec, {"replicas": 8}).mode.total_completions == 8
    assert updated_spec(spec, {"replicas": 8}).mode.max_concurrent == 2
    assert with_job_numbers(ServiceMode(replicas=3)) == ServiceMode(replicas=3)


def test_a_list_tells_how_far_a_job_is() -> None:
    view = a_view(running_tasks=0, desired_tasks=2, completed_tasks=5)
    assert replicas_text(view) == "0/2 (5/5 completed)"
    view = a_view(spec=a_global_job(), running_tasks=1, desired_tasks=1, completed_tasks=2)
    assert replicas_text(view) == "1/1 (2/3 completed)"


def test_waiting_ends_with_the_run() -> None:
    at_work = take_snapshot(a_view(job=JobStatus(is_under_way=True), completed_tasks=2), [])
    assert (at_work.running, at_work.wanted, at_work.is_completed) == (2, 5, False)
    done = take_snapshot(a_view(completed_tasks=5), [])
    assert (done.is_completed, done.failure, done.ending) == (True, "", "completed")
    failed = take_snapshot(a_view(completed_tasks=3), [])
    assert failed.failure == "run 0 failed: 3 of 5 slots completed"
    waits = take_snapshot(a_view(job=JobStatus(awaits_schedule=True)), [])
    assert (waits.is_completed, waits.failure) == (True, "")
    assert waits.ending == "runs when it is due"


def test_runs_are_listed_newest_first() -> None:
    skipped, first = table_rows(runs_table(RUNS))
    assert (first["Run"], first["Outcome"], first["Completed"]) == ("0", "completed", "5")
    assert (first["Due"], first["Ended"]) == ("1970-01-01T00:01:00Z", "1970-01-01T00:01:10Z")
    assert (skipped["Run"], skipped["Note"]) == ("", "run 0 was under way (3 times)")


def test_programs_get_runs_as_json() -> None:
    document = runs_document(a_view(job=JobStatus(runs=RUNS, next_due_at=T(180))))
    assert document["next_due_at"] == "1970-01-01T00:03:00.000000Z"
    runs = json.loads(json.dumps(document))["runs"]
    assert [run["outcome"] for run in runs] == ["skipped", "completed"]
    assert runs[1]["started_at"] == "1970-01-01T00:01:00.000000Z"


def test_only_jobs_have_runs(berth: Line) -> None:
    assert berth("service", "create", "-d", "--name", "web", "busybox").code == 0
    answer = berth("service", "runs", "web")
    assert answer.code == 1
    assert 'service "web" is replicated; only jobs have runs' in answer.err


def test_only_services_with_a_number_of_tasks_can_be_scaled(berth: Line) -> None:
    create = ("service", "create", "-d", "--mode", "global-job", "--name", "all", "busybox")
    assert berth(*create).code == 0
    assert "only replicated ones can be scaled" in berth("service", "scale", "all=3").err
