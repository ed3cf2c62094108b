"""Which commits are on their way to the store, and what is in them.

Duty: say what an answer that was read from memory must wait for. Not here: making commits
(scheduler.leader), what differs from the store and is in no commit yet (scheduler.core.unsaved).
Invariant (tests/unit/scheduler/test_commits_under_way.py): nothing is said to be durable that rests
on a commit which is not answered, or which was refused.
"""

import asyncio
from collections import deque
from collections.abc import Collection

from berth.model.ids import Revision, ServiceId
from scheduler.core.unsaved import Unsaved


class CommitsUnderWay:
    """Commits in their order; they become durable in this order too."""

    def __init__(self) -> None:
        self._commits: deque[tuple[Unsaved, asyncio.Future[Revision]]] = deque()
        self.last: asyncio.Future[Revision] | None = None
        """The newest commit, durable or not; None before the first."""

    def add(self, saved: Unsaved, durable: asyncio.Future[Revision]) -> None:
        """Note a commit of `saved` that was handed to the store."""
        self._forget_durable()  # Here too: for months there may be nobody who reads.
        self._commits.append((saved, durable))
        self.last = durable
        durable.add_done_callback(_mark_retrieved)

    def newest_with(
        self, services: Collection[ServiceId] | None
    ) -> asyncio.Future[Revision] | None:
        """Return the newest commit that is not durable and holds what users see of `services`.

        Args:
            services: which; None = of everything.
        """
        self._forget_durable()
        for saved, durable in reversed(self._commits):
            # After a refused one nothing that memory holds may leave.
            if _is_refused(durable) or saved.concerns(services):
                return durable
        return None

    def __len__(self) -> int:
        """How many are kept: those that are not known to be durable."""
        return len(self._commits)

    def _forget_durable(self) -> None:
        while self._commits and _is_durable(self._commits[0][1]):
            self._commits.popleft()


def _is_durable(commit: asyncio.Future[Revision]) -> bool:
    return commit.done() and not _is_refused(commit)


def _is_refused(commit: asyncio.Future[Revision]) -> bool:
    return commit.done() and (commit.cancelled() or commit.exception() is not None)


def _mark_retrieved(commit: asyncio.Future[Revision]) -> None:
    # Its failure is met by the delivery, or by nobody once the leadership has ended.
    if not commit.cancelled():
        commit.exception()
