"""What a task asks for, and where the most is free."""

import pytest

from berth.model.node import Availability, NodeSpec
from scheduler.control.room_words import room_words
from scheduler.core import commands
from scheduler.core.placement.filters import FilterKind
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

GIB = 2**30


@pytest.fixture
def world() -> World:
    return World()


def words(world: World, kind: FilterKind) -> str:
    service = world.service("big")
    return room_words(world.state, service.demand(service.record.live_version), kind)


def drain(world: World, name: str) -> None:
    known = world.state.nodes[name]
    spec = NodeSpec(known.spec.labels, Availability.DRAIN)
    commands.update_node(world.state, known, spec, 0, world.now)


def test_the_roomiest_node_that_takes_tasks_is_named(world: World) -> None:
    world.create(a_spec("first", replicas=1, cpus=1, constraints=("node.hostname==n2",)))
    world.create(a_spec("big", replicas=1, cpus=8.5, memory=64 * GIB))
    world.settle()
    drain(world, "n1")
    drain(world, "n3")
    cpu = words(world, FilterKind.CPU)
    assert cpu == "a task asks for 8.5 CPU; most is free on n2: 3 CPU of 4 CPU"
    assert words(world, FilterKind.MEMORY).startswith("a task asks for 64GiB; most is free on n2: ")


def test_nothing_is_said_where_room_is_not_the_matter_or_no_node_takes_tasks(world: World) -> None:
    world.create(a_spec("big", replicas=1, cpus=8))
    world.settle()
    assert words(world, FilterKind.PLATFORM) == ""
    for name in ("n1", "n2", "n3"):
        drain(world, name)
    assert words(world, FilterKind.CPU) == ""
