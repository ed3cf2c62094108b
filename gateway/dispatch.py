"""From a request to the route that answers it, in one look-up.

Duty: find a route by method and path, run it, turn what it raises into a refusal.
Not here: which routes there are (gateway.routes), who may use them (gateway.doors), versions and
headers (gateway.app).

Requests, responses and routes are Starlette's; its application is not used: seven calls around each
route, a pattern tried for each route before it, and a closure around each `send` cost a waiting
docker CLI as much as its answers did (bench.waiting).

Invariants (tests/unit/gateway/test_dispatch.py): the first of the routes that match answers, as in
Starlette; a refusal is an answer of its own, never the end of one that has begun.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from berth.errors import BerthError, InternalError
from gateway.errors import BUG, PAGE_NOT_FOUND, error_response

log = structlog.get_logger()

Endpoint = Callable[[Request], Awaitable[Response]]

CALL_KEY: Final = "berth.call"
"""In a request's scope: the name of the route that answers, one of a closed set."""


class Dispatcher:
    """Runs the route that a request names."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Sort `routes` by method and the first part of their paths, which is never a parameter."""
        self._routes: dict[tuple[str, str], list[Route]] = {}
        for route in routes:
            assert not _first_part(route.path).startswith("{"), route.path
            for method in route.methods or ():
                self._routes.setdefault((method, _first_part(route.path)), []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; ASGI's application."""
        response = await self._answer(scope, receive, send)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Response:
        found = self.find(scope["method"], scope["path"])
        if found is None:
            return error_response(PAGE_NOT_FOUND)  # Docker knows no "method not allowed".
        route, scope["path_params"] = found
        endpoint: Endpoint = route.endpoint
        scope[CALL_KEY] = endpoint.__name__
        try:
            return await endpoint(Request(scope, receive, send))
        except BerthError as error:
            if isinstance(error, InternalError):
                log.error("docker_request_failed", path=scope["path"], error=error.message)
            return error_response(error)
        except Exception as error:
            log.error("docker_request_crashed", path=scope["path"], exc_info=error)
            return error_response(BUG)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, Any]] | None:
        """Return the route for a request and the parameters in its path; None = there is none."""
        for route in self._routes.get((method, _first_part(path)), ()):
            match = route.path_regex.match(path)
            if match is not None:
                convertors = route.param_convertors
                values = match.groupdict().items()
                return route, {name: convertors[name].convert(text) for name, text in values}
        return None


def _first_part(path: str) -> str:
    return path[1:].partition("/")[0]
