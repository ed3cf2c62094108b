"""While the store is away nobody leads: lists show what was known last, what is followed waits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from berth.clock import SystemClock
from berth.errors import NoLeaderError
from berth.model.ids import Epoch, ServiceId
from berth.model.instant import Timestamp
from berth.v1 import control_pb2 as pb
from scheduler.control.call_kinds import FOLLOWED
from scheduler.control.forward import Forwarder
from scheduler.control.in_process import OwnCalls
from scheduler.core import commands
from scheduler.election.port import LeaderInfo
from scheduler.store.port import StoreHealth, StoreState
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import leading, serving

T = TypeVar("T")

WEB = ServiceId("web".ljust(25, "0"))
AWAY = StoreHealth(StoreState.NO_QUORUM, Timestamp(0.0), "etcd at a:1 has no leader")
STANDING = (
    LeaderInfo("s1", "s1:7701", Epoch(1)),
    LeaderInfo("s1", "s1:7701", Epoch(9)),  # The lease of the first has not run out yet.
)
REQUESTS = {
    "StreamTasks": pb.ListTasksRequest(),
    "ServiceLogs": pb.ServiceLogsRequest(name="web", follow=True, stdout=True),
    "WatchEvents": pb.WatchEventsRequest(follow=True),
}


Answering = Callable[[OwnCalls], Awaitable[T]]


def answered(answer: Answering[T], health: StoreHealth = AWAY) -> T:
    """Return what a scheduler tells whose leadership ended."""

    async def story() -> T:
        async with leading(SystemClock()) as led, serving("s1", health=health) as one:
            state, now = led.leader.state, led.leader.now()
            commands.create_service(state, WEB, a_spec("web", replicas=3), b"", now)
            await led.leader.settled()
            await led.end()
            directory = one.directory
            directory.set_local(led.leader)
            directory.set_local(None)
            directory.set_current(None, lambda: STANDING)
            forwarder = Forwarder(
                directory, lambda address: None, SystemClock(),
                store_health=lambda: health, leader_wait_s=0.05,
            )  # fmt: skip
            calls = OwnCalls(forwarder, one.service)
            return await answer(calls)

    return asyncio.run(story())


def streamed(method: str, health: StoreHealth = AWAY) -> list:
    """Return what a streaming call tells there."""

    async def answer(calls: OwnCalls) -> list:
        return [message async for message in calls.stream(method, REQUESTS[method])]

    return answered(answer, health)


def test_the_cluster_is_shown_without_a_leader():
    cluster = answered(lambda calls: calls.call("GetCluster", pb.GetClusterRequest()))
    assert (cluster.leader_name, cluster.leader_address) == ("", "")
    assert cluster.epoch > 0
    assert "no leader" in cluster.store_message
    assert [(each.name, each.is_leader) for each in cluster.schedulers] == [("s1", False)]


def test_a_long_list_shows_what_was_known_last():
    (piece,) = streamed("StreamTasks")
    assert [task.slot for task in piece.tasks] == [1, 2, 3]


def test_every_call_that_streams_without_end_is_tried():
    assert (
        set(REQUESTS)
        == {*FOLLOWED, "StreamTasks"}
        == {
            method.name
            for method in pb.DESCRIPTOR.services_by_name["Control"].methods
            if method.server_streaming
        }
    )


@pytest.mark.parametrize("method", sorted(FOLLOWED))
def test_what_is_followed_waits_for_who_leads_next_and_then_names_the_store(method: str):
    with pytest.raises(NoLeaderError, match=r"read-only.*no quorum: etcd at a:1 has no leader"):
        streamed(method)


def test_with_a_store_that_is_well_the_next_leader_is_waited_for():
    with pytest.raises(NoLeaderError, match="no scheduler has led"):
        streamed("StreamTasks", StoreHealth(StoreState.OK, Timestamp(0.0)))
