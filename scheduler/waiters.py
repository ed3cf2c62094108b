"""Who waits until something that memory holds is durable.

Duty: keep the waiting calls apart by what they wait for, and make what answers them. Not here: what
is durable (scheduler.commits_under_way, scheduler.core.unsaved), when to commit
(scheduler.commit_pace, scheduler.leader).

Users' changes wait for the records that they changed, and for nothing that follows from them: a
service is created once its record is durable, however long its tasks gather. Readers wait for what
they read, tasks included, and are patient. Some wait for all that memory holds.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from berth.model.ids import Revision
from berth.model.instant import NEVER, Instant
from scheduler.commit_pace import READ_PATIENCE_S

_Waiter = asyncio.Future[Revision]
_Answer = Callable[[Revision], None]


class Waiters:
    """See the module."""

    def __init__(self) -> None:
        self._changes: list[_Waiter] = []
        self._whole: list[_Waiter] = []
        self._readers: list[_Waiter] = []
        self._read_at = NEVER
        """When the first of the readers came."""
        self._unanswered: set[_Waiter] = set()
        """Every waiter until it is answered, in a list here or in a parcel."""

    def for_change(self) -> _Waiter:
        """Return what is answered once all records are durable, as memory holds them now."""
        return self._add(self._changes)

    def for_all(self) -> _Waiter:
        """Return what is answered once all that memory holds now is durable."""
        return self._add(self._whole)

    def for_reading(self, now: Instant) -> _Waiter:
        """Return the same for one who read at `now`: a burst need not hurry for it."""
        self._read_at = min(self._read_at, now)
        return self._add(self._readers)

    def for_commit(self, durable: _Waiter) -> _Waiter:
        """Return what is answered once a commit under way is durable."""
        waiter = self._add([])
        durable.add_done_callback(partial(_pass_on, waiter))
        return waiter

    def _add(self, waiting: list[_Waiter]) -> _Waiter:
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        waiting.append(waiter)
        self._unanswered.add(waiter)
        waiter.add_done_callback(self._unanswered.discard)
        return waiter

    @property
    def has_any(self) -> bool:
        """Whether anybody waits for a commit that is not made yet."""
        return bool(self._changes or self._whole or self._readers)

    @property
    def has_changes(self) -> bool:
        """Whether somebody waits for records alone."""
        return bool(self._changes)

    def are_pressing(self, now: Instant) -> bool:
        """Return whether somebody waits for more than records, and has waited long if he reads."""
        return bool(self._whole) or now - self._read_at >= READ_PATIENCE_S

    def take_changes(self) -> list[_Answer]:
        """Return what answers those who wait for records."""
        changes, self._changes = self._changes, []
        return [partial(_answer, waiter) for waiter in changes]

    def take_all(self) -> list[_Answer]:
        """Return what answers everybody who waits now."""
        answers = self.take_changes()
        answers += [partial(_answer, waiter) for waiter in (*self._whole, *self._readers)]
        self._whole, self._readers, self._read_at = [], [], NEVER
        return answers

    def end(self, cause: BaseException) -> None:
        """Tell everybody that nothing more becomes durable."""
        for waiter in self._unanswered:
            if not waiter.done():
                waiter.set_exception(cause)


def _answer(waiter: _Waiter, revision: Revision) -> None:
    if not waiter.done():
        waiter.set_result(revision)


def _pass_on(waiter: _Waiter, durable: _Waiter) -> None:
    """Answer `waiter` once a commit is durable; the end of the leadership answers otherwise."""
    if not durable.cancelled() and durable.exception() is None:
        _answer(waiter, durable.result())
