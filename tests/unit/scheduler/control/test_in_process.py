"""What a scheduler's own gateway asks is answered as gRPC would answer it."""

import asyncio
from contextlib import AsyncExitStack

import grpc
import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass

from berth.answer_memory import AnswerMemory
from berth.client import ControlClient
from berth.clock import SystemClock
from berth.errors import BerthError, NoLeaderError, NotFoundError
from berth.v1 import control_pb2 as pb
from berth.v1 import control_pb2_grpc
from berth.wire.status import error_from_rpc
from scheduler.control.in_process import OwnCalls
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import DIGEST_A, leading, serving

SERVICE = pb.DESCRIPTOR.services_by_name["Control"]
PINNED = f"app@{DIGEST_A}"


def cluster(scenario, *, leader_wait_s=5.0):
    """Run `scenario(leader, follower, led)`: two schedulers, of which the first leads."""

    async def run():
        async with AsyncExitStack() as stack:
            led = await stack.enter_async_context(leading(SystemClock()))
            one, two = [
                await stack.enter_async_context(serving(name, leader_wait_s=leader_wait_s))
                for name in ("s1", "s2")
            ]
            one.leads(led)
            one.knows(one)
            two.knows(one)
            return await scenario(one, two, led)

    return asyncio.run(run())


def client_of(scheduler):
    calls = OwnCalls(scheduler.forwarder, scheduler.service)
    return ControlClient.over(calls, SystemClock(), AnswerMemory())


async def outcome(call):
    """Return the answer, or class and words of the refusal."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        refusal = error_from_rpc(error)
    except BerthError as error:
        refusal = error
    return type(refusal).__name__, refusal.message


def empty(method):
    return GetMessageClass(SERVICE.methods_by_name[method].input_type)()


@pytest.mark.parametrize("method", [m.name for m in SERVICE.methods if not m.server_streaming])
def test_every_call_is_answered_or_refused_alike(method):
    async def scenario(leader, follower, led):
        led.join("n1")
        calls = OwnCalls(leader.forwarder, leader.service)
        forwarded = OwnCalls(follower.forwarder, follower.service)
        stub = control_pb2_grpc.ControlStub(leader.channel)
        return [
            await outcome(calls.call(method, empty(method))),
            await outcome(forwarded.call(method, empty(method))),
            await outcome(getattr(stub, method)(empty(method))),
        ]

    found = cluster(scenario)
    for answer in found:
        if method in ("ListNodes", "GetCluster"):
            answer.ClearField("nodes" if method == "ListNodes" else "settings")  # Ages differ.
    assert found[0] == found[1] == found[2]


def test_a_service_is_made_and_seen_through_a_scheduler_that_does_not_lead():
    async def scenario(leader, follower, led):
        made = await client_of(follower).create_service(a_spec("web", image=PINNED))
        seen = [await client_of(each).get_service("web") for each in (leader, follower)]
        assert seen[0].id == seen[1].id == made.id
        assert seen[0] == seen[1]
        with pytest.raises(NotFoundError):
            await client_of(leader).get_service("nosuch")

    cluster(scenario)


def test_logs_are_streamed_by_both():
    async def scenario(leader, follower, led):
        await client_of(leader).create_service(a_spec("web", image=PINNED, replicas=0))
        for each in (leader, follower):
            chunks = [chunk async for chunk in client_of(each).service_logs("web")]
            assert chunks == []

    cluster(scenario)


def test_without_a_leader_it_waits_and_then_says_so():
    async def scenario(leader, follower, led):
        leader.leads(None)
        for each in (leader, follower):
            each.knows(None)
        with pytest.raises(NoLeaderError):
            await client_of(follower).list_services()

    cluster(scenario, leader_wait_s=0.2)


def test_it_goes_on_as_soon_as_somebody_leads():
    async def scenario(leader, follower, led):
        leader.leads(None)
        leader.knows(None)
        asking = asyncio.ensure_future(client_of(leader).list_services())
        await asyncio.sleep(0.05)
        assert not asking.done()
        leader.leads(led)
        leader.knows(leader)
        assert await asking == []

    cluster(scenario)
