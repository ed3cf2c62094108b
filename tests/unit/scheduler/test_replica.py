"""The order of a scheduler's phases, with the real election on a model etcd and virtual time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import pytest

from berth.entropy import SeededEntropy
from scheduler.directory import Directory
from scheduler.election.etcd_election import EtcdElection, EtcdLeadership
from scheduler.replica import Replica
from scheduler.store.etcd_store import EtcdStore
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.recordpb import records_pb2
from scheduler.store.schema import NEWEST
from tests.fakes.fake_store import ModelClient
from tests.fakes.model_etcd import ModelEtcd
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import SilentLeaderObserver

PREFIX = "/berth/"


class NotedElection(EtcdElection):
    """Remembers when it was asked to stand."""

    def __init__(self, client: ModelClient) -> None:
        super().__init__(client, PREFIX, "s1", "s1:7701", 5, client.clock)
        self.client = client
        self.stood_at: list[float] = []
        self.won: list[EtcdLeadership] = []

    async def campaign(self) -> EtcdLeadership:
        self.stood_at.append(self.client.clock.instant())
        self.won.append(await super().campaign())
        return self.won[-1]


class NotedPhases(SilentLeaderObserver):
    """Remembers how leaderships went."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.epochs: list[int] = []
        self.ended: list[tuple[str, float]] = []

    def election_won(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def leadership_ended(self, outcome: str) -> None:
        self.ended.append((outcome, self.clock.instant()))


class Life:
    """One scheduler's replica on a model of etcd that others may share."""

    def __init__(self, name: str, model: ModelEtcd, clock: VirtualClock) -> None:
        self.client = ModelClient(model, clock)
        self.phases = NotedPhases(clock)
        self.directory = Directory(name, f"{name}:7701")
        self.replica = Replica(
            EtcdElection(self.client, PREFIX, name, f"{name}:7701", 5, clock),
            lambda leadership: EtcdStore(self.client, PREFIX, leadership, None, clock),
            self.directory,
            clock=clock,
            entropy=SeededEntropy(name),
            observer=self.phases,
            unseal=lambda sealed, context: None,
            growing_memory=nullcontext,
            collect_all=lambda: None,
        )
        self.running = asyncio.ensure_future(self.replica.run())

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.wait({self.running})

    @property
    def leads(self) -> bool:
        return self.directory.local is not None and self.replica.store is not None


def in_turn(story: Callable[[ModelEtcd, VirtualClock, Life, Life], Awaitable[None]]) -> None:
    """Play `story` with two schedulers, of which the first leads."""

    async def main() -> None:
        clock = VirtualClock()
        model = ModelEtcd(clock)
        first = Life("s1", model, clock)
        await clock.sleep(1)
        second = Life("s2", model, clock)
        await clock.sleep(1)
        assert (first.leads, second.leads) == (True, False)
        assert second.directory.current is not None
        assert second.directory.current.name == "s1"
        try:
            await story(model, clock, first, second)
        finally:
            await first.stop()
            await second.stop()

    run_virtually(main())


def test_a_leader_that_is_stopped_hands_over_within_a_second() -> None:
    async def story(model: ModelEtcd, clock: VirtualClock, first: Life, second: Life) -> None:
        stopped_at = clock.instant()
        await first.stop()
        assert not first.leads
        assert first.phases.ended[0][0] == "resigned"
        while not second.leads:
            await clock.sleep(0.01)
        assert clock.instant() - stopped_at < 1
        assert second.phases.epochs > first.phases.epochs

    in_turn(story)


def test_a_leader_that_is_cut_off_from_the_store_is_succeeded_and_stands_again() -> None:
    async def story(model: ModelEtcd, clock: VirtualClock, first: Life, second: Life) -> None:
        first.client.faults.is_cut = True
        while not second.leads:
            await clock.sleep(0.1)
            assert not (first.leads and second.leads), "two lead at once"
        first.client.faults.is_cut = False
        await clock.sleep(10)
        assert [outcome for outcome, _ in first.phases.ended] == ["superseded"]
        await second.stop()
        await clock.sleep(2)
        assert first.leads
        assert len(first.phases.epochs) == 2

    in_turn(story)


def test_a_store_of_a_newer_version_is_not_led() -> None:
    async def story(model: ModelEtcd, clock: VirtualClock, first: Life, second: Life) -> None:
        newer = records_pb2.ClusterRecord(schema=NEWEST + 1, id="c1").SerializeToString()
        put = pb.PutRequest(key=b"/berth/cluster", value=newer)
        model.txn(pb.TxnRequest(success=[pb.RequestOp(request_put=put)]))
        await first.stop()
        await clock.sleep(3)
        assert not second.leads
        assert second.phases.epochs == []
        assert {outcome for outcome, _ in second.phases.ended} == {"failed"}
        assert len(second.phases.ended) > 1, "it stands again, with a pause"

    in_turn(story)


def test_a_scheduler_that_lost_the_lead_stands_again_after_a_short_pause() -> None:
    async def main() -> tuple[NotedElection, NotedPhases, list[float]]:
        clock = VirtualClock()
        model = ModelEtcd(clock)
        client = ModelClient(model, clock)
        election, phases = NotedElection(client), NotedPhases(clock)
        collected_at: list[float] = []
        replica = Replica(
            election,
            lambda leadership: EtcdStore(client, PREFIX, leadership, None, clock),
            Directory("s1", "s1:7701"),
            clock=clock,
            entropy=SeededEntropy(1),
            observer=phases,
            unseal=lambda sealed, context: None,
            growing_memory=nullcontext,
            collect_all=lambda: collected_at.append(clock.instant()),
        )
        running = asyncio.ensure_future(replica.run())
        await clock.sleep(3)
        model.lease_revoke(int(election.won[0].key.rpartition("/")[2], 16))
        await clock.sleep(10)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return election, phases, collected_at

    election, phases, collected_at = run_virtually(main())
    first, second = phases.epochs
    assert second > first
    assert [outcome for outcome, _ in phases.ended] == ["superseded", "resigned"]
    assert collected_at == election.stood_at, "garbage is collected before it stands, never after"
    assert election.stood_at[1] - phases.ended[0][1] == pytest.approx(0.2)
