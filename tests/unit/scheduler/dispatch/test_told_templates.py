"""What is told of a template is what it is now, though most entries were made for another node."""

from dataclasses import replace

import pytest

from berth.errors import InternalError
from berth.model.ids import ServiceId
from berth.model.network import Network, NetworkSpec
from berth.model.registry_auth import RegistryAuth
from berth.model.service import NetworkAttachment, ServiceSpec
from berth.model.task import Task
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from scheduler.core import commands
from scheduler.dispatch.told_templates import ToldTemplates
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World


@pytest.fixture
def world() -> World:
    return World()


def a_task(world: World, spec: ServiceSpec, sealed_auth: bytes = b"") -> Task:
    service = ServiceId(spec.name)
    commands.create_service(world.state, service, spec, sealed_auth, world.now)
    world.settle()
    return next(task for task in world.state.tasks.values() if task.service_id == service)


def no_credentials(sealed: bytes, context: bytes) -> RegistryAuth | None:
    assert not sealed
    return None


def read(entry: bytes) -> types_pb2.TaskTemplate:
    (template,) = pb.Assignments.FromString(entry).templates
    return template


def test_a_template_is_made_once_until_its_service_changes(world: World) -> None:
    told = ToldTemplates(world.state, no_credentials)
    spec = a_spec(image="app:1")
    task = a_task(world, spec)
    first = told.entry(task)
    assert read(first).task.container.image == "app:1"
    assert told.entry(task) is first
    world.update("web", replace(spec, labels={"a": "b"}))
    assert read(told.entry(task)).service_labels == {"a": "b"}


def test_a_network_that_came_later_is_told(world: World) -> None:
    told = ToldTemplates(world.state, no_credentials)
    spec = a_spec()
    attached = replace(spec.task, networks=(NetworkAttachment("front"),))
    task = a_task(world, replace(spec, task=attached))
    assert not read(told.entry(task)).networks
    world.state.networks["front"] = Network(NetworkSpec("front"))
    assert [network.spec.name for network in read(told.entry(task)).networks] == ["front"]


def test_credentials_are_opened_once_for_a_slice_and_not_kept(world: World) -> None:
    opened: list[bytes] = []

    def unseal(sealed: bytes, context: bytes) -> RegistryAuth | None:
        opened.append(sealed)
        return RegistryAuth(username=f"user-{len(opened)}")

    told = ToldTemplates(world.state, unseal)
    task = a_task(world, a_spec(), b"sealed")
    assert [read(told.entry(task)).registry_auth.username for _ in range(2)] == ["user-1"] * 2
    told.forget_credentials()
    assert read(told.entry(task)).registry_auth.username == "user-2"
    assert opened == [b"sealed"] * 2


def test_credentials_that_cannot_be_read_are_tried_again(world: World) -> None:
    failures = [InternalError("the key is not there yet")]

    def unseal(sealed: bytes, context: bytes) -> RegistryAuth | None:
        if failures:
            raise failures.pop()
        return RegistryAuth(username="user")

    told = ToldTemplates(world.state, unseal)
    task = a_task(world, a_spec(), b"sealed")
    assert not read(told.entry(task)).HasField("registry_auth")
    told.forget_credentials()
    assert read(told.entry(task)).registry_auth.username == "user"


def test_no_more_is_kept_than_there_is_room(world: World) -> None:
    told = ToldTemplates(world.state, no_credentials, room=1)
    one, other = a_task(world, a_spec("one")), a_task(world, a_spec("other"))
    first = told.entry(one)
    told.entry(other)
    again = told.entry(one)
    assert again == first
    assert again is not first
