"""The Docker API as one ASGI application.

Duty: put the routes together; version prefix, headers and metrics for all of them.
Not here: who may come in (gateway.doors), which route answers (gateway.dispatch), listening and TLS
(scheduler.http_listener).
Invariants (tests/unit/gateway/test_app.py): every answer bears Api-Version; every refusal is JSON
with a message; a path answers alike with and without a version.
"""

from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from berth.errors import BerthError
from gateway.context import GATEWAY_KEY, VERSION_KEY, Gateway
from gateway.dispatch import CALL_KEY, Dispatcher
from gateway.doors import guarded
from gateway.errors import error_response
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
    return _Front(Dispatcher(guarded(ROUTES)), gateway)


class _Front:
    """What every request passes: version, headers, metrics."""

    def __init__(self, routes: Dispatcher, gateway: Gateway) -> None:
        self._routes = routes
        self._gateway = gateway
        software = gateway.settings.software_version
        self._headers = [
            (b"api-version", str(VERSION_MAX).encode()),
            (b"docker-experimental", b"false"),
            (b"ostype", b"linux"),
            (b"server", f"Berth/{software} (linux)".encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        metrics, clock = self._gateway.metrics, self._gateway.clock
        began = clock.instant()
        inner: dict[str, Any] = {**scope, GATEWAY_KEY: self._gateway}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
                call = inner.get(CALL_KEY, "unknown")
                metrics.count(call, message["status"], clock.instant() - began)
            await send(message)

        metrics.open.inc()
        try:
            try:
                inner[VERSION_KEY], inner["path"] = split_version(scope["path"])
            except BerthError as error:
                await error_response(error)(scope, receive, send_with_headers)
                return
            await self._routes(inner, receive, send_with_headers)
        finally:
            metrics.open.dec()
