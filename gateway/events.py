"""Look at the cluster while somebody listens, and tell the listeners what changed.

Duty: one looker for all listeners of this process; a bounded queue for each. Not here: what a
change is (translate.events), HTTP (routes.events).

A listener hears what happens after it was let in. What came and went between two looks is not
seen. The pause after a look is ten times as long as the look took: listening never costs much.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog

from berth.client import ControlClient
from berth.clock import Clock
from berth.errors import BerthError, UnavailableError
from berth.model.files import FileKind
from berth.model.instant import Timestamp
from gateway.translate.events import Look, events_between, take_look

log = structlog.get_logger()

LOOK_PERIOD_S: Final = 1.0
_PAUSE_PER_LOOK: Final = 10.0
_QUEUE_MAX: Final = 10_000
_KEPT_MAX: Final = 1000


class Listener:
    """Events for one client, oldest first."""

    def __init__(self, *, wants_tasks: bool) -> None:
        self.wants_tasks = wants_tasks
        self._events: deque[dict[str, Any]] = deque()
        self._changed = asyncio.Event()
        self._is_overrun = False

    def put(self, event: dict[str, Any]) -> None:
        """Add an event; a client that does not read is cut off rather than told half."""
        if len(self._events) >= _QUEUE_MAX:
            self._is_overrun = True
        else:
            self._events.append(event)
        self._changed.set()

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield events as they come, for ever."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._is_overrun:
                raise UnavailableError("events came faster than they were read; listen again")
            self._changed.clear()
            await self._changed.wait()


class EventFeed:
    """See the module. `run` must be running."""

    def __init__(self, client: ControlClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._is_wanted = asyncio.Event()
        self._look: Look | None = None
        self._turn = asyncio.Lock()
        self._kept: deque[dict[str, Any]] = deque(maxlen=_KEPT_MAX)

    async def run(self) -> None:
        """Look for ever, while anybody listens."""
        while True:
            if not self._listeners:
                self._look = None
                self._is_wanted.clear()
                await self._is_wanted.wait()
            began = self._clock.instant()
            try:
                await self._look_again()
            except BerthError as error:
                # No leader for a moment: what happens meanwhile is seen by the next look.
                log.debug("events_look_failed", error=error.message)
            took_s = self._clock.instant() - began
            await self._clock.sleep(max(LOOK_PERIOD_S, took_s * _PAUSE_PER_LOOK))

    async def open(self, *, wants_tasks: bool) -> Listener:
        """Let a listener in; it hears all that happens from now on. `close` it.

        Raises:
            BerthError: the cluster cannot be looked at.
        """
        listener = Listener(wants_tasks=wants_tasks)
        self._listeners.add(listener)
        try:
            await self._look_again()
        except BaseException:
            self.close(listener)
            raise
        self._is_wanted.set()
        return listener

    def close(self, listener: Listener) -> None:
        """Let a listener go."""
        self._listeners.discard(listener)

    @contextmanager
    def closing(self, listener: Listener) -> Iterator[Listener]:
        """Let `listener` go when the block is left."""
        try:
            yield listener
        finally:
            self.close(listener)

    def kept(self, since: Timestamp) -> list[dict[str, Any]]:
        """Return what was told to anybody since then, as far as it is remembered."""
        since_ns = since * 1e9
        return [event for event in self._kept if event["timeNano"] >= since_ns]

    async def _look_again(self) -> None:
        async with self._turn:
            wants_tasks = any(listener.wants_tasks for listener in self._listeners)
            services = await self._client.list_services()
            nodes = await self._client.list_nodes()
            tasks = await self._client.list_tasks() if wants_tasks else None
            configs = await self._client.list_files(FileKind.CONFIG)
            secrets = await self._client.list_files(FileKind.SECRET)
            networks = await self._client.list_networks()
            new = take_look(services, nodes, tasks, configs, secrets, networks)
            old, self._look = self._look, new
            if old is None:
                return
            now = self._clock.timestamp()
            for event in events_between(old, new):
                written = event.written(now)
                self._kept.append(written)
                for listener in self._listeners:
                    if listener.wants_tasks or event.kind != "task":
                        listener.put(written)
