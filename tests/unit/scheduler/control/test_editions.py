"""An answer is of the edition before exactly while nothing that it shows has changed."""

import asyncio
from dataclasses import replace

import pytest

from berth.answer_memory import AnswerMemory
from berth.client import ControlClient
from berth.clock import SystemClock
from berth.model.ids import NodeId, ServiceId
from berth.model.task import TaskState, TaskStatus
from berth.v1 import control_pb2 as pb
from scheduler.control.editions import NODES_SHOWN_MAX, Editions, shown_nodes
from scheduler.control.in_process import OwnCalls
from scheduler.core import commands
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import leading, serving

WEB = ServiceId("web")


def test_an_edition_lasts_until_something_else_is_shown() -> None:
    editions = Editions("m")
    first = editions.of(b"a", (1, "x"))
    assert editions.of(b"a", (1, "x")) == first
    second = editions.of(b"a", (2, "x"))
    assert editions.of(b"a", (1, "x")) not in (first, second)  # Nobody knows what was between.
    assert editions.of(b"b", (1, "x")) != first


def test_a_makers_editions_are_its_own_and_few_are_kept() -> None:
    editions = Editions("m", room=2)
    assert editions.of(b"a", ()) != Editions("n").of(b"a", ())
    kept = [editions.of(key, ()) for key in (b"1", b"2", b"3")]
    assert editions.of(b"3", ()) == kept[2]
    assert editions.of(b"1", ()) != kept[0]


def test_long_lists_have_no_edition() -> None:
    assert shown_nodes([None] * (NODES_SHOWN_MAX + 1)) is None  # type: ignore[list-item]
    assert Editions("m").of(b"a", None) == ""


def report(led, state: TaskState, **fields) -> None:
    session = led.leader.sessions[NodeId("n1")]
    tasks = led.leader.state.node_tasks[NodeId("n1")]
    led.report(session, *(TaskStatus(task.id, state, **fields) for task in tasks))


def respec(led, **fields) -> None:
    service = led.leader.state.services[WEB]
    spec = a_spec("web", **fields)
    commands.update_service(led.leader.state, service, spec, 0, b"", led.leader.now())


CHANGES = {
    "a task runs": (lambda led: report(led, TaskState.RUNNING, container_id="c"), "tasks"),
    "a task fails": (lambda led: report(led, TaskState.FAILED, error="boom"), "tasks"),
    "the same state says more": (
        lambda led: report(led, TaskState.PREPARING, message="pulling: 50 %"),
        "tasks",
    ),
    "more replicas": (lambda led: respec(led, replicas=3), "services"),
    "another image": (lambda led: respec(led, replicas=2, image="app:2"), "services"),
    "a node joins": (lambda led: led.join("n2"), "nodes"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_an_answer_changes_its_edition(change) -> None:
    async def story() -> None:
        async with leading(SystemClock()) as led, serving("s1") as one, serving("s2") as two:
            one.leads(led)
            for scheduler in (one, two):
                scheduler.knows(one)
            clients = [
                ControlClient.over(OwnCalls(s.forwarder, s.service), SystemClock(), AnswerMemory())
                for s in (one, two)
            ]
            plain = ControlClient.over(OwnCalls(one.forwarder, one.service), SystemClock())
            led.join("n1")
            spec = a_spec("web", replicas=2)
            await led.leader.perform(
                lambda state, now: commands.create_service(state, WEB, spec, b"", now)
            )
            report(led, TaskState.PREPARING, message="pulling")
            for client in clients:
                before = await asked(client)
                assert all(a is b for a, b in zip(await asked(client), before, strict=True))
            act, kind = CHANGES[change]
            act(led)
            await led.leader.settled()
            for client in clients:
                after = await asked(client)
                index = ("services", "tasks", "nodes").index(kind)
                assert after[index] != before[index]
                assert [without_ages(each) for each in after] == [
                    without_ages(each) for each in await asked(plain)
                ]

    asyncio.run(story())


async def asked(client):
    return [
        await client.list_services(["web"]),
        await client.list_tasks(services=["web"]),
        await client.list_nodes(),
    ]


def without_ages(values):
    return [without_age(value) for value in values]


def without_age(value):
    if hasattr(value, "heard_age_s"):
        return value.node
    if hasattr(value, "is_history"):
        return replace(value, status=replace(value.status, state_age_s=0.0))
    return value


def test_who_has_the_edition_is_told_that_and_nothing_else() -> None:
    async def story() -> None:
        async with leading(SystemClock()) as led, serving("s1") as one:
            one.leads(led)
            one.knows(one)
            calls = OwnCalls(one.forwarder, one.service)
            led.join("n1")
            await led.leader.settled()
            first = await calls.call("ListNodes", pb.ListNodesRequest())
            again = await calls.call("ListNodes", pb.ListNodesRequest(known_edition=first.edition))
            assert first.edition
            assert not first.is_unchanged
            assert again == pb.ListNodesResponse(edition=first.edition, is_unchanged=True)
            other = await calls.call("ListNodes", pb.ListNodesRequest(known_edition="older"))
            assert len(other.nodes) == 1

    asyncio.run(story())


def test_of_a_cluster_of_any_size_the_nodes_are_not_told_again() -> None:
    async def story() -> None:
        async with leading(SystemClock()) as led, serving("s1") as one:
            one.leads(led)
            one.knows(one)
            for number in range(2500):
                led.join(f"n{number}")
            await led.leader.settled()
            client = ControlClient.over(
                OwnCalls(one.forwarder, one.service), SystemClock(), AnswerMemory()
            )
            first = await client.list_nodes()
            assert len(first) == 2500
            assert await client.list_nodes() is first

    asyncio.run(story())
