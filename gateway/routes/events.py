"""/events: a stream of what happens in the cluster."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from berth.clock import Clock
from berth.model.instant import Timestamp
from gateway.answers import to_json
from gateway.context import gateway_of
from gateway.events import EventFeed, Listener
from gateway.filters import Filters
from gateway.requests import query_time

_NAMED: Final = ("config", "network", "node", "secret", "service", "task")
_ELSEWHERE: Final = ("container", "daemon", "image", "plugin", "volume")
"""Kinds of objects that single Engines tell about; asking for them alone yields nothing."""
_FILTERS: Final = ("event", "label", "scope", "type", *_NAMED, *_ELSEWHERE)


async def stream_events(request: Request) -> Response:
    """GET /events."""
    gateway = gateway_of(request)
    filters = Filters.from_text(request.query_params.get("filters", ""), _FILTERS)
    since, until = query_time(request, "since"), query_time(request, "until")
    listener = await gateway.events.open(wants_tasks=filters.exact("type", "task"))
    past = gateway.events.kept(since) if since is not None else []
    lines = _lines(gateway.events, listener, past, filters, until, gateway.clock)
    return StreamingResponse(lines, media_type="application/json")


async def _lines(
    feed: EventFeed,
    listener: Listener,
    past: list[dict[str, Any]],
    filters: Filters,
    until: Timestamp | None,
    clock: Clock,
) -> AsyncIterator[bytes]:
    with feed.closing(listener):
        yield b""  # The headers leave now, so that the client knows that it is heard.
        for event in past:
            if is_wanted(event, filters):
                yield to_json(event) + b"\n"
        left_s = None if until is None else max(until - clock.timestamp(), 0.0)
        try:
            async with asyncio.timeout(left_s):
                async for event in listener.events():
                    if is_wanted(event, filters):
                        yield to_json(event) + b"\n"
        except TimeoutError:
            return


def is_wanted(event: dict[str, Any], filters: Filters) -> bool:
    """Return whether a client asked for `event`."""
    actor = event["Actor"]
    attributes = actor["Attributes"]
    names = (actor["ID"], attributes.get("name", ""))
    return (
        filters.exact("event", event["Action"])
        and filters.exact("type", event["Type"])
        and filters.exact("scope", event["scope"])
        and filters.labels("label", attributes)
        and not any(filters.get(kind) for kind in _ELSEWHERE)
        and all(
            not filters.get(kind) or (event["Type"] == kind and filters.prefix(kind, *names))
            for kind in _NAMED
        )
    )


ROUTES = [Route("/events", stream_events, methods=["GET"])]
