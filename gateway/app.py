"""The Docker API as one ASGI application.

Duty: put the routes together; version prefix, headers, errors and metrics for all of them.
Not here: who may come in (gateway.doors), listening and TLS (scheduler.http_listener).
Invariants (tests/unit/gateway/test_app.py): every answer bears Api-Version; every refusal is JSON
with a message; a path answers alike with and without a version.
"""

from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from berth.errors import BerthError, InternalError
from gateway.context import VERSION_KEY, Gateway
from gateway.doors import guarded
from gateway.errors import BUG, PAGE_NOT_FOUND, error_response
from gateway.routes import (
    distribution,
    events,
    files,
    logs,
    networks,
    nodes,
    services,
    stubs,
    swarm,
    system,
    tasks,
)
from gateway.versioning import VERSION_MAX, split_version

log = structlog.get_logger()

ROUTES: Final = [
    *system.ROUTES,
    *services.ROUTES,
    *tasks.ROUTES,
    *logs.ROUTES,
    *nodes.ROUTES,
    *networks.ROUTES,
    *swarm.ROUTES,
    *distribution.ROUTES,
    *events.ROUTES,
    *files.ROUTES,
    *stubs.ROUTES,
]


def docker_app(gateway: Gateway) -> ASGIApp:
    """Return the application that serves `gateway`; put it behind one of `gateway.doors`."""
    app = Starlette(
        routes=guarded(ROUTES),
        exception_handlers={
            BerthError: _refuse,
            HTTPException: _refuse_page,
            Exception: _refuse_bug,
        },
    )
    app.router.redirect_slashes = False
    app.state.gateway = gateway
    return _Front(app, gateway)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, BerthError)
    if isinstance(error, InternalError):
        log.error("docker_request_failed", path=request.url.path, error=error.message)
    return error_response(error)


async def _refuse_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in (404, 405):  # Docker's router knows no "method not allowed".
        return error_response(PAGE_NOT_FOUND)
    return JSONResponse({"message": error.detail}, status_code=error.status_code)


async def _refuse_bug(request: Request, error: Exception) -> Response:
    log.error("docker_request_crashed", path=request.url.path, exc_info=error)
    return error_response(BUG)


class _Front:
    """What every request passes: version, headers, metrics."""

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app = app
        self._gateway = gateway
        self._headers = {
            "Api-Version": str(VERSION_MAX),
            "Docker-Experimental": "false",
            "Ostype": "linux",
            "Server": f"Berth/{gateway.settings.software_version} (linux)",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        metrics, clock = self._gateway.metrics, self._gateway.clock
        began = clock.instant()
        inner: dict[str, Any] = dict(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                call = _call_name(inner)
                metrics.requests.labels(call, str(message["status"])).inc()
                metrics.seconds.labels(call).observe(clock.instant() - began)
            await send(message)

        with metrics.open.track_inprogress():
            await self._answer(inner, receive, send_with_headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # A Mount leaves the path as it is and says what of it was its own.
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            version, path = split_version(path)
        except BerthError as error:
            await error_response(error)(scope, receive, send)
            return
        scope.update({"path": path, "root_path": "", VERSION_KEY: version})
        await self._app(scope, receive, send)


def _call_name(scope: Scope) -> str:
    """Return the name of the route that answered: one of a closed set."""
    endpoint = scope.get("endpoint")
    return getattr(endpoint, "__name__", "unknown")
