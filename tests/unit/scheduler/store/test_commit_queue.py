"""Packing changes into transactions: order, limits and who waits for which."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.model.instant import Instant
from scheduler.store.commit_queue import (
    CHANGES_MAX,
    REQUEST_BYTES_MAX,
    Batch,
    CommitQueue,
    size_of,
)
from scheduler.store.errors import ValueTooLargeError
from scheduler.store.port import Change, Delete, Put

PREFIX = "/berth/"
NOW = Instant(0.0)

# Half a dozen keys, so that they repeat; sizes around what forces a cut.
changes = st.one_of(
    st.builds(
        Put,
        st.integers(0, 5).map(str),
        st.tuples(st.integers(0, 255), st.sampled_from([0, 1, 600_000, 1_300_000])).map(
            lambda it: bytes([it[0]]) * it[1]
        ),
    ),
    st.builds(Delete, st.integers(0, 5).map(str)),
)


def drained(calls: list[list[Change]]) -> tuple[list[Batch], list[asyncio.Future]]:
    async def main() -> tuple[list[Batch], list[asyncio.Future]]:
        queue = CommitQueue(PREFIX)
        futures: list[asyncio.Future] = []
        for call in calls:
            futures.append(asyncio.get_running_loop().create_future())
            queue.add(call, futures[-1], NOW)
        batches = []
        while queue:
            batches.append(queue.pop())
        return batches, futures

    return asyncio.run(main())


def applied(batches: list[list[Change]]) -> dict[str, bytes]:
    state: dict[str, bytes] = {}
    for batch in batches:
        for change in batch:
            if isinstance(change, Put):
                state[change.key] = change.value
            else:
                state.pop(change.key, None)
    return state


@given(st.lists(st.lists(changes, max_size=4), max_size=8))
def test_batches_in_order_do_what_the_calls_did_in_order(calls):
    batches, futures = drained(calls)
    assert applied([list(batch.changes.values()) for batch in batches]) == applied(calls)
    riders = [future for batch in batches for future in batch.futures]
    assert riders == futures, "somebody waits for the wrong batch, or for none"
    for batch in batches:
        assert len(batch.changes) <= CHANGES_MAX
        sizes = [size_of(change, len(PREFIX)) for change in batch.changes.values()]
        assert batch.size_bytes == sum(sizes) <= REQUEST_BYTES_MAX


def test_a_call_that_fits_into_one_transaction_is_not_torn():
    batches, _ = drained(
        [[Put(f"a{i}", b"") for i in range(100)], [Put(f"b{i}", b"") for i in range(28)]]
    )
    assert [len(batch.changes) for batch in batches] == [100, 28]


def test_small_calls_share_a_transaction():
    batches, _ = drained([[Put(f"{i}", b"")] for i in range(CHANGES_MAX + 1)])
    assert [len(batch.changes) for batch in batches] == [CHANGES_MAX, 1]


def test_a_large_call_is_cut_and_its_waiter_rides_on_the_last_part():
    batches, futures = drained([[Put(f"{i}", b"") for i in range(300)]])
    assert [len(batch.changes) for batch in batches] == [127, 127, 46]
    assert [batch.futures for batch in batches] == [[], [], futures]


def test_a_refused_call_leaves_the_queue_as_it_was():
    async def main() -> None:
        queue = CommitQueue(PREFIX)
        future = asyncio.get_running_loop().create_future()
        with pytest.raises(ValueTooLargeError, match='"b"'):
            queue.add([Put("a", b""), Put("b", bytes(REQUEST_BYTES_MAX))], future, NOW)
        assert not queue

    asyncio.run(main())


def test_the_queue_knows_when_waiting_is_of_no_use():
    async def main() -> None:
        queue = CommitQueue(PREFIX)
        future = asyncio.get_running_loop().create_future()
        assert not queue.has_full_batch
        queue.add([Put(f"{i}", b"") for i in range(CHANGES_MAX - 1)], future, NOW)
        assert not queue.has_full_batch
        queue.add([Put("last", b"")], future, NOW)
        assert queue.has_full_batch

    asyncio.run(main())
