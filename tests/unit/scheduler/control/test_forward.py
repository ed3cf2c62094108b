"""Any scheduler answers, by the leader's word; no change is ever made twice."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import grpc.aio
import pytest

from berth.clock import SystemClock
from berth.errors import (
    AlreadyExistsError,
    BerthError,
    NoLeaderError,
    NotFoundError,
    NotLeaderError,
    OutcomeUnknownError,
    UnavailableError,
)
from berth.model.instant import Timestamp
from berth.v1 import control_pb2 as pb
from berth.v1 import control_pb2_grpc
from berth.wire.status import error_from_rpc
from scheduler.control.call_kinds import FOLLOWED, READS
from scheduler.control.forward import HOPS_KEY, Forwarder
from scheduler.control.router import ControlRouter
from scheduler.control.service import ControlService
from scheduler.directory import Directory
from scheduler.store.port import StoreHealth, StoreState
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import DIGEST_A, create, leading, serving

SERVICE = pb.DESCRIPTOR.services_by_name["Control"]


def cluster(scenario, *, leader_wait_s=5.0):
    """Run `scenario(leader, follower, led)`: two servers, of which the first leads."""

    async def run():
        async with AsyncExitStack() as stack:
            led = await stack.enter_async_context(leading(SystemClock()))
            one, two = [
                await stack.enter_async_context(serving(name, leader_wait_s=leader_wait_s))
                for name in ("s1", "s2")
            ]
            one.registry.push("app:1", DIGEST_A)
            two.registry.push("app:1", DIGEST_A)
            one.leads(led)
            one.knows(one)
            two.knows(one)
            await scenario(one, two, led)

    asyncio.run(run())


async def call(scheduler, method, request, *, timeout=20.0, metadata=None):
    stub = control_pb2_grpc.ControlStub(scheduler.channel)
    try:
        return await getattr(stub, method)(request, timeout=timeout, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        raise error_from_rpc(error) from error


async def names(scheduler):
    answer = await call(scheduler, "ListServices", pb.ListServicesRequest())
    return [service.spec.name for service in answer.services]


def test_every_call_of_the_proto_is_answered_and_sorted_into_reads_and_changes():
    methods = {method.name for method in SERVICE.methods}
    assert methods <= set(dir(ControlService))
    assert methods >= READS
    changes = {"CreateService", "UpdateService", "RemoveService", "UpdateNode", "RemoveNode"}
    networks = {"CreateNetwork", "RemoveNetwork"}
    files = {"CreateFile", "UpdateFile", "RemoveFile"}
    assert methods - READS == changes | files | {"UpdateCluster", *networks}
    assert FOLLOWED < READS


def test_a_scheduler_that_does_not_lead_passes_calls_and_refusals_on():
    async def scenario(leader, follower, led):
        answer = await call(follower, "CreateService", create(a_spec()))
        assert list(led.leader.state.services) == [answer.id]
        assert await names(follower) == await names(leader) == ["web"]
        with pytest.raises(AlreadyExistsError):
            await call(follower, "CreateService", create(a_spec()))
        with pytest.raises(NotFoundError, match="nobody"):
            await call(follower, "GetService", pb.GetServiceRequest(name="nobody"))
        with pytest.raises(BerthError) as caught:
            await call(follower, "CreateService", create(a_spec(name="no good", cpus=0.0001)))
        assert len(caught.value.faults) >= 2

    cluster(scenario)


def test_without_a_leader_a_call_waits_and_then_says_so():
    async def scenario(leader, follower, led):
        follower.knows(None)
        began = asyncio.get_running_loop().time()
        with pytest.raises(NoLeaderError, match="no scheduler has led"):
            await names(follower)
        assert 0.2 < asyncio.get_running_loop().time() - began < 15

    cluster(scenario, leader_wait_s=0.3)


def test_where_nobody_leads_because_of_the_store_the_store_is_named():
    health = StoreHealth(StoreState.NO_QUORUM, Timestamp(0.0), "etcd at a:1 has no leader")
    forwarder = Forwarder(
        Directory("s1", "a:1"), lambda address: None, SystemClock(), store_health=lambda: health
    )
    error = forwarder.leaderless(NotLeaderError("scheduler s2 does not lead"))
    assert isinstance(error, NoLeaderError)
    assert "read-only" in error.message
    assert "no quorum: etcd at a:1 has no leader" in error.message


def test_a_call_that_waits_goes_on_as_soon_as_somebody_leads():
    async def scenario(leader, follower, led):
        follower.knows(None)
        waiting = asyncio.ensure_future(names(follower))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        follower.knows(leader)
        assert await waiting == []

    cluster(scenario)


def test_a_leader_that_cannot_be_reached_is_waited_for_until_another_leads():
    async def scenario(leader, follower, led):
        follower.knows("127.0.0.1:1")
        created = asyncio.ensure_future(call(follower, "CreateService", create(a_spec())))
        await asyncio.sleep(0.3)
        assert not created.done()
        follower.knows(leader, epoch=2)
        await created
        assert await names(leader) == ["web"]

    cluster(scenario)


def test_a_forwarded_call_is_not_forwarded_again():
    async def scenario(leader, follower, led):
        metadata = ((HOPS_KEY, "1"),)
        with pytest.raises(NotLeaderError) as caught:
            await call(follower, "ListServices", pb.ListServicesRequest(), metadata=metadata)
        assert caught.value.leader_address == leader.address
        # Two schedulers that each take the other for the leader end the call, not the process.
        leader.leads(None)
        leader.knows(follower)
        with pytest.raises(NoLeaderError, match="does not lead"):
            await names(leader)

    cluster(scenario, leader_wait_s=0.5)


def test_a_scheduler_that_lost_its_lead_is_left_for_the_next_one():
    async def scenario(leader, follower, led):
        async with serving("s3") as third:
            third.registry.push("app:1", DIGEST_A)
            leader.leads(None)
            leader.knows(third)
            third.leads(led)
            third.knows(third)
            created = asyncio.ensure_future(call(follower, "CreateService", create(a_spec())))
            await asyncio.sleep(0.3)
            assert not created.done()
            follower.knows(third, epoch=2)
            await created
            assert await names(follower) == ["web"]

    cluster(scenario)


@asynccontextmanager
async def a_leader_that_dies(method_started, scheduler):
    """Let `scheduler`'s server vanish as soon as the flow has begun to change things."""
    dying = []

    def begun():
        scheduler.registry.before_answer = None
        method_started.set()
        dying.append(asyncio.ensure_future(scheduler.server.stop(None)))

    scheduler.registry.before_answer = begun
    yield
    await asyncio.gather(*dying)


def test_a_change_whose_answer_is_lost_is_not_sent_again():
    async def scenario(leader, follower, led):
        async with serving("s3") as third:
            third.leads(led)
            third.knows(third)
            begun = asyncio.Event()
            async with a_leader_that_dies(begun, leader):
                created = asyncio.ensure_future(call(follower, "CreateService", create(a_spec())))
                await begun.wait()
                follower.knows(third, epoch=2)
                with pytest.raises(OutcomeUnknownError, match="look before you repeat it"):
                    await created
            assert third.registry.asked == []

    cluster(scenario)


def test_a_read_whose_answer_is_lost_is_asked_again():
    async def scenario(leader, follower, led):
        async with serving("s3") as third:
            third.registry.push("app:1", DIGEST_A)
            third.leads(led)
            third.knows(third)
            begun = asyncio.Event()
            async with a_leader_that_dies(begun, leader):
                request = pb.ResolveImageRequest(image="app:1")
                resolved = asyncio.ensure_future(call(follower, "ResolveImage", request))
                await begun.wait()
                follower.knows(third, epoch=2)
                assert (await resolved).digest == DIGEST_A

    cluster(scenario)


def test_leadership_that_ends_after_a_change_leaves_it_uncertain_elsewhere_too():
    async def scenario(leader, follower, led):
        led.client.faults.latency_s = lambda: 3.0

        def end_soon():
            leader.registry.before_answer = None
            asyncio.get_running_loop().call_later(1.0, led.running.cancel)

        leader.registry.before_answer = end_soon
        with pytest.raises(OutcomeUnknownError, match="leadership ended"):
            await call(follower, "CreateService", create(a_spec()))
        assert len(leader.registry.asked) == 1

    cluster(scenario)


def test_the_callers_own_time_limit_reaches_the_leader():
    async def scenario(leader, follower, led):
        led.client.faults.latency_s = lambda: 20.0
        began = asyncio.get_running_loop().time()
        with pytest.raises(UnavailableError):
            await call(follower, "CreateService", create(a_spec()), timeout=0.4)
        assert asyncio.get_running_loop().time() - began < 15

    cluster(scenario)


def test_a_request_that_cannot_be_read_is_refused():
    async def scenario(leader, follower, led):
        for scheduler in (leader, follower):
            method = scheduler.channel.unary_unary("/berth.v1.Control/GetService")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(b"\xff\xff\xff", timeout=60)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    cluster(scenario)


def test_calls_of_other_services_are_none_of_its_business():
    async def scenario(leader, follower, led):
        router = ControlRouter(leader.forwarder, leader.service, requires_tls=False)
        assert router.service(type("Details", (), {"method": "/other.Service/Get"})()) is None

    cluster(scenario)


def test_everything_that_is_listed_comes_over_the_wire():
    async def scenario(leader, follower, led):
        led.join("n1")
        await call(follower, "CreateService", create(a_spec(replicas=2)))
        await led.leader.settled()
        led.run_all()
        await led.leader.settled()
        tasks = (await call(follower, "ListTasks", pb.ListTasksRequest(services=["web"]))).tasks
        assert [(task.slot, task.node_name) for task in tasks] == [(1, "n1"), (2, "n1")]
        nodes = (await call(follower, "ListNodes", pb.ListNodesRequest())).nodes
        assert [(view.node.id, view.tasks_running, view.connected) for view in nodes] == [
            ("n1", 2, True)
        ]
        node = await call(follower, "GetNode", pb.GetNodeRequest(name="n1"))
        assert node.node.description.hostname == "n1"
        updated = await call(
            follower, "UpdateNode", pb.UpdateNodeRequest(name="n1", availability="pause")
        )
        assert updated.node.spec.availability == "pause"
        explained = await call(follower, "Explain", pb.ExplainRequest(name="web"))
        assert explained.summary.startswith("2 of 2 tasks run")
        one = await call(follower, "GetCluster", pb.GetClusterRequest())
        assert (one.leader_name, one.store_state, one.epoch) == ("s1", "ok", led.leader.epoch)
        assert [info.address for info in one.schedulers] == [leader.address]
        settings = one.settings
        settings.task_history_limit = 9
        changed = await call(
            follower, "UpdateCluster", pb.UpdateClusterRequest(version=1, settings=settings)
        )
        assert (changed.version, changed.settings.task_history_limit) == (2, 9)

    cluster(scenario)


def test_a_list_of_many_tasks_lets_others_go_on_meanwhile():
    async def scenario(leader, follower, led):
        await call(leader, "CreateService", create(a_spec(replicas=20_000)))
        while len(led.leader.state.tasks) < 20_000:
            await led.leader.settled()
        turns = 0

        async def watch():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(watch())
        answer = await leader.service.ListTasks(led.leader, pb.ListTasksRequest())
        watching.cancel()
        assert len(answer.tasks) == 20_000
        assert turns > 50  # In one piece others would have had a handful of turns.

    cluster(scenario)
