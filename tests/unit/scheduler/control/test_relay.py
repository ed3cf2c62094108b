"""Logs come from every node that can tell, and a reading always ends."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import grpc.aio
import pytest

from berth.clock import SystemClock
from berth.errors import InvalidRequestError, NotFoundError, UnavailableError
from berth.model.node import NodeState
from berth.model.task import TaskState, TaskStatus
from berth.v1 import control_pb2 as pb
from berth.v1 import control_pb2_grpc, streams_pb2, streams_pb2_grpc
from berth.wire.status import error_from_rpc
from scheduler.control.log_reading import Funnel
from scheduler.control.relay import LOOK_PERIOD_S
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import DIGEST_A, create, leading, serving

Chunk, Line = streams_pb2.LogChunk, streams_pb2.LogLine


class Agent:
    """Takes LogRequests from its session's outbox and publishes what the test says."""

    def __init__(self, led, scheduler, node):
        self.node = node
        self.session = led.join(node)
        self._stub = streams_pb2_grpc.StreamsStub(scheduler.channel)
        self._requests = []

    async def next_request(self):
        while not self._requests:
            await self.session.outbox.wait_ready()
            self._requests += [
                message.log_request
                for message in self.session.outbox.take()
                if message.HasField("log_request")
            ]
        return self._requests.pop(0)

    async def publish(self, request, *chunks, done=True):
        async def answer():
            yield Chunk(request_id=request.request_id, node_id=self.node)
            for chunk in chunks:
                yield chunk
            if done:
                yield Chunk(done=True)

        await self._stub.PublishLogs(answer())

    def open(self):
        """Begin an answer that the test writes by hand."""
        return self._stub.PublishLogs()


def scenario_of(scenario, *, nodes=("n1", "n2"), replicas=2, settle=True, silence_s=5.0):
    """Run `scenario(scheduler, led, agents, by_slot)` with a service `web` that runs."""

    async def run():
        async with AsyncExitStack() as stack:
            led = await stack.enter_async_context(leading(SystemClock()))
            leader = await stack.enter_async_context(serving("s1", silence_s=silence_s))
            leader.registry.push("app:1", DIGEST_A)
            leader.leads(led)
            agents = {node: Agent(led, leader, node) for node in nodes}
            stub = control_pb2_grpc.ControlStub(leader.channel)
            await stub.CreateService(create(a_spec(replicas=replicas)))
            if settle:
                await led.leader.settled()
                led.run_all()
                await led.leader.settled()
            by_slot = {task.slot: task for task in led.leader.state.tasks.values()}
            await scenario(leader, led, agents, by_slot)

    asyncio.run(asyncio.wait_for(run(), 120))


def read(scheduler, name="web", **fields):
    fields = {"stdout": True, "stderr": True, "tail": -1, **fields}
    request = pb.ServiceLogsRequest(name=name, **fields)
    return control_pb2_grpc.ControlStub(scheduler.channel).ServiceLogs(request)


async def all_of(call):
    lines, errors = [], []
    try:
        async for chunk in call:
            lines += [(line.task_id, line.data) for line in chunk.lines]
            if chunk.error:
                errors.append(chunk.error)
    except grpc.aio.AioRpcError as error:
        raise error_from_rpc(error) from error
    return lines, errors


def line(task, text, time_ns=1):
    return Line(task_id=task.id, time_ns=time_ns, data=text.encode())


def test_lines_of_all_nodes_come_together_and_the_reading_ends_with_the_last():
    async def scenario(leader, led, agents, by_slot):
        reading = asyncio.ensure_future(all_of(read(leader, tail=7, since=5.5)))
        for slot, task in by_slot.items():
            agent = agents[task.node_id]
            request = await agent.next_request()
            assert list(request.task_ids) == [task.id]
            assert (request.tail, request.since, request.follow) == (7, 5.5, False)
            assert (request.stdout, request.stderr) == (True, True)
            await agent.publish(request, Chunk(lines=[line(task, f"from {slot}\n")]))
        lines, errors = await reading
        assert sorted(lines) == sorted(
            (task.id, f"from {slot}\n".encode()) for slot, task in by_slot.items()
        )
        assert errors == []

    scenario_of(scenario)


def test_another_scheduler_passes_the_stream_on():
    async def scenario(leader, led, agents, by_slot):
        async with serving("s2") as follower:
            follower.knows(leader)
            reading = asyncio.ensure_future(all_of(read(follower, name="web.1")))
            task = by_slot[1]
            agent = agents[task.node_id]
            await agent.publish(await agent.next_request(), Chunk(lines=[line(task, "hello")]))
            assert await reading == ([(task.id, b"hello")], [])

    scenario_of(scenario)


def test_a_node_that_is_not_connected_is_named_and_the_others_go_on():
    async def scenario(leader, led, agents, by_slot):
        gone, there = by_slot[1].node_id, by_slot[2].node_id
        led.leader.desk.leave(agents[gone].session)
        reading = asyncio.ensure_future(all_of(read(leader)))
        request = await agents[there].next_request()
        await agents[there].publish(request, Chunk(lines=[line(by_slot[2], "x")]))
        lines, errors = await reading
        assert lines == [(by_slot[2].id, b"x")]
        (error,) = errors
        assert error.startswith(f"node {gone} is disconnected")
        assert "web.1" in error

    scenario_of(scenario)


def test_a_connected_node_that_says_nothing_is_given_up():
    async def scenario(leader, led, agents, by_slot):
        lines, errors = await all_of(read(leader))
        assert lines == []
        assert errors == ["node n1 has not answered for 0.3 s"]
        asked, cancelled = [await agents["n1"].next_request() for _ in range(2)]
        assert cancelled.cancel
        assert cancelled.request_id == asked.request_id

    scenario_of(scenario, nodes=("n1",), silence_s=0.3)


def test_an_answer_that_breaks_off_is_said_to():
    async def scenario(leader, led, agents, by_slot):
        reading = aiter(read(leader))
        half = asyncio.ensure_future(anext(reading))
        request = await agents["n1"].next_request()
        call = agents["n1"].open()
        await call.write(Chunk(request_id=request.request_id, lines=[line(by_slot[1], "half")]))
        assert [each.data for each in (await half).lines] == [b"half"]
        call.cancel()
        assert await all_of(reading) == ([], ["node n1 broke off its answer"])

    scenario_of(scenario, nodes=("n1",))


def test_following_picks_up_tasks_that_come_later_and_ends_with_its_reader():
    async def scenario(leader, led, agents, by_slot):
        agent = agents["n1"]
        call = read(leader, follow=True, tail=3)
        first = await agent.next_request()
        assert (first.follow, first.tail) == (True, 3)
        one = agent.open()
        await one.write(Chunk(request_id=first.request_id, lines=[line(by_slot[1], "a")]))
        assert (await call.read()).lines[0].data == b"a"
        state = led.leader.state
        led.report(agent.session, TaskStatus(by_slot[1].id, TaskState.FAILED, error="boom"))
        await led.leader.settled()
        for _ in range(200):
            await asyncio.sleep(0.05)
            newer = [t for t in state.tasks.values() if t.attempt == 2 and t.node_id]
            if newer:
                break
        led.report(agent.session, TaskStatus(newer[0].id, TaskState.STARTING))
        second = await agent.next_request()
        assert list(second.task_ids) == [newer[0].id]
        assert (second.follow, second.tail, second.since) == (True, -1, 0.0)
        call.cancel()
        gone = {(await agent.next_request()).request_id for _ in range(2)}
        assert gone == {first.request_id, second.request_id}
        one.cancel()

    scenario_of(scenario, nodes=("n1",), replicas=1)


def test_following_goes_on_where_it_was_when_a_node_returns():
    async def scenario(leader, led, agents, by_slot):
        agent, task = agents["n1"], by_slot[1]
        call = read(leader, follow=True)
        first = await agent.next_request()
        one = agent.open()
        at = 1_700_000_000_000_000_000
        await one.write(Chunk(request_id=first.request_id, lines=[line(task, "a", at)]))
        assert (await call.read()).lines[0].data == b"a"
        led.leader.desk.leave(agent.session)
        assert "not connected any more" in (await call.read()).error
        agent.session = led.join("n1", TaskStatus(task.id, TaskState.RUNNING))
        again = await agent.next_request()
        assert again.request_id != first.request_id
        assert (again.tail, again.since) == (-1, pytest.approx(at / 1e9))
        two = agent.open()
        seen_and_new = [line(task, "a", at), line(task, "b", at + 1)]
        await two.write(Chunk(request_id=again.request_id, lines=seen_and_new))
        assert [found.data for found in (await call.read()).lines] == [b"b"]
        for open_call in (call, one, two):
            open_call.cancel()

    scenario_of(scenario, nodes=("n1",), replicas=1)


def test_finished_tasks_are_asked_for_too_and_what_is_gone_of_them_is_no_error():
    async def scenario(leader, led, agents, by_slot):
        agent, task = agents["n1"], by_slot[1]
        status = TaskStatus(task.id, TaskState.FAILED, container_id="c", ran_s=1.0)
        led.report(agent.session, status)
        await led.leader.settled()
        await led.leader.settled()
        reading = asyncio.ensure_future(all_of(read(leader)))
        request = await agent.next_request()
        assert list(request.task_ids) == [task.id]
        await agent.publish(request, Chunk(error="its container is gone"))
        assert await reading == ([], [])
        reading = asyncio.ensure_future(all_of(read(leader, name=task.id)))
        await agent.publish(await agent.next_request(), Chunk(error="its container is gone"))
        assert await reading == ([], ["its container is gone"])

    scenario_of(scenario, nodes=("n1",), replicas=1)


def test_what_makes_no_sense_is_refused():
    async def scenario(leader, led, agents, by_slot):
        with pytest.raises(NotFoundError):
            await all_of(read(leader, name="nobody"))
        with pytest.raises(InvalidRequestError, match="stdout"):
            await all_of(read(leader, stdout=False, stderr=False))
        with pytest.raises(NotFoundError, match="has no container"):
            await all_of(read(leader, name="web.1"))

    scenario_of(scenario, settle=False)


def test_a_reading_ends_with_the_leadership():
    async def scenario(leader, led, agents, by_slot):
        call = read(leader, follow=True)
        request = await agents["n1"].next_request()
        one = agents["n1"].open()
        await one.write(Chunk(request_id=request.request_id, lines=[line(by_slot[1], "a")]))
        await call.read()
        leader.leads(None)
        with pytest.raises(grpc.aio.AioRpcError, match="leader changed") as caught:
            await call.read()
        assert isinstance(error_from_rpc(caught.value), UnavailableError)
        one.cancel()

    scenario_of(scenario, nodes=("n1",), replicas=1)


def test_who_follows_hears_nothing_of_nodes_that_a_new_leader_still_awaits():
    async def scenario(leader, led, agents, by_slot):
        led.leader.desk.leave(agents["n1"].session)
        state = led.leader.state
        awaited = replace(state.nodes["n1"], state=NodeState.UNKNOWN)
        state.put_node(awaited, accepting=False, why_not="", save=False)
        call = read(leader, follow=True)
        told = asyncio.ensure_future(call.read())
        await asyncio.sleep(2 * LOOK_PERIOD_S)
        assert not told.done(), "it is not lost"
        back = Agent(led, leader, "n1")
        request = await back.next_request()
        assert list(request.task_ids) == [by_slot[1].id]
        one = back.open()
        await one.write(Chunk(request_id=request.request_id, lines=[line(by_slot[1], "a")]))
        assert [each.data for each in (await told).lines] == [b"a"]
        call.cancel()
        one.cancel()

    scenario_of(scenario, nodes=("n1",), replicas=1)


def test_an_answer_that_nobody_waits_for_is_ended_at_once():
    async def scenario(leader, led, agents, by_slot):
        call = agents["n1"].open()
        await call.write(Chunk(request_id="unknown"))
        assert await asyncio.wait_for(call.code(), 60) is grpc.StatusCode.OK

    scenario_of(scenario, nodes=("n1",))


def test_a_slow_user_holds_the_agent_back_and_leaving_lets_it_go():
    async def run():
        funnel = Funnel(limit=2)
        assert await funnel.put(Chunk(error="1"))
        assert await funnel.put(Chunk(error="2"))
        waiting = asyncio.ensure_future(funnel.put(Chunk(error="3")))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert (await funnel.take(1)).error == "1"
        assert await waiting
        waiting = asyncio.ensure_future(funnel.put(Chunk(error="4")))
        await asyncio.sleep(0.01)
        funnel.close()
        assert not await waiting
        assert [(await funnel.take(1)).error for _ in range(2)] == ["2", "3"]
        assert await funnel.take(0.01) is None

    asyncio.run(run())
