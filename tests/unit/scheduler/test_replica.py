"""The order of a scheduler's phases, with the real election on a model etcd and virtual time."""

import asyncio
import contextlib

import pytest

from berth.entropy import SeededEntropy
from scheduler.directory import Directory
from scheduler.election.etcd_election import EtcdElection, EtcdLeadership
from scheduler.replica import Replica
from scheduler.store.etcd_store import EtcdStore
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


def test_a_scheduler_that_lost_the_lead_stands_again_after_a_short_pause() -> None:
    async def main() -> tuple[NotedElection, NotedPhases]:
        clock = VirtualClock()
        model = ModelEtcd(clock)
        client = ModelClient(model, clock)
        election, phases = NotedElection(client), NotedPhases(clock)
        replica = Replica(
            election,
            lambda leadership: EtcdStore(client, PREFIX, leadership, None, clock),
            Directory("s1", "s1:7701"),
            clock=clock,
            entropy=SeededEntropy(1),
            observer=phases,
            unseal=lambda sealed, context: None,
            settle_memory=lambda: None,
        )
        running = asyncio.ensure_future(replica.run())
        await clock.sleep(3)
        model.lease_revoke(int(election.won[0].key.rpartition("/")[2], 16))
        await clock.sleep(10)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return election, phases

    election, phases = run_virtually(main())
    first, second = phases.epochs
    assert second > first
    assert [outcome for outcome, _ in phases.ended] == ["superseded", "resigned"]
    assert election.stood_at[1] - phases.ended[0][1] == pytest.approx(0.2)
