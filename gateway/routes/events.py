"""/events: a stream of what happens in the cluster.

Invariants (tests/unit/gateway/test_event_routes.py): the headers leave as soon as the listener is
heard; between what is remembered and what happens from now on nothing is left out or told twice.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from berth.errors import InvalidRequestError, UnavailableError
from berth.views import EventBatch
from gateway.answers import to_json
from gateway.context import Gateway, gateway_of
from gateway.events import Batch, Listener
from gateway.filters import Filters
from gateway.translate.events import (
    EVENT_FILTERS,
    OBJECTS,
    TASK,
    Told,
    gap,
    is_wanted,
    told,
    wants_tasks,
)

_NS_PER_S: Final = 1_000_000_000
_TIME: Final = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9})\d*)?")
_SEQUENCE: Final = "application/json-seq"
_FORMS: Final = ("application/jsonl", "application/x-ndjson", _SEQUENCE)
_PLAIN_FORM: Final = "application/json"
_TOO_SLOW: Final = "this listener reads too slowly and is cut off; listen again"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for."""

    filters: Filters
    since_ns: int
    """0 = from now on, 1 = whatever is remembered."""
    until_ns: int | None
    form: str
    key: str
    """The same for listeners who get the very same lines."""

    def line(self, event: Told) -> bytes:
        """Return an event as it is sent."""
        return (b"\x1e" if self.form == _SEQUENCE else b"") + to_json(event.written()) + b"\n"

    def wants(self, event: Told) -> bool:
        """Return whether an event is to be sent."""
        is_late = self.until_ns is not None and event.time_ns > self.until_ns
        return not is_late and is_wanted(event, self.filters)

    def lines(self, events: Iterable[Told]) -> bytes:
        """Return what is sent of some events."""
        return b"".join(self.line(event) for event in events if self.wants(event))


@dataclass(slots=True)
class _Heard:
    """How far a listener was told what is remembered."""

    epoch: int = 0
    to_ns: int = 0
    object_ns: int = 0
    """Of objects, whose times rise over all leaderships."""

    def note(self, batch: EventBatch) -> None:
        self.epoch, self.to_ns = batch.epoch, batch.position_ns
        self.object_ns = max(self.object_ns, batch.newest_object_ns)

    def has(self, event: Told, epoch: int) -> bool:
        """Return whether an event of a later batch was told already."""
        if event.missed:
            return False
        if epoch == self.epoch:
            return event.time_ns <= self.to_ns
        return event.kind != TASK and event.time_ns <= self.object_ns

    def has_none_of(self, batch: Batch) -> bool:
        to_ns = self.to_ns if batch.epoch == self.epoch else self.object_ns
        return batch.events[0].time_ns > to_ns


async def stream_events(request: Request) -> Response:
    """GET /events."""
    gateway, wish = gateway_of(request), _wish(request)
    is_past = wish.until_ns is not None and wish.until_ns < gateway.clock.timestamp() * _NS_PER_S
    lines = _past_lines(gateway, wish, _Heard()) if is_past else _lines(gateway, wish)
    await anext(lines)  # Refusals still have their own status.
    return StreamingResponse(lines, media_type=wish.form)


async def _lines(gateway: Gateway, wish: Wish) -> AsyncGenerator[bytes, None]:
    """Yield what is remembered, then what happens; the first piece is empty."""
    feed, heard = gateway.events, _Heard()
    await feed.check()
    with feed.listening(wants_tasks=wants_tasks(wish.filters)) as listener:
        await feed.ready(listener)
        async with aclosing(_past_lines(gateway, wish, heard)) as past:
            async for piece in past:
                yield piece
        async with aclosing(_coming_lines(gateway, wish, heard, listener)) as coming:
            async for piece in coming:
                yield piece


async def _past_lines(gateway: Gateway, wish: Wish, heard: _Heard) -> AsyncGenerator[bytes, None]:
    with_tasks = wants_tasks(wish.filters)
    async with aclosing(gateway.events.past(wish.since_ns, with_tasks=with_tasks)) as batches:
        first = await anext(batches)
        heard.note(first)
        yield b""
        yield wish.lines(_missing(gateway, wish, first, with_tasks=with_tasks))
        async for batch in batches:
            heard.note(batch)
            events = [told(event) for event in batch.events]
            heard.object_ns = max([heard.object_ns, *_object_times(events)])
            yield wish.lines(events)


def _object_times(events: Iterable[Told]) -> Iterable[int]:
    return (event.time_ns for event in events if event.kind != TASK)


def _missing(gateway: Gateway, wish: Wish, first: EventBatch, *, with_tasks: bool) -> list[Told]:
    """Return what must be said when not all that a client asks for is remembered."""
    if wish.since_ns <= 1:
        return []
    found, name = [], gateway.settings.scheduler
    if first.objects_from_ns > wish.since_ns:
        reason = "so far back is not remembered; list what there is"
        found.append(gap(first.objects_from_ns, name, OBJECTS, reason))
    if with_tasks and first.tasks_from_ns > wish.since_ns:
        reason = "so far back is not remembered, or another led; list tasks to see what there is"
        found.append(gap(first.tasks_from_ns, name, (TASK,), reason))
    return found


async def _coming_lines(
    gateway: Gateway, wish: Wish, heard: _Heard, listener: Listener
) -> AsyncGenerator[bytes, None]:
    while True:
        try:
            async with asyncio.timeout(_left_s(gateway, wish)):
                batch = await listener.next()
        except TimeoutError:
            return
        if batch is None:
            at_ns = int(gateway.clock.timestamp() * _NS_PER_S)
            kinds = (*OBJECTS, TASK)
            yield wish.line(gap(at_ns, gateway.settings.scheduler, kinds, _TOO_SLOW))
            raise UnavailableError(_TOO_SLOW)
        lines = _lines_of(batch, wish, heard)
        if lines:
            yield lines


def _left_s(gateway: Gateway, wish: Wish) -> float | None:
    if wish.until_ns is None:
        return None
    return max(wish.until_ns / _NS_PER_S - gateway.clock.timestamp(), 0.0)


def _lines_of(batch: Batch, wish: Wish, heard: _Heard) -> bytes:
    if wish.until_ns is not None or not heard.has_none_of(batch):
        return wish.lines(event for event in batch.events if not heard.has(event, batch.epoch))
    lines = batch.lines.get(wish.key)
    if lines is None:
        lines = batch.lines[wish.key] = wish.lines(batch.events)
    return lines


def _wish(request: Request) -> Wish:
    text = request.query_params.get("filters", "")
    since, until = _moment(request, "since"), _moment(request, "until")
    if since is not None and until is not None and until < since:
        words = (request.query_params[name] for name in ("since", "until"))
        raise InvalidRequestError(
            "`since` time ({}) cannot be after `until` time ({})".format(*words)
        )
    begin = 0 if since is None and until is None else max(since or 0, 1)
    form = _form(request.headers.get("accept", ""))
    return Wish(Filters.from_text(text, EVENT_FILTERS), begin, until, form, f"{form} {text}")


def _form(accept: str) -> str:
    """Return the first form that a client accepts and that is one of streams of JSON."""
    asked = (part.partition(";")[0].strip() for part in accept.split(","))
    return next((form for form in asked if form in _FORMS), _PLAIN_FORM)


def _moment(request: Request, name: str) -> int | None:
    """Return a time of the query in nanoseconds; a float would lose the last digits."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise InvalidRequestError(f'{name}: "{text}" is not a time; send seconds since 1970')
    sign, seconds, fraction = found.groups()
    if sign:
        return 0
    return int(seconds) * _NS_PER_S + int((fraction or "").ljust(9, "0"))


ROUTES = [Route("/events", stream_events, methods=["GET"])]
