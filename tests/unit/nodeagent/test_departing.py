"""A machine goes down: its agent has its tasks moved, and waits no longer than it must."""

import asyncio

import pytest

from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from nodeagent.departing import depart
from tests.unit.nodeagent.bench import Bench, a_task, a_template, virtually

LIMIT_S = 60.0


async def running_one(bench: Bench) -> None:
    await bench.joined()
    bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
    await bench.told("task1", TaskState.RUNNING)


def note(bench: Bench, takers: int) -> None:
    noted = pb.DepartureNoted(takers=takers)
    bench.link.stream.say(pb.SchedulerMessage(epoch=bench.link.epoch, departure_noted=noted))


def asked(bench: Bench) -> int:
    return bench.link.stream.kinds().count("departing")


@virtually
async def test_it_waits_until_the_leader_has_moved_its_tasks():
    bench = Bench()
    async with bench.agent() as agent:
        await running_one(bench)
        leaving = asyncio.ensure_future(depart(agent, bench.clock, LIMIT_S))
        await bench.until(lambda: asked(bench), "a word to the leader")
        note(bench, takers=2)
        await bench.clock.sleep(20)
        assert not leaving.done()
        assert asked(bench) < 3, "an answer ends the asking"
        bench.link.assign(a_task(1, TaskState.SHUTDOWN))
        assert await leaving == "no task is left"
        await agent.stop("gone")
        kinds = bench.link.stream.kinds()
        assert kinds.index("departing") < kinds.index("goodbye")
    assert bench.host.running_tasks() == []


@pytest.mark.parametrize(
    ("takers", "after_s", "why"),
    [
        pytest.param(0, 0, "no other node takes tasks; 1 task left", id="the only node"),
        pytest.param(3, LIMIT_S, "1 task left after 60 s", id="tasks that cannot move"),
    ],
)
def test_it_goes_down_all_the_same(takers, after_s, why):
    @virtually
    async def play():
        bench = Bench()
        async with bench.agent() as agent:
            await running_one(bench)
            begun = bench.clock.instant()
            leaving = asyncio.ensure_future(depart(agent, bench.clock, LIMIT_S))
            await bench.until(lambda: asked(bench), "a word to the leader")
            note(bench, takers)
            assert await leaving == why
            assert after_s <= bench.clock.instant() - begun < after_s + 1
        assert len(bench.host.running_tasks()) == 1, "it is for the leader to end tasks"

    play()


@virtually
async def test_without_a_leader_it_goes_down_after_ten_seconds():
    bench = Bench()
    async with bench.agent() as agent:
        await running_one(bench)
        bench.link.leader = ""
        bench.link.stream.break_off()
        begun = bench.clock.instant()
        assert await depart(agent, bench.clock, LIMIT_S) == "no leader answers; 1 task left"
        assert 10 <= bench.clock.instant() - begun < 11


@virtually
async def test_an_agent_that_still_waits_for_its_engine_begins_nothing_when_it_is_to_leave():
    bench = Bench()
    async with bench.agent():
        await running_one(bench)
        bench.host.stop_engine()
        bench.link.assign(a_task(1, TaskState.SHUTDOWN))
        await bench.clock.sleep(1)
    async with bench.agent() as agent:
        assert await depart(agent, bench.clock, LIMIT_S) == "no leader answers; 1 task left"
        bench.host.start_engine()
        await bench.until(lambda: len(bench.link.streams) == 2, "a session")
        assert bench.link.stream.received[0].hello.departing


@virtually
async def test_a_new_leader_is_told_by_the_hello_and_asked_again():
    bench = Bench()
    async with bench.agent() as agent:
        await running_one(bench)
        leaving = asyncio.ensure_future(depart(agent, bench.clock, LIMIT_S))
        await bench.until(lambda: asked(bench), "a word to the leader")
        note(bench, takers=2)
        await bench.clock.sleep(5)
        bench.link.epoch += 1
        bench.link.stream.break_off()
        await bench.until(lambda: len(bench.link.streams) == 2 and asked(bench), "another word")
        assert bench.link.stream.received[0].hello.departing
        assert not bench.link.streams[0].received[0].hello.departing
        note(bench, takers=0)
        assert await leaving == "no other node takes tasks; 1 task left"


@virtually
async def test_after_the_next_start_nothing_is_left_of_it():
    bench = Bench()
    async with bench.agent() as agent:
        await running_one(bench)
        assert await depart(agent, bench.clock, 0.0) == "1 task left after 0 s"
        await agent.stop("gone")
    async with bench.agent():
        await bench.until(lambda: len(bench.link.streams) == 2, "a session")
        assert not bench.link.stream.received[0].hello.departing
