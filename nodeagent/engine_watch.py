"""Whether the Docker Engine answers, and what follows when it does not for long.

Duty: remember what calls and events tell of it; repeat a call until it answers. After `AWAY_S` the
node withdraws: it ends its session until the Engine is back, so that the leader counts it as a node
that is away, gives it nothing, and moves its tasks when it stays away. A session that lasted would
show a node that can do nothing as ready.
Not here: which calls there are (runtime), the session itself (link.session).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import structlog

from berth.clock import Clock
from nodeagent.core.backoff import ENGINE_FIRST_S, ENGINE_MAX_S, doubled_s
from nodeagent.observer import AgentObserver
from nodeagent.runtime.port import RuntimeCallError

log = structlog.get_logger(__name__)

T = TypeVar("T")

AWAY_S: Final = 10.0
"""A dockerd that is restarted with live-restore is back, and was found, before."""


class Withdrawable(Protocol):
    """The session, as far as it matters here."""

    async def withdraw(self) -> None:
        """End the session, and hold none until `resume`."""
        ...

    def resume(self) -> None:
        """Hold sessions again; harmless when it does."""
        ...


class EngineWatch:
    """`note` what is seen of the Engine; `run` lets the session know."""

    def __init__(self, session: Withdrawable, observer: AgentObserver, clock: Clock) -> None:
        self.is_up = False
        self._clock = clock
        self._session = session
        self._observer = observer
        self._changed = asyncio.Event()

    def note(self, is_up: bool, why: str = "") -> None:
        """Take in that it answered, or did not."""
        if is_up == self.is_up:
            return
        self.is_up = is_up
        self._changed.set()
        self._observer.engine_seen(is_up)
        if is_up:
            log.info("engine_answers")
        else:
            log.warning("engine_away", why=why)

    async def persist(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call that must succeed in the end, with back-off."""
        failures, told = 0, ""
        while True:
            try:
                found = await call()
            except RuntimeCallError as error:
                failures += 1
                self.note(False, error.message)
                delay_s = doubled_s(ENGINE_FIRST_S, ENGINE_MAX_S, failures)
                # Once for each reason: an Engine may be away for days.
                tell = log.debug if error.message == told else log.warning
                told = error.message
                tell("engine_unavailable", what=what, why=told, retry_in_s=delay_s)
                await self._clock.sleep(delay_s)
            else:
                self.note(True)
                return found

    async def run(self) -> None:
        """Withdraw whenever it was away for too long, and resume when it is back."""
        while True:
            self._changed.clear()
            if self.is_up:
                self._session.resume()
                await self._changed.wait()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AWAY_S):
                    await self._changed.wait()
                    continue
            log.warning("node_withdraws", why="the Docker Engine does not answer")
            await self._session.withdraw()
            await self._changed.wait()
