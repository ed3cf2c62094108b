"""Services are listed by what is counted as it happens: nobody goes through their tasks for it."""

import asyncio
import json
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from berth.answer_memory import AnswerMemory
from berth.client import ControlClient
from berth.clock import SystemClock
from berth.model.ids import NodeId, ServiceId
from berth.model.instant import Instant
from berth.model.node import NodeState
from gateway.app import docker_app
from gateway.config import GatewaySettings
from gateway.connect import open_gateway
from gateway.doors import local_door
from scheduler.control.editions import shown_services
from scheduler.control.endpoints import published_at
from scheduler.control.in_process import OwnCalls
from scheduler.control.views import iter_services
from scheduler.core import commands
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import leading, serving
from tests.unit.scheduler.control.test_pieces import get
from tests.unit.scheduler.core.world import World

SERVICES, TASKS = 1000, 100


class Untouched(dict):
    """Tasks by slot that nobody may go through."""

    def __iter__(self):
        raise AssertionError("somebody goes through the tasks of a service")

    keys = values = items = __iter__


def a_world(port: int = 8080) -> World:
    """Two services of three tasks on three nodes, of which the first publishes a port."""
    world = World()
    for number, name in enumerate(("web", "db")):
        world.create(a_spec(name, replicas=3, port=0 if number else port))
    world.settle()
    for node in world.nodes:
        known = world.state.nodes[NodeId(node)]
        address = f"192.0.2.{node[1:]}"
        moved = replace(known, description=replace(known.description, address=address))
        world.state.put_node(moved, accepting=True, why_not="")
    return world


def test_neither_the_list_nor_its_edition_looks_at_a_task() -> None:
    world = a_world()
    services = list(world.state.services.values())
    for service in services:
        service.slots = Untouched(service.slots)
    shown_services(world.state, services)
    views = list(iter_services(world.state, services))
    assert [(view.running_tasks, view.desired_tasks) for view in views] == [(3, 3), (3, 3)]
    assert [list(view.published_at) for view in views] == [
        [],
        ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
    ]


def fail_one(world: World) -> None:
    world.fail(world.running()[0])


def move_a_node(world: World) -> None:
    node = world.state.nodes[NodeId("n2")]
    moved = replace(node, description=replace(node.description, address="192.0.2.9"))
    world.state.put_node(moved, accepting=True, why_not="")


def lose_a_node(world: World) -> None:
    node = replace(world.state.nodes[NodeId("n2")], state=NodeState.DOWN)
    world.state.put_node(node, accepting=False, why_not="down")


@pytest.mark.parametrize("change", [fail_one, move_a_node, lose_a_node])
def test_whatever_changes_where_ports_answer_changes_the_edition(change) -> None:
    world = a_world()
    service = world.service()
    before, at = shown_services(world.state, [service]), published_at(world.state, service)
    assert shown_services(world.state, [service]) == before
    change(world)
    assert published_at(world.state, service) != at
    assert shown_services(world.state, [service]) != before


def test_a_service_without_ports_is_the_same_wherever_its_nodes_are() -> None:
    world = a_world()
    service = world.service("db")
    before = shown_services(world.state, [service])
    move_a_node(world)
    assert shown_services(world.state, [service]) == before


class CountedClock(SystemClock):
    """Each look at it shows that a slice is over; counts the pauses."""

    def __init__(self) -> None:
        self.at = 0.0
        self.pauses = 0

    def instant(self) -> Instant:
        self.at += 0.001
        return Instant(self.at)

    async def sleep(self, delay_s: float) -> None:
        self.pauses += 1
        await asyncio.sleep(0)


@pytest.mark.parametrize("asked", ["leader", "follower"])
def test_a_thousand_services_of_a_hundred_tasks_are_listed_in_slices(asked: str) -> None:
    async def story() -> None:
        async with leading(SystemClock()) as led, serving("s1") as one, serving("s2") as two:
            one.leads(led)
            for scheduler in (one, two):
                scheduler.knows(one)
            state, now = led.leader.state, led.leader.now()
            for number in range(SERVICES):
                service_id = ServiceId(f"{number:04}".ljust(25, "0"))
                spec = a_spec(f"web{number}", replicas=0, port=10_000 + number)
                commands.create_service(state, service_id, spec, b"", now)
                for node in range(TASKS):
                    state.services[service_id].count_running(NodeId(f"n{node}"), 1)
                if number % 100 == 0:
                    await led.leader.settled()
            target = one if asked == "leader" else two
            calls, clock = OwnCalls(target.forwarder, target.service), CountedClock()
            gateway = open_gateway(
                GatewaySettings("s1", "1", ""),
                ControlClient.over(calls, clock, AnswerMemory()),
                CollectorRegistry(),
                clock,
            )
            app = local_door(docker_app(gateway))
            sizes, text, _ = await get(app, "/services", b"status=true")
            listed = json.loads(text)
            assert len(listed) == SERVICES
            assert {each["ServiceStatus"]["RunningTasks"] for each in listed} == {TASKS}
            # Eight are read, chosen or written between two looks at the clock.
            assert len(sizes) >= SERVICES // 8
            assert max(sizes) < len(text) / 50
            assert clock.pauses >= 3 * (SERVICES // 8 - 1)

    asyncio.run(story())
