"""Pack queued changes into transactions that etcd accepts. No I/O.

Duty: keep the order of calls, keep a call's changes together where they fit, and stay below etcd's
limits of 128 operations and 1.5 MiB a request.
Not here: sending (etcd_store), the request's form (commit_txn).
Invariants: a batch holds each key once, with the newest change to it; a call's future rides on the
batch that holds the last of its changes, which is enough because batches become durable in order.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from berth.model.ids import Revision
from berth.model.instant import Instant
from scheduler.store.errors import ValueTooLargeError
from scheduler.store.port import Change, Put

CHANGES_MAX: Final = 127  # etcd's --max-txn-ops is 128, and one is the commit sequence.
REQUEST_BYTES_MAX: Final = 1536 * 1024 - 64 * 1024  # etcd's limit less compares and framing.
CHANGE_OVERHEAD_BYTES: Final = 32  # Tags and lengths of one operation, rounded up.


@dataclass(slots=True)
class Batch:
    """Changes of one transaction, and who waits for it."""

    queued_at: Instant
    changes: dict[str, Change] = field(default_factory=dict)
    size_bytes: int = 0
    futures: list[asyncio.Future[Revision]] = field(default_factory=list)

    def accepts(self, count: int, size_bytes: int) -> bool:
        """Tell whether `count` more changes of `size_bytes` together surely fit."""
        return (
            len(self.changes) + count <= CHANGES_MAX
            and self.size_bytes + size_bytes <= REQUEST_BYTES_MAX
        )

    def add(self, change: Change, prefix_bytes: int) -> None:
        """Take in `change`; an earlier one of the same key is superseded."""
        superseded = self.changes.get(change.key)
        if superseded is not None:
            self.size_bytes -= size_of(superseded, prefix_bytes)
        self.changes[change.key] = change
        self.size_bytes += size_of(change, prefix_bytes)


class CommitQueue:
    """Batches that are not sent yet, oldest first."""

    def __init__(self, prefix: str) -> None:
        self._prefix_bytes = len(prefix.encode())
        self._batches: deque[Batch] = deque()

    def __bool__(self) -> bool:
        return bool(self._batches)

    @property
    def has_full_batch(self) -> bool:
        """Tell whether waiting could not make the first batch any fuller."""
        return len(self._batches) > 1 or (
            bool(self._batches) and not self._batches[0].accepts(1, CHANGE_OVERHEAD_BYTES)
        )

    @property
    def oldest(self) -> Instant:
        """Since when the first batch waits."""
        return self._batches[0].queued_at

    def add(
        self, changes: Sequence[Change], future: asyncio.Future[Revision], now: Instant
    ) -> None:
        """Queue one call. Without changes it waits for what was queued before it.

        Raises:
            ValueTooLargeError: a change cannot be stored; nothing of the call was queued.
        """
        sizes = [size_of(change, self._prefix_bytes) for change in changes]
        for change, size_bytes in zip(changes, sizes, strict=True):
            if size_bytes > REQUEST_BYTES_MAX:
                assert isinstance(change, Put)
                raise ValueTooLargeError(
                    key=change.key, size_bytes=len(change.value), limit_bytes=REQUEST_BYTES_MAX
                )
        batch = self._batches[-1] if self._batches else self._open_batch(now)
        total_bytes = sum(sizes)
        fits_in_one = len(changes) <= CHANGES_MAX and total_bytes <= REQUEST_BYTES_MAX
        if fits_in_one and not batch.accepts(len(changes), total_bytes):
            batch = self._open_batch(now)  # Keep together what can be kept together.
        for change, size_bytes in zip(changes, sizes, strict=True):
            if not batch.accepts(1, size_bytes):
                batch = self._open_batch(now)
            batch.add(change, self._prefix_bytes)
        batch.futures.append(future)

    def pop(self) -> Batch:
        """Take the first batch out."""
        return self._batches.popleft()

    def drain(self) -> list[Batch]:
        """Take all batches out."""
        batches = list(self._batches)
        self._batches.clear()
        return batches

    def _open_batch(self, now: Instant) -> Batch:
        batch = Batch(now)
        self._batches.append(batch)
        return batch


def size_of(change: Change, prefix_bytes: int) -> int:
    """Return at least the size of `change` within a request, in bytes."""
    size_bytes = prefix_bytes + len(change.key.encode()) + CHANGE_OVERHEAD_BYTES
    return size_bytes + len(change.value) if isinstance(change, Put) else size_bytes
