"""What a `ClusterStore` promises, on the model and on a real etcd alike."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from berth.clock import SystemClock
from berth.errors import InternalError, StaleEpochError, StoreUnavailableError
from scheduler.election.etcd_election import EtcdElection, EtcdLeadership
from scheduler.store.commit_queue import REQUEST_BYTES_MAX
from scheduler.store.errors import ValueTooLargeError
from scheduler.store.etcd_api import EtcdApi, prefix_end
from scheduler.store.etcd_store import EtcdStore
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.port import Delete, Put, StoreState
from tests.contract.conftest import Backend

Body = Callable[[EtcdApi, EtcdStore, EtcdLeadership], Awaitable[None]]


@asynccontextmanager
async def led_store(
    api: EtcdApi, prefix: str, name: str = "s1"
) -> AsyncIterator[tuple[EtcdStore, EtcdLeadership]]:
    clock = SystemClock()
    election = EtcdElection(api, prefix, name, f"{name}.test:7701", 5, clock)
    leadership = await election.campaign()
    store = EtcdStore(api, prefix, leadership, None, clock)
    try:
        yield store, leadership
    finally:
        await store.aclose()
        await election.aclose()


def run(backend: Backend, prefix: str, body: Body) -> None:
    async def main() -> None:
        async with backend.connect() as api, led_store(api, prefix) as (store, leadership):
            await asyncio.wait_for(body(api, store, leadership), 60)

    asyncio.run(main())


async def entries_of(api: EtcdApi, prefix: str) -> dict[str, pb.KeyValue]:
    root = prefix.encode()
    response = await api.range(pb.RangeRequest(key=root, range_end=prefix_end(root)))
    return {entry.key.decode().removeprefix(prefix): entry for entry in response.kvs}


def test_what_was_committed_is_loaded(backend, prefix):
    async def body(api, store, leadership):
        assert dict((await store.load()).entries) == {}
        revision = await store.commit_nowait([Put("services/a", b"one"), Put("nodes/n", b"\0\xff")])
        snapshot = await store.load()
        assert dict(snapshot.entries) == {"services/a": b"one", "nodes/n": b"\0\xff"}
        assert snapshot.revision >= revision
        await store.commit_nowait([Delete("services/a"), Delete("services/never-there")])
        assert dict((await store.load()).entries) == {"nodes/n": b"\0\xff"}

    run(backend, prefix, body)


def test_neighbours_under_other_prefixes_are_not_loaded(backend, prefix):
    async def body(api, store, leadership):
        await store.commit_nowait([Put("commits", b"not the sequence"), Put("leaders", b"no key")])
        async with led_store(api, prefix + "inner/") as (inner, _):
            await inner.commit_nowait([Put("x", b"1")])
            assert dict((await inner.load()).entries) == {"x": b"1"}
        entries = (await store.load()).entries
        assert {key for key in entries if not key.startswith("inner/")} == {"commits", "leaders"}

    run(backend, prefix, body)


def test_pipelined_commits_take_effect_once_and_in_order(backend, prefix):
    async def body(api, store, leadership):
        futures = []
        for number in range(600):
            futures.append(store.commit_nowait([Put("counter", b"%d" % number)]))
            if number % 7 == 0:
                await asyncio.sleep(0.0015)  # Vary how many share a transaction.
        revisions = [await future for future in futures]
        assert revisions == sorted(revisions)
        assert len(set(revisions)) > 4, "there was no pipeline to speak of"
        seen = await history_of(api, f"{prefix}counter", revisions[0], revisions[-1])
        assert seen == sorted(set(seen))
        assert seen[-1] == 599

    run(backend, prefix, body)


async def history_of(api: EtcdApi, key: str, first: int, last: int) -> list[int]:
    """Return the numbers that `key` held between two revisions, in order."""
    seen: list[int] = []
    changes = api.watch(key.encode(), b"", first)
    try:
        async for events in changes:
            seen += [int(event.kv.value) for event in events]
            if events[-1].kv.mod_revision >= last:
                return seen
    finally:
        await changes.aclose()
    raise AssertionError("the watch ended")


def test_a_future_resolves_only_when_the_change_is_in_the_store(backend, prefix):
    async def body(api, store, leadership):
        for number in range(20):
            revision = await store.commit_nowait([Put("k", b"%d" % number)])
            request = pb.RangeRequest(key=f"{prefix}k".encode(), revision=revision)
            assert (await api.range(request)).kvs[0].value == b"%d" % number

    run(backend, prefix, body)


def test_changes_of_one_call_take_effect_together(backend, prefix):
    async def body(api, store, leadership):
        futures = [
            store.commit_nowait([Put(f"call{call}/{i}", b"") for i in range(size)])
            for call, size in enumerate([100, 60, 127, 1, 126, 90])
        ]
        await asyncio.gather(*futures)
        entries = await entries_of(api, prefix)
        for call in range(6):
            of_call = [e.mod_revision for k, e in entries.items() if k.startswith(f"call{call}/")]
            assert len(set(of_call)) == 1, f"call {call} was torn"

    run(backend, prefix, body)


def test_thousands_of_changes_in_one_call_are_cut_in_order(backend, prefix):
    async def body(api, store, leadership):
        changes = [Put(f"t/{i % 2500:04}", b"%d" % i) for i in range(5000)]
        revision = await store.commit_nowait(changes)
        snapshot = await store.load()
        assert snapshot.revision == revision
        assert dict(snapshot.entries) == {f"t/{i:04}": b"%d" % (i + 2500) for i in range(2500)}

    run(backend, prefix, body)


def test_large_documents_are_cut_by_size(backend, prefix):
    async def body(api, store, leadership):
        documents = {f"big/{i:02}": bytes([i]) * 400_000 for i in range(12)}
        await store.commit_nowait([Put(key, value) for key, value in documents.items()])
        await store.commit_nowait([Put("edge", b"x" * (REQUEST_BYTES_MAX - 100))])
        entries = dict((await store.load()).entries)
        assert len(entries.pop("edge")) == REQUEST_BYTES_MAX - 100
        assert entries == documents

    run(backend, prefix, body)


def test_a_value_over_the_limit_is_refused_by_name_and_harms_nothing_else(backend, prefix):
    async def body(api, store, leadership):
        before = store.commit_nowait([Put("a", b"1")])
        huge = store.commit_nowait([Put("b", b"1"), Put("services/huge", b"x" * 1_600_000)])
        after = store.commit_nowait([Put("c", b"1")])
        with pytest.raises(ValueTooLargeError, match=r'"services/huge" has 1600000 bytes'):
            await huge
        await before
        await after
        assert set((await store.load()).entries) == {"a", "c"}

    run(backend, prefix, body)


def test_an_empty_call_waits_for_those_before_it(backend, prefix):
    async def body(api, store, leadership):
        first = store.commit_nowait([Put("a", b"1")])
        revision = await store.commit_nowait([])
        assert first.done()
        assert revision >= await first

    run(backend, prefix, body)


def test_a_deposed_leader_is_refused_for_ever(backend, prefix):
    async def body(api, store, leadership):
        await store.commit_nowait([Put("k", b"old")])
        lease_id = int(leadership.key.rpartition("/")[2], 16)
        async with backend.connect() as other:
            await other.lease_revoke(lease_id)  # As if it had run out while we were not looking.
            async with led_store(other, prefix, "s2") as (successor, its_leadership):
                assert its_leadership.epoch > leadership.epoch
                await successor.commit_nowait([Put("k", b"new")])
                with pytest.raises(StaleEpochError) as refusal:
                    await store.commit_nowait([Put("k", b"stale")])
                assert refusal.value.ours == leadership.epoch
                assert refusal.value.current in (its_leadership.epoch, None)
                for _ in range(3):
                    with pytest.raises(StaleEpochError):
                        await store.commit_nowait([Put("k", b"stale")])
                with pytest.raises(StaleEpochError):
                    await store.load()
                assert dict((await successor.load()).entries) == {"k": b"new"}

    run(backend, prefix, body)


def test_commits_queued_by_a_deposed_leader_all_fail(backend, prefix):
    async def body(api, store, leadership):
        await store.commit_nowait([Put("k", b"old")])
        async with backend.connect() as other:
            await other.lease_revoke(int(leadership.key.rpartition("/")[2], 16))
        futures = [store.commit_nowait([Put(f"{i}", b"stale")]) for i in range(2000)]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert all(isinstance(outcome, StaleEpochError) for outcome in outcomes)
        assert set(await entries_of(api, prefix)) == {"k", "commit"}

    run(backend, prefix, body)


def test_a_resigned_leader_writes_no_more(backend, prefix):
    async def body(api, store, leadership):
        await store.commit_nowait([Put("k", b"1")])
        await leadership.resign()
        with pytest.raises(StaleEpochError):
            await store.commit_nowait([Put("k", b"2")])
        assert (await entries_of(api, prefix))["k"].value == b"1"

    run(backend, prefix, body)


def test_a_closed_store_refuses(backend, prefix):
    async def body(api, store, leadership):
        waiting = store.commit_nowait([Put("a", b"1")])
        await store.aclose()
        with pytest.raises(StoreUnavailableError, match="closed"):
            await waiting
        with pytest.raises(StoreUnavailableError, match="closed"):
            await store.commit_nowait([Put("a", b"1")])

    run(backend, prefix, body)


def test_a_second_store_of_the_same_epoch_is_refused(backend, prefix):
    async def body(api, store, leadership):
        await store.commit_nowait([Put("a", b"1")])
        second = EtcdStore(api, prefix, leadership, None, SystemClock())
        with pytest.raises(InternalError, match="one store"):
            await second.commit_nowait([Put("a", b"2")])
        await second.aclose()

    run(backend, prefix, body)


def test_a_cancelled_waiter_stops_nobody(backend, prefix):
    async def body(api, store, leadership):
        futures = [store.commit_nowait([Put(f"{i}", b"")]) for i in range(10)]
        futures[3].cancel()
        await futures[9]
        assert len((await store.load()).entries) == 10

    run(backend, prefix, body)


def test_many_documents_load_whole_at_one_revision_while_others_are_written(backend, prefix):
    async def body(api, store, leadership):
        documents = {f"placements/{i:05}": b"%05d" % i * 300 for i in range(6000)}
        await store.commit_nowait([Put(key, value) for key, value in documents.items()])
        loading = asyncio.ensure_future(store.load())
        while not loading.done():
            await store.commit_nowait([Put("placements/00000", b"late"), Put("zz", b"late")])
        entries = dict(loading.result().entries)
        if "zz" in entries:
            assert entries.pop("zz") == entries.pop("placements/00000") == b"late"
            documents.pop("placements/00000")
        assert entries == documents

    run(backend, prefix, body)


def test_a_store_that_works_is_healthy(backend, prefix):
    async def body(api, store, leadership):
        await store.commit_nowait([Put("a", b"1")])
        assert store.health.state is StoreState.OK

    run(backend, prefix, body)


def test_the_observer_hears_of_every_change(backend, prefix):
    class Counting:
        changes = size_bytes = 0
        most_in_flight = 0

        def committed(self, changes: int, size_bytes: int, duration_s: float) -> None:
            self.changes += changes
            self.size_bytes += size_bytes
            assert duration_s > 0

        def store_error(self, kind: str) -> None:
            raise AssertionError(kind)

        def in_flight(self, count: int) -> None:
            self.most_in_flight = max(self.most_in_flight, count)

    async def body(api, _, leadership):
        counting = Counting()
        store = EtcdStore(api, prefix, leadership, counting, SystemClock())
        await store.commit_nowait([Put(f"{i}", b"v" * 50) for i in range(1000)])
        await store.aclose()
        assert counting.changes == 1000
        assert counting.size_bytes > 50_000
        assert 2 <= counting.most_in_flight <= 4

    run(backend, prefix, body)
