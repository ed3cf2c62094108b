"""What a call is told."""

from berth.model.registry_auth import RegistryAuth
from berth.model.service import ContainerSpec, TaskSpec
from berth.model.task import TaskState
from nodeagent.core.calls import effect_of, runtime_task
from nodeagent.core.messages import Call, GrantedResource, TaskAssignment
from nodeagent.core.state import LocalTask, Phase
from tests.unit.nodeagent.core.builders import SERVICE, a_state, a_task, a_template


def test_a_runtime_task_says_everything():
    state = a_state()
    state.node_platform = "linux/amd64"
    auth = RegistryAuth(username="u", password="s3cret", server_address="r.example")
    template = a_template(registry_auth=auth, service_labels={"a": "b"})
    state.templates[template.key] = template
    assignment = TaskAssignment(
        "t1", SERVICE, 3, 1, TaskState.RUNNING, 2, (GrantedResource("gpu", ("g1",)),)
    )
    made = runtime_task(state, LocalTask(assignment, TaskState.RUNNING))
    assert (made.slot, made.attempt, made.epoch, made.cluster_id) == (3, 2, 5, "c1")
    assert (made.node_name, made.node_platform) == ("node-1", "linux/amd64")
    assert made.granted == (("gpu", ("g1",)),)
    assert (made.credentials.username, made.credentials.password) == ("u", "s3cret")
    assert "s3cret" not in repr(made)


def test_without_a_template_nothing_can_be_prepared_but_all_can_be_stopped():
    state, task = a_state(), a_task(TaskState.RUNNING, Phase.UP)
    assert effect_of(state, task, Call.PULL, 1) is None
    assert effect_of(state, task, Call.STOP, 1).grace_s == 10.0


def test_a_stop_has_the_services_grace():
    state, task = a_state(), a_task(TaskState.RUNNING, Phase.UP)
    spec = TaskSpec(container=ContainerSpec(image="app:1", stop_grace_s=33.0))
    state.templates[a_template().key] = a_template(task=spec)
    assert effect_of(state, task, Call.STOP, 1).grace_s == 33.0
