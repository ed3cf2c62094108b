"""What the leader may ask of the cluster's store.

Duty: the port `ClusterStore` and the values that cross it.
Not here: etcd (scheduler.store.etcd_store), what the documents contain (scheduler.store.records).
Invariants of every implementation (tests/contract/test_cluster_store.py): commits take effect in
the order of the calls, each exactly once, and none after the epoch has been superseded.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from berth.model.ids import Revision
from berth.model.instant import Timestamp


class Put(NamedTuple):  # Half the cost of a frozen dataclass; a burst makes one for each node.
    """Set `key` (relative to the cluster's prefix, for example ``services/abc``) to `value`."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove `key`. Removing what is not there is no error."""

    key: str


Change = Put | Delete


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """Everything under the prefix at one revision, except leader keys and the commit sequence."""

    entries: Mapping[str, bytes]
    revision: Revision


class StoreState(StrEnum):
    """How the store does, as far as the last calls tell."""

    OK = "ok"
    NO_QUORUM = "no_quorum"  # etcd has no leader, or does not answer in time.
    NO_SPACE = "no_space"  # etcd's quota is used up: it must be compacted, defragmented, disarmed.
    UNREACHABLE = "unreachable"  # No member could be reached, or it does not let us in.


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """The store's state for `/readyz` and metrics."""

    state: StoreState
    since: Timestamp
    last_error: str = ""


class StoreObserver(Protocol):
    """What a store tells the scheduler's metrics."""

    def committed(self, changes: int, size_bytes: int, duration_s: float) -> None:
        """Note one durable transaction.

        Args:
            changes: how many puts and deletes it carried.
            size_bytes: the size of the request.
            duration_s: from the first call queued into it until it was known to be durable.
        """
        ...

    def store_error(self, kind: str) -> None:
        """Note one failed call; `kind` is the `kind` of an error in scheduler.store.errors."""
        ...

    def in_flight(self, count: int) -> None:
        """Note how many transactions are sent and not yet answered."""
        ...


class SilentObserver:
    """A `StoreObserver` for those who count nothing."""

    def committed(self, changes: int, size_bytes: int, duration_s: float) -> None:
        """Ignore it."""

    def store_error(self, kind: str) -> None:
        """Ignore it."""

    def in_flight(self, count: int) -> None:
        """Ignore it."""


class ClusterStore(Protocol):
    """The cluster's documents, open for one leadership."""

    @property
    def health(self) -> StoreHealth:
        """How the store does, as far as the last calls tell."""
        ...

    async def load(self) -> StoreSnapshot:
        """Read every document, linearizably, at one revision.

        Raises:
            StaleEpochError: the leadership is over. Rejoin the election.
            EtcdRefusedError: etcd does not let us read. Look at user, role and prefix.
        """
        ...

    def commit_nowait(self, changes: Sequence[Change]) -> asyncio.Future[Revision]:
        """Queue `changes` and return at once.

        The changes of one call that fit into one transaction (127 changes, about 1.5 MiB) take
        effect together; a larger call is cut into several, in order. The future resolves when all
        are durable, to a revision of the store that contains them; revisions never go back from
        one call to the next. A transient outage only delays it (see `health`).

        The future raises:
            StaleEpochError: the leadership is over, and every later commit fails too. Changes that
                had been sent may be in the store or not; those queued later are not.
            ValueTooLargeError: a value cannot be stored; nothing of this call was.
            StoreUnavailableError: the store was closed.
        """
        ...

    async def aclose(self) -> None:
        """Stop writing. Commits that are not durable yet fail; await them first if they matter."""
        ...
