"""Keep the journal up to date: soon after a change, at once when it matters.

Duty: when to write, one write at a time, and telling when it fails.
Not here: what is written (nodeagent.core.record), bytes and files (nodeagent.journal).
Invariant (tests/unit/nodeagent/test_agent_timers.py): what was asked for before `save` began is in
what it writes.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from berth.clock import Clock
from nodeagent.core.isolation import fence_delay_s
from nodeagent.core.record import to_record
from nodeagent.core.state import AgentState
from nodeagent.journal import Journal
from nodeagent.observer import AgentObserver

log = structlog.get_logger(__name__)

JOURNAL_DELAY_S = 0.2
"""Changes of status within this time are written together; assignments are written at once."""

HEARD_REFRESH_S = 5.0
"""How often the journal is told that a leader is at hand, when a service asks for fencing."""

RETRY_S = 5.0
"""How soon a write that failed is tried again, whether or not anything changes."""


class JournalKeeper:
    """Writes one agent's journal."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        observer: AgentObserver,
        state: Callable[[], AgentState],
        then: Callable[[], Awaitable[None]],
    ) -> None:
        """Write nothing yet; `then` is awaited after each write that `run` makes."""
        self._journal = journal
        self._clock = clock
        self._observer = observer
        self._state = state
        self._then = then
        self._is_due = asyncio.Event()
        self._is_urgent = asyncio.Event()
        self._saving = asyncio.Lock()
        self.problem = ""
        """Why it could not be written last, while that is so."""

    def ask(self, *, is_urgent: bool) -> None:
        """Have it written: at once, or with what comes in the next moments."""
        self._is_due.set()
        if is_urgent:
            self._is_urgent.set()

    async def run(self) -> None:
        """Write whenever somebody asked."""
        while True:
            # A timer only where it is needed: what changes that asks for the journal, too.
            await _wait_set(self._is_due, self._refresh_s())
            if not self._is_due.is_set() and self._refresh_s() is None:
                continue
            await _wait_set(self._is_urgent, JOURNAL_DELAY_S)
            await self.save()
            await self._then()

    def _refresh_s(self) -> float | None:
        """Return after how long it is written though nobody asked, None for never."""
        if self.problem:
            return RETRY_S
        return HEARD_REFRESH_S if self._must_note_hearing() else None

    def _must_note_hearing(self) -> bool:
        """Tell whether an agent that dies now must know later when a leader was last at hand."""
        state = self._state()
        return state.is_connected and any(
            fence_delay_s(template) is not None for template in state.templates.values()
        )

    async def save(self) -> None:
        """Write it. A failure is told and costs only what a restart would have known."""
        async with self._saving:
            self._is_due.clear()
            self._is_urgent.clear()
            begun = self._clock.instant()
            record = to_record(self._state(), begun, self._clock.timestamp())
            try:
                await self._journal.save(record)
            except OSError as error:
                self._observer.journal_written(0.0, False)
                # Once for each reason: a disk that is full would fill the log otherwise.
                tell = log.debug if str(error) == self.problem else log.error
                tell("journal_not_written", why=str(error))
                self.problem = str(error)
            else:
                self._observer.journal_written(self._clock.instant() - begun, True)
                if self.problem:
                    log.info("journal_written_again")
                self.problem = ""


async def _wait_set(event: asyncio.Event, limit_s: float | None) -> None:
    """Wait until `event` is set, but not for longer; a timer is made only where it is not yet."""
    if event.is_set():
        return
    if limit_s is None:
        await event.wait()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()
