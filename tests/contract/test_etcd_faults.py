"""The store on real etcd members that are killed, frozen, full, or hidden behind a bad network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from berth.clock import SystemClock
from berth.errors import ConfigError
from scheduler.election.etcd_election import EtcdElection
from scheduler.store import etcd_methods as methods
from scheduler.store.errors import CompactedError, EtcdRefusedError, ForbiddenError
from scheduler.store.etcd_api import prefix_end
from scheduler.store.etcd_client import EtcdClient
from scheduler.store.etcd_settings import EtcdSettings
from scheduler.store.etcd_store import EtcdStore
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.port import Put, StoreState
from tests.contract.etcd_process import EtcdCluster, EtcdMember, etcd_client, etcd_cluster
from tests.contract.swallowing_proxy import SwallowingProxy
from tests.contract.test_cluster_store import history_of

pytestmark = pytest.mark.etcd

CLOCK = SystemClock()


@contextlib.asynccontextmanager
async def led_store(
    client: EtcdClient, prefix: str, ttl_s: int = 5
) -> AsyncIterator[tuple[EtcdStore, EtcdElection]]:
    election = EtcdElection(client, prefix, "s1", "s1.test:7701", ttl_s, CLOCK)
    leadership = await election.campaign()
    store = EtcdStore(client, prefix, leadership, None, CLOCK)
    try:
        yield store, election
    finally:
        await store.aclose()
        await election.aclose()


async def wait_for_state(
    store: EtcdStore | EtcdElection, state: StoreState, timeout_s: float = 60.0
) -> None:
    async with asyncio.timeout(timeout_s):
        while store.health.state is not state:
            await asyncio.sleep(0.02)


async def commit_numbers(store: EtcdStore, first: int, count: int) -> list[int]:
    """Commit ascending numbers to one key, about 200 a second."""
    futures = []
    for number in range(first, first + count):
        futures.append(store.commit_nowait([Put("n", b"%d" % number)]))
        await asyncio.sleep(0.005)
    return [await future for future in futures]


# -- Lost answers


def test_commits_whose_answers_are_lost_take_effect_once(one_etcd, prefix):
    async def main() -> None:
        async with (
            SwallowingProxy(one_etcd.members[0]) as proxy,
            etcd_client(one_etcd, endpoints=(proxy.url,), attempt_timeout_s=1.0) as client,
            led_store(client, prefix, ttl_s=10) as (store, _),
        ):
            first = await store.commit_nowait([Put("n", b"-1")])
            committing = asyncio.ensure_future(commit_numbers(store, 0, 400))
            while not committing.done():
                await asyncio.sleep(0.15)
                await proxy.lose_answers(0.08)
            revisions = committing.result()
            assert proxy.swallowed_bytes > 0, "no answer was lost"
            assert revisions == sorted(revisions)
            seen = await history_of(client, f"{prefix}n", first, revisions[-1])
            assert seen == sorted(set(seen))
            assert seen[-1] == 399

    asyncio.run(main())


# -- No space


def test_a_full_etcd_is_told_and_commits_go_on_when_it_is_mended(prefix):
    async def main(cluster: EtcdCluster) -> None:
        async with (
            etcd_client(cluster) as client,
            led_store(client, prefix) as (store, _),
        ):
            waiting = []
            for _ in range(400):
                waiting.append(store.commit_nowait([Put("doc", bytes(60_000))]))
                await asyncio.sleep(0.002)
                if store.health.state is StoreState.NO_SPACE:
                    break
            await wait_for_state(store, StoreState.NO_SPACE)
            assert "space" in store.health.last_error
            assert not waiting[-1].done()
            # No new leader can be elected, and the election says why.
            other = EtcdElection(client, prefix, "s2", "s2.test:7701", 5, CLOCK)
            campaign = asyncio.ensure_future(other.campaign())
            await wait_for_state(other, StoreState.NO_SPACE)
            campaign.cancel()
            await asyncio.gather(campaign, return_exceptions=True)
            await asyncio.sleep(5.5)  # Longer than the lease, which is still renewed.
            await make_room(client)
            await asyncio.wait_for(asyncio.gather(*waiting), 60)
            assert store.health.state is StoreState.OK
            assert dict((await store.load()).entries) == {"doc": bytes(60_000)}

    with etcd_cluster(flags=["--quota-backend-bytes=6000000"]) as cluster:
        asyncio.run(main(cluster))


async def make_room(client: EtcdClient) -> None:
    """Do what the operator is told to do: compact, defragment, disarm."""
    header = (await client.range(pb.RangeRequest(key=b"x"))).header
    compaction = pb.CompactionRequest(revision=header.revision, physical=True)
    await client._call(methods.COMPACT, compaction, is_repeatable=True)
    await client._call(methods.DEFRAGMENT, pb.DefragmentRequest(), is_repeatable=True)
    for alarm in await client.alarms():
        disarm = pb.AlarmRequest(
            action=pb.AlarmRequest.DEACTIVATE, member_id=alarm.member_id, alarm=alarm.alarm
        )
        await client._call(methods.ALARM, disarm, is_repeatable=True)


# -- Large answers


def test_documents_far_larger_than_expected_are_loaded_in_smaller_pages(one_etcd, prefix):
    documents = {f"d/{i:03}": bytes([i]) * 20_000 for i in range(200)}

    async def main() -> None:
        async with etcd_client(one_etcd) as client, led_store(client, prefix) as (store, _):
            await store.commit_nowait([Put(key, value) for key, value in documents.items()])
        async with (
            etcd_client(one_etcd, max_message_bytes=1_000_000) as client,
            led_store(client, prefix) as (store, _),
        ):
            assert dict((await store.load()).entries) == documents

    asyncio.run(main())


# -- Compaction


def test_a_compacted_watch_says_so_and_a_compacted_load_begins_again(one_etcd, prefix):
    async def main() -> None:
        async with etcd_client(one_etcd) as client, led_store(client, prefix) as (store, _):
            first = await store.commit_nowait([Put("n", b"1")])
            last = await store.commit_nowait([Put("n", b"2")])
            request = pb.CompactionRequest(revision=last, physical=True)
            await client._call(methods.COMPACT, request, is_repeatable=True)
            with pytest.raises(CompactedError):
                await anext(client.watch(f"{prefix}n".encode(), b"", first))
            with pytest.raises(CompactedError):
                await client.range(pb.RangeRequest(key=f"{prefix}n".encode(), revision=first))
            assert dict((await store.load()).entries) == {"n": b"2"}

    asyncio.run(main())


# -- Three members


@pytest.fixture(scope="module")
def three_shared() -> Iterator[EtcdCluster]:
    with etcd_cluster(3) as cluster:
        yield cluster


@pytest.fixture
def three_etcd(three_shared: EtcdCluster) -> Iterator[EtcdCluster]:
    """Three members, brought back to life after the test."""
    yield three_shared
    three_shared.heal()


async def order_followers_first(cluster: EtcdCluster, client: EtcdClient) -> list[EtcdMember]:
    leader = await cluster.leader(client)
    return [m for m in cluster.members if m is not leader] + [leader]


@pytest.mark.parametrize("victim", ["follower killed", "leader killed", "follower frozen"])
def test_commits_survive_the_loss_of_the_member_that_serves_them(three_etcd, prefix, victim):
    async def main() -> None:
        async with etcd_client(three_etcd) as any_client:
            order = await order_followers_first(three_etcd, any_client)
        if victim == "leader killed":
            order.reverse()
        serving = order[0]  # The first endpoint is the one that is used.
        async with (
            etcd_client(three_etcd, endpoints=tuple(m.url for m in order)) as client,
            led_store(client, prefix, ttl_s=8) as (store, _),
        ):
            first = await store.commit_nowait([Put("n", b"-1")])
            committing = asyncio.ensure_future(commit_numbers(store, 0, 500))
            watching = asyncio.ensure_future(watch_until(client, f"{prefix}n", first, 499))
            await asyncio.sleep(0.5)
            if victim.endswith("killed"):
                serving.kill()
            else:
                serving.pause()
            began = CLOCK.instant()
            revisions = await asyncio.wait_for(committing, 60)
            print(f"{victim}: all commits durable {CLOCK.instant() - began:.2f} s after the fault")
            assert revisions == sorted(revisions)
            seen = await asyncio.wait_for(watching, 60)
            print(f"{victim}: all events seen {CLOCK.instant() - began:.2f} s after the fault")
            assert seen == sorted(set(seen)), "an event was lost, repeated or out of order"
            history = await history_of(client, f"{prefix}n", first, revisions[-1])
            assert history == seen, "the watch that was interrupted saw something else"

    asyncio.run(main())


async def watch_until(client: EtcdClient, key: str, first: int, last_number: int) -> list[int]:
    seen: list[int] = []
    async with contextlib.aclosing(client.watch(key.encode(), b"", first)) as changes:
        async for events in changes:
            seen += [int(event.kv.value) for event in events]
            if seen[-1] == last_number:
                return seen
    raise AssertionError("the watch ended")


def test_a_lost_quorum_is_told_and_commits_go_on_when_it_returns(three_etcd, prefix):
    async def main() -> None:
        async with etcd_client(three_etcd) as client, led_store(client, prefix, 20) as (store, _):
            await store.commit_nowait([Put("n", b"0")])
            order = await order_followers_first(three_etcd, client)
            for member in order[1:]:
                member.kill()
            waiting = store.commit_nowait([Put("n", b"1")])
            await wait_for_state(store, StoreState.NO_QUORUM)
            await asyncio.sleep(1)
            assert not waiting.done()
            for member in order[1:]:
                three_etcd.start(member)
            revision = await asyncio.wait_for(waiting, 60)
            assert store.health.state is StoreState.OK
            assert await history_of(client, f"{prefix}n", revision, revision) == [1]

    asyncio.run(main())


def test_an_etcd_that_is_not_there_is_unreachable(prefix):
    async def main(cluster: EtcdCluster) -> None:
        async with (
            etcd_client(cluster) as client,
            led_store(client, prefix, ttl_s=20) as (store, _),
        ):
            await store.commit_nowait([Put("n", b"0")])
            cluster.members[0].kill()
            waiting = store.commit_nowait([Put("n", b"1")])
            await wait_for_state(store, StoreState.UNREACHABLE)
            assert cluster.members[0].address in store.health.last_error
            cluster.start()
            await asyncio.wait_for(waiting, 60)
            assert store.health.state is StoreState.OK

    with etcd_cluster() as cluster:
        asyncio.run(main(cluster))


# -- Authentication and TLS


def test_over_tls_with_a_user_whose_token_runs_out():
    async def main(cluster: EtcdCluster) -> None:
        async with (
            etcd_client(cluster, username="berth", password="secret") as client,
            led_store(client, "/berth/", ttl_s=4) as (store, election),
        ):
            await store.commit_nowait([Put("n", b"1")])
            await asyncio.sleep(3.5)  # The token lives one second, unless it is used.
            await store.commit_nowait([Put("n", b"2")])
            async with contextlib.aclosing(election.observe()) as leaders:
                leader = await anext(leaders)
                assert leader is not None
                assert leader.name == "s1"
            assert dict((await store.load()).entries) == {"n": b"2"}
            with pytest.raises(ForbiddenError, match="permission denied"):
                await client.range(pb.RangeRequest(key=b"/other/x"))
        async with etcd_client(cluster, username="berth", password="wrong") as client:
            with pytest.raises(ForbiddenError, match="authentication failed"):
                await client.range(pb.RangeRequest(key=b"/berth/n"))
            assert "secret" not in repr(client.settings)

    with etcd_cluster(flags=["--auth-token-ttl=1"], uses_tls=True) as cluster:
        end = prefix_end(b"/berth/").decode()
        for command in (
            ("user", "add", "root:root"),
            ("role", "add", "root"),
            ("user", "grant-role", "root", "root"),
            ("user", "add", "berth:secret"),
            ("role", "add", "berth"),
            ("role", "grant-permission", "berth", "readwrite", "/berth/", end),
            ("user", "grant-role", "berth", "berth"),
            ("auth", "enable"),
        ):
            cluster.etcdctl(*command)
        asyncio.run(main(cluster))


def test_an_etcd_with_tls_refuses_a_plain_client():
    async def main(cluster: EtcdCluster) -> None:
        plain = {"ca_file": None, "cert_file": None, "key_file": None}
        address = cluster.members[0].address
        async with etcd_client(
            cluster, endpoints=(address,), attempt_timeout_s=0.5, call_timeout_s=1.0, **plain
        ) as client:
            with pytest.raises(Exception, match=address):
                await client.range(pb.RangeRequest(key=b"x"))

    with etcd_cluster(uses_tls=True) as cluster:
        asyncio.run(main(cluster))


def test_a_password_for_an_etcd_without_users_does_no_harm(one_etcd, prefix):
    async def main() -> None:
        async with (
            etcd_client(one_etcd, username="berth", password="secret") as client,
            led_store(client, prefix) as (store, _),
        ):
            await store.commit_nowait([Put("n", b"1")])

    asyncio.run(main())


# -- What etcd refuses, and settings


def test_the_model_and_etcd_refuse_the_same_transactions(backend, prefix):
    put = pb.RequestOp(request_put=pb.PutRequest(key=f"{prefix}x".encode(), value=b"1"))
    puts = [
        pb.RequestOp(request_put=pb.PutRequest(key=f"{prefix}{i}".encode())) for i in range(129)
    ]
    huge = pb.PutRequest(key=f"{prefix}x".encode(), value=bytes(1_600_000))

    async def main() -> None:
        async with backend.connect() as api:
            for request in (
                pb.TxnRequest(success=[put, put]),
                pb.TxnRequest(success=puts),
                pb.TxnRequest(success=[pb.RequestOp(request_put=huge)]),
            ):
                with pytest.raises(EtcdRefusedError):
                    await api.txn(request)

    asyncio.run(main())


def test_wrong_settings_are_refused_all_at_once():
    with pytest.raises(ConfigError) as refusal:
        EtcdSettings(
            endpoints=("nowhere", "h:1"), prefix="berth", cert_file="/no/such", username="u"
        )
    paths = [fault.path for fault in refusal.value.faults]
    assert paths == [
        "etcd.endpoints", "etcd.prefix", "etcd.cert_file", "etcd.password", "etcd.cert_file",
    ]  # fmt: skip
