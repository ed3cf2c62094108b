"""What an `Election` promises, on the model and on a real etcd alike, and with real processes."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from berth.clock import SystemClock
from scheduler.election.etcd_election import EtcdElection
from scheduler.election.port import LeaderInfo
from scheduler.store.etcd_api import EtcdApi, prefix_end
from scheduler.store.etcdpb import etcd_pb2 as pb
from tests.contract.etcd_process import EtcdCluster, etcd_client, etcd_cluster

CLOCK = SystemClock()
ROOT = Path(__file__).parents[2]


def an_election(api: EtcdApi, prefix: str, name: str, ttl_s: int = 3) -> EtcdElection:
    return EtcdElection(api, prefix, name, f"{name}.test:7701", ttl_s, CLOCK)


@contextlib.asynccontextmanager
async def campaigning(election: EtcdElection) -> AsyncIterator[asyncio.Task]:
    """Campaign in the background; withdraw and resign at the end."""
    task = asyncio.ensure_future(election.campaign())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await election.aclose()


async def candidates(api: EtcdApi, prefix: str) -> int:
    leaders = f"{prefix}leader/".encode()
    return (await api.range(pb.RangeRequest(key=leaders, range_end=prefix_end(leaders)))).count


async def wait_candidates(api: EtcdApi, prefix: str, count: int) -> None:
    async with asyncio.timeout(60):
        while await candidates(api, prefix) != count:
            await asyncio.sleep(0.01)


def test_the_first_candidate_leads_and_the_next_follows_when_it_resigns(backend, prefix):
    async def main() -> None:
        async with backend.connect() as one, backend.connect() as two:
            # By the lease's end alone, it would take a minute.
            first = await an_election(one, prefix, "s1", ttl_s=60).campaign()
            assert first.is_valid()
            async with campaigning(an_election(two, prefix, "s2")) as task:
                await wait_candidates(two, prefix, 2)
                await asyncio.sleep(0.1)
                assert not task.done()
                began = CLOCK.instant()
                await first.resign()
                assert not first.is_valid()
                assert first.lost.is_set()
                second = await asyncio.wait_for(task, 30)
                hand_over_s = CLOCK.instant() - began
                print(f"hand-over on resigning: {hand_over_s * 1000:.0f} ms")
                assert second.is_valid()
                assert second.epoch > first.epoch
                await first.resign()  # A second time does nothing.
                assert second.is_valid()

    asyncio.run(main())


def test_observers_see_every_leader_in_turn(backend, prefix):
    async def main() -> None:
        async with backend.connect() as api:
            watcher = an_election(api, prefix, "watcher")
            async with contextlib.aclosing(watcher.observe()) as leaders:
                assert await asyncio.wait_for(anext(leaders), 30) is None
                first = await an_election(api, prefix, "s1").campaign()
                expected = LeaderInfo("s1", "s1.test:7701", first.epoch)
                assert await asyncio.wait_for(anext(leaders), 30) == expected
                async with campaigning(an_election(api, prefix, "s2")) as task:
                    await wait_candidates(api, prefix, 2)
                    await first.resign()
                    second = await task
                    expected = LeaderInfo("s2", "s2.test:7701", second.epoch)
                    assert await asyncio.wait_for(anext(leaders), 30) == expected
                assert await asyncio.wait_for(anext(leaders), 30) is None

    asyncio.run(main())


def test_a_cancelled_campaign_leaves_no_candidate_behind(backend, prefix):
    async def main() -> None:
        async with backend.connect() as api:
            leader = await an_election(api, prefix, "s1").campaign()
            async with campaigning(an_election(api, prefix, "s2")):
                await wait_candidates(api, prefix, 2)
            assert await candidates(api, prefix) == 1
            await leader.resign()
            assert await candidates(api, prefix) == 0

    asyncio.run(main())


def test_the_third_does_not_lead_when_the_second_withdraws(backend, prefix):
    async def main() -> None:
        async with backend.connect() as api:
            first = await an_election(api, prefix, "s1").campaign()
            async with campaigning(an_election(api, prefix, "s2")):
                await wait_candidates(api, prefix, 2)
                third = an_election(api, prefix, "s3")
                third_task = asyncio.ensure_future(third.campaign())
                await wait_candidates(api, prefix, 3)
            await wait_candidates(api, prefix, 2)
            await asyncio.sleep(0.2)
            assert not third_task.done()
            assert first.is_valid()
            await first.resign()
            assert (await asyncio.wait_for(third_task, 30)).is_valid()
            await third.aclose()

    asyncio.run(main())


def test_a_lease_that_ends_under_the_leader_ends_its_leadership(backend, prefix):
    async def main() -> None:
        async with backend.connect() as api:
            election = an_election(api, prefix, "s1")
            first = await election.campaign()
            await api.lease_revoke(int(first.key.rpartition("/")[2], 16))
            await asyncio.wait_for(first.wait_lost(), 30)
            assert not first.is_valid()
            second = await asyncio.wait_for(election.campaign(), 30)
            assert second.epoch > first.epoch
            await election.aclose()

    asyncio.run(main())


def test_a_leader_leads_on_far_beyond_its_ttl(backend, prefix):
    async def main() -> None:
        async with backend.connect() as api:
            election = an_election(api, prefix, "s1", ttl_s=4)
            leadership = await election.campaign()
            for _ in range(60):
                await asyncio.sleep(0.1)
                assert leadership.is_valid()
            await election.aclose()

    asyncio.run(main())


@pytest.mark.etcd
def test_a_busy_event_loop_keeps_the_lease_and_a_hung_one_loses_it(one_etcd, prefix):
    async def main() -> None:
        async with etcd_client(one_etcd) as api:
            election = an_election(api, prefix, "s1", ttl_s=3)
            leadership = await election.campaign()
            await asyncio.sleep(0.1)
            time.sleep(1.3)  # Less than half the TTL without a turn of the loop.
            assert leadership.is_valid()
            await asyncio.sleep(0.5)
            time.sleep(5.0)  # The thread could have renewed it, and must not have.
            assert not leadership.is_valid(), "not even for a moment before the loop turns"
            await asyncio.wait_for(leadership.wait_lost(), 30)
            await wait_candidates(api, prefix, 0)
            again = await election.campaign()
            assert again.epoch > leadership.epoch
            await election.aclose()

    asyncio.run(main())


# -- Real processes


class Candidate:
    """A process of tests.contract.candidate."""

    def __init__(self, url: str, prefix: str, name: str, ttl_s: int, log: Path) -> None:
        self.log = log
        with log.open("wb") as out, log.with_suffix(".err").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.contract.candidate", url, prefix, name, str(ttl_s)],
                cwd=ROOT, stdout=out, stderr=err, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def told(self, event: str) -> list[dict[str, float]]:
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        complete = [json.loads(line) for line in lines if line.endswith("}")]
        return [it for it in complete if it["event"] == event]

    def wait_told(self, event: str, count: int = 1, timeout_s: float = 60.0) -> dict[str, float]:
        give_up_at = CLOCK.instant() + timeout_s
        while len(self.told(event)) < count:
            if CLOCK.instant() > give_up_at or self.process.poll() is not None:
                errors = self.log.with_suffix(".err").read_text()[-2000:]
                raise TimeoutError(f"no {event} from {self.log.name}: {errors}")
            time.sleep(0.01)
        return self.told(event)[count - 1]


@pytest.fixture
def start_candidate(tmp_path: Path) -> Iterator:
    """Start candidate processes, and end them whatever happens."""
    started: list[Candidate] = []

    def start(url: str, prefix: str, name: str, ttl_s: int) -> Candidate:
        candidate = Candidate(url, prefix, name, ttl_s, tmp_path / f"{name}.log")
        started.append(candidate)
        return candidate

    yield start
    for candidate in started:
        candidate.process.kill()
        candidate.process.wait()


def assert_never_two(*candidates: Candidate) -> None:
    """No two epochs were taken for valid at overlapping times."""
    spans: dict[float, tuple[float, float]] = {}
    for candidate in candidates:
        for told in candidate.told("valid"):
            epoch = told["epoch"]
            begin, end = spans.get(epoch, (told["since"], told["since"]))
            spans[epoch] = min(begin, told["since"]), max(end, told["since"])
    ordered = [spans[epoch] for epoch in sorted(spans)]
    assert len(ordered) >= 2
    for (_, end), (begin, _) in itertools.pairwise(ordered):
        assert end < begin, f"two leaders at once: {spans}"


def await_two_candidates(cluster: EtcdCluster, prefix: str) -> None:
    """Wait until the second process has begun: a slow machine needs seconds for it."""

    async def main() -> None:
        async with etcd_client(cluster) as client:
            await wait_candidates(client, prefix, 2)

    asyncio.run(main())


@pytest.mark.etcd
def test_a_killed_leader_is_replaced_within_its_ttl(one_etcd, prefix, start_candidate):
    ttl_s = 3
    url = one_etcd.members[0].url
    first = start_candidate(url, prefix, "s1", ttl_s)
    first_epoch = first.wait_told("won")["epoch"]
    second = start_candidate(url, prefix, "s2", ttl_s)
    await_two_candidates(one_etcd, prefix)
    time.sleep(1.5)  # Long enough for the lease to be renewed.
    killed_at = CLOCK.instant()
    first.process.kill()
    won = second.wait_told("won")
    print(f"take-over after kill -9, TTL {ttl_s} s: {won['at'] - killed_at:.2f} s")
    assert won["epoch"] > first_epoch
    assert won["at"] - killed_at < ttl_s + 1.5 + 15  # The last summand is for a slow machine.
    second.wait_told("valid")
    assert_never_two(first, second)


@pytest.mark.etcd
def test_a_frozen_leader_wakes_up_refused(one_etcd, prefix, start_candidate):
    url = one_etcd.members[0].url
    first = start_candidate(url, prefix, "s1", 2)
    first_epoch = first.wait_told("won")["epoch"]
    second = start_candidate(url, prefix, "s2", 2)
    await_two_candidates(one_etcd, prefix)
    time.sleep(1)
    frozen_at = CLOCK.instant()
    first.process.send_signal(signal.SIGSTOP)
    won = second.wait_told("won")
    print(f"take-over after SIGSTOP, TTL 2 s: {won['at'] - frozen_at:.2f} s")
    second.wait_told("valid", count=20)
    first.process.send_signal(signal.SIGCONT)
    refused = first.wait_told("refused")
    assert refused["epoch"] == first_epoch
    last_valid = max(told["since"] for told in first.told("valid") if told["epoch"] == first_epoch)
    assert last_valid < won["at"]
    assert won["epoch"] > first_epoch
    second.wait_told("valid", count=len(second.told("valid")) + 20)  # And leads on undisturbed.
    assert_never_two(first, second)


@pytest.mark.etcd
def test_a_leader_survives_a_frozen_member_and_a_change_of_etcds_leader(prefix):
    async def main(cluster) -> None:
        async with etcd_client(cluster) as client:
            leader = await cluster.leader(client)
            others = [m for m in cluster.members if m is not leader]
            order = tuple(m.url for m in (others[0], leader, others[1]))
        async with etcd_client(cluster, endpoints=order) as client:
            election = an_election(client, prefix, "s1", ttl_s=5)
            leadership = await election.campaign()
            others[0].pause()  # The member that serves the lease.
            await stay_leader(leadership, 6)
            others[0].resume()
            await asyncio.sleep(0.5)
            leader.kill()
            await stay_leader(leadership, 5)
            await election.aclose()

    async def stay_leader(leadership, duration_s: float) -> None:
        invalid_s = 0.0
        for _ in range(int(duration_s / 0.05)):
            await asyncio.sleep(0.05)
            assert not leadership.lost.is_set()
            invalid_s += 0.0 if leadership.is_valid() else 0.05
        assert invalid_s < 1.5, "it lived in the margin"

    with etcd_cluster(3) as cluster:
        asyncio.run(main(cluster))
