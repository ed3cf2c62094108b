"""Nothing leaves the leader before it is durable; a refused commit ends it and drops everything."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from berth.errors import NotLeaderError, StaleEpochError
from berth.model.ids import ServiceId
from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from berth.wire.convert import to_proto
from scheduler.core import commands
from scheduler.core.service_record import ServiceRecord
from scheduler.dispatch.desk import AgentSession
from tests.builders import a_description, a_spec
from tests.fakes.model_etcd import ModelEtcd
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import Leading, leading


class Cluster:
    """A leader with one agent that listens, on a model of etcd that a test may hold up."""

    def __init__(self, led: Leading, model: ModelEtcd, clock: VirtualClock) -> None:
        self.led = led
        self.model = model
        self.clock = clock
        self.session = led.join("n1")

    def create(self, name: str = "web") -> "asyncio.Future[ServiceRecord]":
        """Ask for a service, as a user's call does."""
        spec = a_spec(name)
        return asyncio.ensure_future(
            self.led.leader.perform(
                lambda state, now: commands.create_service(state, ServiceId(name), spec, b"", now)
            )
        )

    def hold_store(self) -> None:
        self.led.client.faults.is_cut = True

    def release_store(self) -> None:
        self.led.client.faults.is_cut = False

    def depose(self) -> None:
        """The lease ends: the leader's key is gone, and every commit is refused."""
        for lease in list(self.model._leases):
            self.model.lease_revoke(lease)

    def told(self, session: AgentSession | None = None) -> list[str]:
        """What an agent was told since the last look, in words."""
        words = []
        for message in (session or self.session).outbox.take():
            kind = message.WhichOneof("body")
            if kind == "assignments":
                names = [task.service_id for task in message.assignments.tasks]
                kind = "complete" if message.assignments.complete else "more"
                words.append(" ".join([kind, *names]))
            else:
                words.append(str(kind))
        return words


@asynccontextmanager
async def a_cluster() -> AsyncIterator[Cluster]:
    clock = VirtualClock()
    model = ModelEtcd(clock)
    async with leading(clock, model) as led:
        yield Cluster(led, model, clock)


def play(story: Callable[[Cluster], Awaitable[None]]) -> None:
    async def main() -> None:
        async with a_cluster() as cluster:
            await cluster.clock.sleep(0.5)
            assert cluster.told() == ["welcome", "complete"]
            await story(cluster)

    run_virtually(main())


def test_neither_agents_nor_users_hear_of_what_is_not_durable() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.hold_store()
        call = cluster.create()
        await cluster.clock.sleep(1)
        assert TaskState.ASSIGNED in {t.observed for t in cluster.led.leader.state.tasks.values()}
        assert cluster.told() == []
        assert not call.done()
        cluster.release_store()
        await cluster.clock.sleep(3)
        assert (await call).spec.name == "web"
        assert cluster.told() == ["more web"]

    play(story)


def test_an_agent_that_joins_gets_no_set_that_is_not_durable() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create()
        cluster.told()
        cluster.hold_store()
        cluster.create("late")
        session = cluster.led.join("n1")
        await cluster.clock.sleep(1)
        assert cluster.told(session) == ["welcome"]
        cluster.release_store()
        await cluster.clock.sleep(3)
        assert cluster.told(session) == ["complete web late"]

    play(story)


def test_deliveries_keep_the_order_of_the_commits() -> None:
    async def story(cluster: Cluster) -> None:
        answered: list[str] = []
        cluster.hold_store()
        for name in ("a", "b", "c"):
            cluster.create(name).add_done_callback(
                lambda call: answered.append(call.result().spec.name)
            )
            await cluster.clock.sleep(0.2)
        assert answered == []
        cluster.release_store()
        await cluster.clock.sleep(3)
        assert answered == ["a", "b", "c"]

    play(story)


def test_a_refused_commit_ends_the_leadership_and_nothing_leaves() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.depose()
        call = cluster.create()
        with pytest.raises(NotLeaderError, match="has stopped leading"):
            await call
        await asyncio.wait({cluster.led.running})
        assert isinstance(cluster.led.running.exception(), StaleEpochError)
        assert cluster.session.outbox.is_closed
        assert cluster.told() == []

    play(story)


def test_what_follows_a_refused_commit_is_dropped_as_well() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.hold_store()
        calls = [cluster.create(name) for name in ("a", "b")]
        await cluster.clock.sleep(0.2)
        calls.append(cluster.create("c"))
        cluster.depose()
        cluster.release_store()
        await asyncio.wait(calls)
        assert [type(call.exception()) for call in calls] == [NotLeaderError] * 3
        assert cluster.told() == []

    play(story)


def test_a_leader_that_has_ended_refuses_all() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.led.end()
        with pytest.raises(NotLeaderError):
            await cluster.create()
        with pytest.raises(NotLeaderError):
            await cluster.led.leader.settled()
        with pytest.raises(NotLeaderError):
            await cluster.led.leader.wait_durable()
        with pytest.raises(NotLeaderError):
            cluster.led.join("n2")
        assert not cluster.led.leader.state.services

    play(story)


def test_calls_in_flight_are_told_when_the_leader_is_stopped() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.hold_store()
        calls = [cluster.create("a"), cluster.create("b")]
        await cluster.clock.sleep(0.2)
        await cluster.led.end()
        await asyncio.wait(calls, timeout=0.1)
        assert [type(call.exception()) for call in calls] == [NotLeaderError] * 2
        assert cluster.session.outbox.is_closed

    play(story)


def test_a_call_that_was_given_up_does_no_harm() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.hold_store()
        call = cluster.create()
        await cluster.clock.sleep(0.2)
        call.cancel()
        cluster.release_store()
        await cluster.clock.sleep(3)
        assert cluster.told() == ["more web"]
        assert not cluster.led.running.done()

    play(story)


def test_a_change_that_is_refused_changes_nothing_and_waits_for_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create()
        cluster.hold_store()
        before = cluster.clock.instant()
        with pytest.raises(Exception, match="already exists"):
            await cluster.create()
        assert cluster.clock.instant() == before

    play(story)


def test_an_agent_that_obeyed_a_newer_leader_ends_an_older_one() -> None:
    async def story(cluster: Cluster) -> None:
        newer = cluster.led.leader.epoch + 1
        hello = pb.Hello(description=to_proto(a_description("n2")), highest_epoch=newer)
        with pytest.raises(StaleEpochError, match=f"epoch {newer} leads now"):
            cluster.led.leader.desk.join(pb.AgentMessage(node_id="n2", hello=hello))
        with pytest.raises(StaleEpochError):
            cluster.led.leader.desk.join(pb.AgentMessage(node_id="n3", hello=hello))
        await asyncio.wait({cluster.led.running})
        assert isinstance(cluster.led.running.exception(), StaleEpochError)
        assert "n2" not in cluster.led.leader.state.nodes

    play(story)


def test_the_next_leader_knows_what_was_answered_and_nothing_else() -> None:
    async def main() -> list[str]:
        clock = VirtualClock()
        model = ModelEtcd(clock)
        async with leading(clock, model) as led:
            cluster = Cluster(led, model, clock)
            await cluster.create("kept")
            cluster.depose()
            with pytest.raises(NotLeaderError):
                await cluster.create("lost")
        async with leading(clock, model, name="s2") as led:
            return sorted(led.leader.state.names)

    assert run_virtually(main()) == ["kept"]
