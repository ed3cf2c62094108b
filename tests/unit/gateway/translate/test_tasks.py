from dataclasses import replace

import pytest

from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.task import TaskState, TaskStatus
from berth.views import GrantedResource, TaskView
from gateway.translate.tasks import write_task


def a_task(state=TaskState.RUNNING, *, desired=TaskState.RUNNING, **fields):
    status = {
        key: fields.pop(key) for key in ("error", "message", "ports", "exit_code") if key in fields
    }
    task = TaskId("t1")
    return TaskView(
        id=task,
        service_id=ServiceId("s1"),
        node_id=NodeId("n1"),
        service_name="web",
        slot=3,
        desired=desired,
        status=TaskStatus(task, state, **status),
        image="app:1",
        **fields,
    )


@pytest.mark.parametrize(
    ("task", "desired"),
    [
        (a_task(), "running"),
        (a_task(desired=TaskState.READY), "ready"),
        pytest.param(
            a_task(TaskState.FAILED, is_history=True), "shutdown", id="what failed is over"
        ),
        (a_task(TaskState.COMPLETE, desired=TaskState.COMPLETE, is_history=True), "complete"),
        (a_task(TaskState.SHUTDOWN, desired=TaskState.REMOVE, is_history=True), "remove"),
    ],
)
def test_desired_states(task, desired):
    assert write_task(task, None, {})["DesiredState"] == desired


def test_states_are_swarms_words():
    for state in TaskState:
        assert write_task(a_task(state), None, {})["Status"]["State"] == state.name.lower()


def test_why_it_waits_is_shown_where_the_cli_looks():
    status = write_task(a_task(TaskState.PENDING, error="no suitable node"), None, {})["Status"]
    assert status["Err"] == "no suitable node"
    assert "ContainerStatus" not in status


def test_a_task_that_was_told_to_stop_has_no_error():
    task = a_task(TaskState.SHUTDOWN, desired=TaskState.SHUTDOWN, error="a newer task replaces it")
    status = write_task(task, None, {})["Status"]
    assert "Err" not in status
    assert status["Message"] == "a newer task replaces it"


def test_ports_and_granted_resources():
    task = a_task(
        ports=(("tcp", 80, 8080),),
        granted=(GrantedResource("gpu", ("a", "b")), GrantedResource("ssd", ("3",))),
    )
    written = write_task(task, None, {})
    assert written["Status"]["PortStatus"]["Ports"] == [
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"}
    ]
    assert written["GenericResources"] == [
        {"NamedResourceSpec": {"Kind": "gpu", "Value": "a"}},
        {"NamedResourceSpec": {"Kind": "gpu", "Value": "b"}},
        {"DiscreteResourceSpec": {"Kind": "ssd", "Value": 3}},
    ]


def test_a_template_that_is_forgotten_still_has_what_clients_follow_blindly():
    spec = write_task(a_task(), None, {})["Spec"]
    assert spec["ContainerSpec"] == {"Image": "app:1"}
    assert spec["Placement"] == {}


def test_the_version_rises_with_the_state():
    versions = [write_task(a_task(state), None, {})["Version"]["Index"] for state in TaskState]
    assert versions == sorted(versions)


def test_a_jobs_task_names_its_iteration_and_slot_0_is_a_slot():
    task = a_task(TaskState.COMPLETE, desired=TaskState.COMPLETE, is_history=True, job_iteration=2)
    first = replace(task, slot=0, is_numbered=True)
    assert write_task(task, None, {})["JobIteration"] == {"Index": 2}
    assert write_task(first, None, {})["Name"] == "web.0.t1"
    assert "JobIteration" not in write_task(a_task(), None, {})


def test_a_failed_attempt_of_a_job_is_over():
    task = a_task(TaskState.FAILED, desired=TaskState.COMPLETE, is_history=True, job_iteration=0)
    assert write_task(task, None, {})["DesiredState"] == "shutdown"
