"""What a running process shows of itself over HTTP: /metrics, /healthz, /readyz.

Duty: these three routes, a listening socket with a helpful refusal, and an HTTP server that lives
in the process's own event loop.
Not here: which metrics there are (each program's metrics.py), when a process is ready (its main).

/healthz says whether the process should be restarted, /readyz whether it should be sent work.
"""

import asyncio
import contextlib
import errno
import grp
import os
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from berth.bounded_http import BoundedProtocol
from berth.errors import ConfigError, Fault

_BACKLOG: Final = 1024
_DRAIN_TIMEOUT_S: Final = 2


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the process works; a false answer asks for its restart."""

    is_healthy: bool = True
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the process can do its work now; `reason` says why not."""

    is_ready: bool = True
    reason: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


def observability_routes(
    registry: CollectorRegistry, health: Callable[[], Health], ready: Callable[[], Readiness]
) -> list[Route]:
    """Return the routes /metrics, /healthz and /readyz for any Starlette application."""

    async def metrics(request: Request) -> Response:
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encoder(registry), media_type=content_type)

    async def healthz(request: Request) -> Response:
        found = health()
        return JSONResponse(
            {"status": "ok" if found.is_healthy else "failing", **_details(found.details)},
            status_code=200 if found.is_healthy else 503,
        )

    async def readyz(request: Request) -> Response:
        found = ready()
        body: dict[str, object] = {"status": "ready" if found.is_ready else "not ready"}
        if found.reason:
            body["reason"] = found.reason
        return JSONResponse(
            {**body, **_details(found.details)}, status_code=200 if found.is_ready else 503
        )

    return [
        Route("/metrics", metrics, methods=["GET"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
    ]


def _details(details: Mapping[str, str]) -> dict[str, object]:
    return {"details": dict(details)} if details else {}


def open_listener(key: str, address: str, *, group: str = "") -> socket.socket:
    """Listen on `address`: HOST:PORT, :PORT, [IPV6]:PORT or unix:PATH; port 0 = any free one.

    Args:
        key: the setting that names the address, for the message.
        address: where to listen.
        group: whose members may use a unix socket beside its owner; "" = our own group.

    Raises:
        ConfigError: nobody can listen there; it names the address and the fix.
    """
    if address.startswith("unix:"):
        return _open_unix_listener(key, address, group)
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        _refuse(key, address, "is not HOST:PORT; write 0.0.0.0:7703 or 127.0.0.1:0")
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(
            host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        _refuse(key, address, f"cannot be resolved: {error}; name an address of this machine")
    # Where no host is named, the IPv6 wildcard also takes IPv4; some machines have only the latter.
    family, kind, protocol, _, place = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        _refuse(key, address, _bind_problem(error, port))
    listener.setblocking(False)
    return listener


def _open_unix_listener(key: str, address: str, group: str) -> socket.socket:
    path = Path(address.removeprefix("unix:").removeprefix("//"))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            _remove_if_dead(key, address, path)
        listener.bind(str(path))
        # Nobody can connect yet: it is opened to its group before it listens.
        if group:
            _give_to_group(f"{key}_group", path, group)
        path.chmod(0o660)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        _refuse(key, address, f"cannot be listened on: {error.strerror or error}")
    except ConfigError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _give_to_group(key: str, path: Path, group: str) -> None:
    try:
        os.chown(path, -1, int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid)
    except KeyError:
        problem = f"is no group of this machine; make it: groupadd --system {group}"
    except (OSError, OverflowError) as error:
        problem = f"cannot be given {path}: {error}; let this user be a member of it"
    else:
        return
    path.unlink(missing_ok=True)
    _refuse(key, group, problem)


def _remove_if_dead(key: str, address: str, path: Path) -> None:
    """A socket that a killed process left behind is removed; a live one is refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    _refuse(key, address, "is in use by another process; stop it, or set another path")


def _bind_problem(error: OSError, port: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"is in use; stop what listens there (ss -ltnp 'sport = :{port}' shows it), "
            "or set another address"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "is no address of this machine; use one of `ip address`, or 0.0.0.0"
    if error.errno == errno.EACCES:
        return "is not permitted to this user; use a port above 1023"
    return f"cannot be listened on: {os.strerror(error.errno or 0)}"


def _refuse(key: str, address: str, problem: str) -> NoReturn:
    fault = Fault(key, f'"{address}" {problem}')
    raise ConfigError(str(fault), [fault])


def listener_address(listener: socket.socket) -> str:
    """Return HOST:PORT or unix:PATH that `listener` really listens on."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def beside(routes: Sequence[Route], app: ASGIApp) -> ASGIApp:
    """Return what answers by `routes`, and everything that has another path by `app`."""
    paths = frozenset(route.path for route in routes)
    own = Starlette(routes=routes)

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = own if scope.get("path") in paths else app
        await chosen(scope, receive, send)

    return choose


class EmbeddedServer(uvicorn.Server):
    """uvicorn without its own signals: the process's supervisor has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave them alone; uvicorn's name."""
        yield

    async def serve_on(
        self, *listeners: socket.socket, started: Callable[[], None] | None = None
    ) -> None:
        """Serve on `listeners` until cancelled; then drain shortly and close them."""
        try:
            await self.startup(sockets=list(listeners))
            if started is not None:
                started()
            await self.main_loop()
        finally:
            if self.started:
                await self.shutdown(sockets=list(listeners))


def embedded_server(app: Any, protocol: type[asyncio.Protocol] = BoundedProtocol) -> EmbeddedServer:
    """Return a server for the ASGI `app` that lives in the process's own event loop.

    Args:
        app: an ASGI application.
        protocol: for each connection, or one made of it.
    """
    config = uvicorn.Config(
        app,
        http=protocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,  # Nobody may say of themselves that somebody else sends.
        timeout_graceful_shutdown=_DRAIN_TIMEOUT_S,
    )
    config.load()
    server = EmbeddedServer(config)
    server.lifespan = config.lifespan_class(config)
    return server


async def serve_app(
    app: Any,
    *listeners: socket.socket,
    started: Callable[[], None] | None = None,
) -> None:
    """Serve the ASGI `app` on `listeners` until cancelled; then drain shortly and close them.

    Args:
        app: an ASGI application.
        listeners: from `open_listener`.
        started: called once connections are accepted.
    """
    names = [listener.getsockname() for listener in listeners]
    unix_paths = [Path(name) for name in names if isinstance(name, str)]
    try:
        await embedded_server(app).serve_on(*listeners, started=started)
    finally:
        for listener in listeners:
            listener.close()
        for path in unix_paths:
            path.unlink(missing_ok=True)


async def serve_observability(
    *,
    key: str,
    address: str,
    registry: CollectorRegistry,
    health: Callable[[], Health],
    ready: Callable[[], Readiness],
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve /metrics, /healthz and /readyz on an address of their own until cancelled.

    Args:
        key: the setting that names the address, for the message.
        address: where to listen.
        registry: the process's metrics.
        health: asked by /healthz.
        ready: asked by /readyz.
        started: told the real address once it is served.

    Raises:
        ConfigError: nobody can listen there.
    """
    listener = open_listener(key, address)
    shown = listener_address(listener)
    app = Starlette(routes=observability_routes(registry, health, ready))
    await serve_app(app, listener, started=lambda: started(shown) if started else None)
