"""Follow the cluster's events while somebody listens, and hand them to all who do.

Duty: one stream from the leader for all listeners of this process, opened anew under the next one;
the newest batches, which each listener reads at its own pace; an end for those who are too slow.
Not here: what is news (event_stream), which events a client wants (translate.events), HTTP
(routes.events).

What waits for the slowest listener is bounded. A full store of batches holds up the stream for a
few seconds at most, which the leader's own memory covers; then whoever is that far behind is cut
off.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from berth.client import ControlClient
from berth.clock import Clock
from berth.errors import BerthError
from berth.views import EventBatch
from gateway.event_stream import EventStream
from gateway.translate.events import Told

log = structlog.get_logger()

RETRY_PAUSE_S: Final = 0.3
KEPT_MAX: Final = 32_768
"""Events that wait for the slowest listener."""
PATIENCE_S: Final = 5.0
"""How long all together wait for a listener that is so far behind."""


@dataclass(slots=True)
class Batch:
    """Events that came together, and what of them was written for whom."""

    epoch: int
    events: Sequence[Told]
    lines: dict[str, bytes] = field(default_factory=dict)
    """By listeners' wishes: many have the same."""


class Listener:
    """Reads what the feed keeps, from where it came in."""

    def __init__(self, feed: "EventFeed", next_batch: int, *, wants_tasks: bool) -> None:
        self.next_batch = next_batch
        self.wants_tasks = wants_tasks
        self.patience_s = PATIENCE_S
        self.is_cut_off = False
        self._feed = feed

    async def next(self) -> Batch | None:
        """Wait for the next batch; None once it was cut off, being too slow."""
        while not self.is_cut_off:
            batch = self._feed.batch(self.next_batch)
            if batch is not None:
                self.next_batch += 1
                self._feed.note_progress(self)
                return batch
            await self._feed.wait_change()
        return None


class EventFeed:
    """See the module. `run` must be running."""

    def __init__(self, client: ControlClient, clock: Clock, scheduler: str) -> None:
        """Follow nothing yet.

        Args:
            client: reaches the leader, wherever it is.
            clock: for pauses.
            scheduler: our name.
        """
        self._client = client
        self._clock = clock
        self._scheduler = scheduler
        self._listeners: set[Listener] = set()
        self._batches: deque[Batch] = deque()
        self._first = 0
        """The number of the first of `_batches`."""
        self._kept = 0
        self._stream: EventStream | None = None
        self._follows_tasks: bool | None = None
        """What the open stream brings; None while there is none."""
        self._failures = 0
        self._failure: BerthError | None = None
        self._changed = asyncio.Event()
        self._progress = asyncio.Event()

    # -- listeners

    @contextmanager
    def listening(self, *, wants_tasks: bool) -> Iterator[Listener]:
        """Let a listener in for the time of the block; `ready` says from when on it hears."""
        next_batch = self._first + len(self._batches)
        listener = Listener(self, next_batch, wants_tasks=wants_tasks)
        self._listeners.add(listener)
        self._note_change()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            self._note_change()
            self._progress.set()

    async def ready(self, listener: Listener) -> None:
        """Return once a stream is open that brings what `listener` wants.

        Raises:
            BerthError: none could be opened.
        """
        failures = self._failures
        while self._follows_tasks is None or self._follows_tasks < listener.wants_tasks:
            if self._failures > failures and self._failure is not None:
                raise self._failure
            await self.wait_change()

    async def check(self) -> None:
        """Ask whether anybody tells of events.

        Raises:
            BerthError: nobody does.
        """
        async with aclosing(self.past(0, with_tasks=False)) as batches:
            await anext(batches)

    def past(self, since_ns: int, *, with_tasks: bool) -> AsyncGenerator[EventBatch, None]:
        """Yield what the cluster remembers from `since_ns` on, up to now."""
        return self._client.watch_events(since_ns=since_ns, follow=False, with_tasks=with_tasks)

    def batch(self, number: int) -> Batch | None:
        """Return a batch by its number, None if it has not come yet."""
        assert number >= self._first, "what a listener has not read is kept"
        place = number - self._first
        return self._batches[place] if place < len(self._batches) else None

    def note_progress(self, listener: Listener) -> None:
        """A listener has read a batch."""
        if listener.next_batch == self._first + len(self._batches):
            listener.patience_s = PATIENCE_S
        self._progress.set()

    async def wait_change(self) -> None:
        """Wait until a batch has come or the stream was opened or has failed."""
        self._changed.clear()
        await self._changed.wait()

    def _note_change(self) -> None:
        self._changed.set()

    # -- the stream

    async def run(self) -> None:
        """Follow for ever, while anybody listens."""
        while True:
            while not self._listeners:
                self._forget()
                await self.wait_change()
            with_tasks = self._wants_tasks()
            following = asyncio.ensure_future(self._follow(with_tasks=with_tasks))
            changing = asyncio.ensure_future(self._wait_other_wish(with_tasks=with_tasks))
            try:
                await asyncio.wait({following, changing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._follows_tasks = None
                for task in (following, changing):
                    task.cancel()
                ends = await asyncio.gather(following, changing, return_exceptions=True)
            if isinstance(ends[0], BerthError):
                self._note_failure(ends[0])
                await self._clock.sleep(RETRY_PAUSE_S)
            elif isinstance(ends[0], Exception):
                raise ends[0]

    def _wants_tasks(self) -> bool:
        return any(listener.wants_tasks for listener in self._listeners)

    async def _wait_other_wish(self, *, with_tasks: bool) -> None:
        while self._listeners and self._wants_tasks() == with_tasks:
            await self.wait_change()

    def _note_failure(self, failure: BerthError) -> None:
        # No leader for a moment: the next one tells what happened meanwhile.
        log.debug("events_stream_ended", error=failure.message)
        self._failure = failure
        self._failures += 1
        self._note_change()

    def _forget(self) -> None:
        self._stream = None
        self._first += len(self._batches)
        self._batches.clear()
        self._kept = 0

    async def _follow(self, *, with_tasks: bool) -> None:
        stream = self._stream = self._stream or EventStream(self._scheduler)
        batches = self._client.watch_events(
            since_ns=stream.since_ns,
            follow=True,
            with_tasks=with_tasks,
            epoch=stream.epoch,
            told_object_ns=stream.told_object_ns,
        )
        async with aclosing(batches) as opened:
            async for batch in opened:
                if self._follows_tasks is None:
                    news = stream.begin(batch, with_tasks=with_tasks)
                    self._follows_tasks = with_tasks
                    self._note_change()
                else:
                    news = stream.take(batch)
                if news:
                    self._add(Batch(batch.epoch, news))  # First: what was taken is kept.
                    await self._make_room()

    def _add(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._kept += len(batch.events)
        self._note_change()

    async def _make_room(self) -> None:
        """Let go of what all have read; wait a little for those who are far behind."""
        self._let_go()
        while self._kept >= KEPT_MAX:
            slow = [each for each in self._listeners if each.next_batch == self._first]
            began = self._clock.instant()
            self._progress.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(each.patience_s for each in slow)):
                    await self._progress.wait()
            waited_s = self._clock.instant() - began
            for listener in slow:
                listener.patience_s -= waited_s
                if listener.patience_s <= 0:
                    self._cut_off(listener)
            self._let_go()

    def _cut_off(self, listener: Listener) -> None:
        log.warning("events_listener_cut_off", behind=self._kept)
        listener.is_cut_off = True
        self._listeners.discard(listener)
        self._note_change()

    def _let_go(self) -> None:
        read_to = min((each.next_batch for each in self._listeners), default=None)
        while self._batches and (read_to is None or self._first < read_to):
            self._kept -= len(self._batches.popleft().events)
            self._first += 1
