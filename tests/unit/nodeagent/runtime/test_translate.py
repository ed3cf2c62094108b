"""Every field of a task's spec, as the Engine is told it: golden cases."""

from dataclasses import fields

import pytest

from berth.errors import InvalidRequestError
from berth.model.service import (
    BindOptions,
    ContainerSpec,
    DnsConfig,
    EndpointSpec,
    HealthCheck,
    Mount,
    MountType,
    PortSpec,
    Privileges,
    PublishMode,
    TaskSpec,
    TmpfsOptions,
    VolumeOptions,
)
from nodeagent.runtime.translate import NOT_IN_BODY, container_name, to_create_call
from nodeagent.runtime.translate_host import EngineTraits
from tests.fakes.runtime_tasks import NODE, a_runtime_task
from tests.unit.nodeagent.runtime.golden_bodies import CONTAINER_CASES, PLAIN, TASK_CASES, TASK_ID

OLD = EngineTraits((1, 41))
NEW = EngineTraits((1, 51))


def flat(body):
    """Return the body with the host's part beside it, so that a case names what it adds."""
    rest = {key: value for key, value in body.items() if key != "HostConfig"}
    return rest | {f"HostConfig.{key}": value for key, value in body["HostConfig"].items()}


def cases(table):
    return [
        pytest.param(name, value, adds, id=f"{name} {number}")
        for name, examples in table.items()
        for number, (value, adds) in enumerate(examples)
    ]


def test_a_task_that_says_nothing_leaves_everything_to_image_and_engine():
    call = to_create_call(a_runtime_task(), "busybox:1", OLD)
    assert call.body == PLAIN
    assert call.name == f"web.1.{TASK_ID}"


@pytest.mark.parametrize(("name", "value", "adds"), cases(CONTAINER_CASES))
def test_container_field(name, value, adds):
    said = {name: value} if name != "image" else {}
    image = value if name == "image" else "busybox:1"
    task = a_runtime_task(image, **said)
    assert flat(to_create_call(task, image, OLD).body) == flat(PLAIN) | adds


@pytest.mark.parametrize(("name", "value", "adds"), cases(TASK_CASES))
def test_task_field(name, value, adds):
    task = a_runtime_task(task=TaskSpec(**{name: value}))
    assert flat(to_create_call(task, "busybox:1", OLD).body) == flat(PLAIN) | adds


def test_every_field_has_a_golden_case():
    of_container = {one.name for one in fields(ContainerSpec)} - set(NOT_IN_BODY)
    assert of_container == set(CONTAINER_CASES)
    of_task = {one.name for one in fields(TaskSpec)} - set(NOT_IN_BODY) - {"container"}
    assert of_task == set(TASK_CASES)


@pytest.mark.parametrize(
    "kind",
    [HealthCheck, BindOptions, VolumeOptions, TmpfsOptions, Mount, DnsConfig, Privileges],
)
def test_every_field_of_the_parts_is_in_some_golden_case(kind):
    """Guard against a new option that nobody translates: some case must set it."""
    set_somewhere = set()
    for part in _parts_of_cases():
        if isinstance(part, kind):
            default = kind()
            set_somewhere |= {
                one.name
                for one in fields(kind)
                if getattr(part, one.name) != getattr(default, one.name)
            }
    forgotten = {one.name for one in fields(kind)} - set_somewhere
    # A bind is what a mount is when nothing is said.
    assert forgotten <= {"type"}


def _parts_of_cases():
    for examples in CONTAINER_CASES.values():
        for value, _ in examples:
            for part in value if isinstance(value, tuple) else (value,):
                yield part
                if isinstance(part, Mount):
                    yield from (part.bind, part.volume, part.tmpfs)


def test_ports_are_bound_on_the_node_in_either_mode():
    endpoint = EndpointSpec(
        ports=(
            PortSpec("web", "tcp", 80, 8080),
            PortSpec("web", "tcp", 80, 8081),
            PortSpec("dns", "udp", 53, 0),
            PortSpec("mesh", "tcp", 90, 9090, PublishMode.INGRESS),
        )
    )
    body = to_create_call(a_runtime_task(endpoint=endpoint), "busybox:1", OLD).body
    assert body["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}, "90/tcp": {}}
    assert body["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081"}],
        "53/udp": [{"HostPort": ""}],
        "90/tcp": [{"HostPort": "9090"}],
    }


def test_granted_resources_are_told_in_the_environment():
    task = a_runtime_task(of_task={"granted": (("gpu", ("u1", "u2")), ("ssd", ("3",)))})
    environment = to_create_call(task, "busybox:1", OLD).body["Env"]
    assert environment[-2:] == ["DOCKER_RESOURCE_GPU=u1,u2", "DOCKER_RESOURCE_SSD=3"]


def test_a_global_service_has_its_node_for_a_slot():
    task = a_runtime_task(env=("SLOT={{.Task.Slot}}",), of_task={"is_global": True, "slot": 0})
    call = to_create_call(task, "busybox:1", OLD)
    assert call.name == container_name(task) == f"web.{NODE}.{task.task_id}"
    assert call.body["Env"][0] == f"SLOT={NODE}"
    assert call.body["Labels"]["berth.slot"] == "0"


def test_a_newer_engine_makes_mount_points_itself():
    mount = Mount(MountType.BIND, "/new", "/data", bind=BindOptions(create_mountpoint=True))
    config = to_create_call(a_runtime_task(mounts=(mount,)), "busybox:1", NEW).body["HostConfig"]
    assert "Binds" not in config
    assert config["Mounts"][0]["BindOptions"] == {"CreateMountpoint": True}


def test_templates_know_the_platform():
    task = a_runtime_task(
        env=("P={{.Node.Platform.OS}}/{{.Node.Platform.Architecture}}",),
        of_task={"node_platform": "linux/arm64/v8"},
    )
    assert to_create_call(task, "busybox:1", OLD).body["Env"][0] == "P=linux/arm64"


def test_a_bad_template_is_refused_by_name():
    task = a_runtime_task(env=("A={{.Task.Nmae}}",))
    with pytest.raises(InvalidRequestError, match=r"\.Task\.Nmae"):
        to_create_call(task, "busybox:1", OLD)
