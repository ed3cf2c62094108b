"""Services as Docker's clients read them: what jobs have that others have not."""

from dataclasses import replace

from berth.model.ids import ServiceId
from berth.model.instant import Timestamp
from berth.model.service import RestartCondition, RestartPolicy
from berth.views import JobStatus, ServiceView
from gateway.translate.defaults import settled, with_defaults
from gateway.translate.services import write_service
from gateway.translate.spec_in import read_service_spec
from tests.builders import a_global_job, a_job, a_spec

RAN = JobStatus(iteration=3, last_execution=Timestamp(1.8e9))


def test_a_job_has_what_the_docker_cli_follows_without_looking():
    view = ServiceView(
        ServiceId("s"), spec=a_job(5, 2), job=RAN, desired_tasks=2, completed_tasks=5
    )
    written = write_service(view, with_status=True)
    assert written["JobStatus"]["JobIteration"] == {"Index": 3}
    assert written["JobStatus"]["LastExecution"].startswith("2027-")
    mode = written["Spec"]["Mode"]["ReplicatedJob"]
    assert mode == {"MaxConcurrent": 2, "TotalCompletions": 5}
    assert written["ServiceStatus"] == {"RunningTasks": 0, "DesiredTasks": 2, "CompletedTasks": 5}
    assert "UpdateStatus" not in written


def test_a_client_does_not_wait_for_a_job_that_runs_by_the_clock():
    waits = ServiceView(ServiceId("s"), spec=a_job(), job=JobStatus(awaits_schedule=True))
    status = write_service(waits)["UpdateStatus"]
    assert (status["State"], "when it is due" in status["Message"]) == ("completed", True)
    assert "LastExecution" not in write_service(waits)["JobStatus"]


def test_other_services_have_no_job_status():
    assert "JobStatus" not in write_service(ServiceView(ServiceId("s"), spec=a_spec()))


def test_defaults_of_a_job_may_be_sent_back_and_change_nothing():
    for spec in (a_job(), a_global_job()):
        shown = write_service(ServiceView(ServiceId("s"), spec=spec), insert_defaults=True)["Spec"]
        assert shown["TaskTemplate"]["RestartPolicy"]["Condition"] == "on-failure"
        assert "UpdateConfig" not in shown
        assert settled(read_service_spec(shown), spec) == spec


def test_another_policy_of_a_job_is_taken_as_sent():
    changed = with_defaults(a_job())
    policy = RestartPolicy(RestartCondition.NONE, delay_s=5.0, max_attempts=0)
    changed = replace(changed, task=replace(changed.task, restart=policy))
    assert settled(changed, a_job()).task.restart.condition is RestartCondition.NONE
