"""Up to where a leader's events may be told: each commit's delivery moves the mark.

Not here: the events (scheduler.core.chronicle), commits (scheduler.leader), telling
(scheduler.control.event_reading).
"""

import asyncio
from collections.abc import Callable
from functools import partial

from berth.model.ids import Revision
from scheduler.core.chronicle import Chronicle


class EventMark:
    """See the module."""

    def __init__(self, chronicle: Chronicle, check_leading: Callable[[], None]) -> None:
        """Begin with what was loaded; `check_leading` raises once the leadership has ended."""
        self.durable_ns = chronicle.last_ns
        """Events up to this time may be told: what they tell of is durable."""
        self._chronicle = chronicle
        self._check_leading = check_leading
        self._committed_ns = chronicle.last_ns
        self._news = asyncio.Event()

    def take(self) -> list[Callable[[Revision], None]]:
        """Return what to call once all that was noted is durable, if anything was."""
        if self._chronicle.last_ns <= self._committed_ns:
            return []
        self._committed_ns = self._chronicle.last_ns
        return [partial(self._publish, self._committed_ns)]

    def _publish(self, to_ns: int, _revision: Revision) -> None:
        self.durable_ns = to_ns
        self._news.set()

    def end(self) -> None:
        """Let all who wait find out that the leadership is over."""
        self._news.set()

    async def wait_news(self, after_ns: int) -> None:
        """Wait for events after `after_ns` that may be told.

        Raises:
            NotLeaderError: leadership ended.
        """
        while self.durable_ns <= after_ns:
            self._check_leading()
            self._news.clear()
            await self._news.wait()
