"""One HTTP address for both: TLS with client certificates, and plain HTTP.

Duty: accept connections, tell by the first byte which of the two a client speaks, and hand the
certificate that a client has proved to bear to the application, in the `state` of its requests.
Not here: what may be asked by whom (gateway.doors), certificates (berth.wire.tls).

Prometheus keeps reading /metrics without certificates from the address where the docker CLI speaks
TLS; so there is one port to know and to open. A client that says nothing is let go after a while.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import structlog

from berth.bounded_http import BoundedProtocol
from berth.clock import Clock
from berth.observability import EmbeddedServer, embedded_server
from gateway.doors import CERTIFICATE_KEY

log = structlog.get_logger()

_TLS_HANDSHAKE: Final = b"\x16"
"""The first byte of TLS; no method of HTTP begins with it."""
FIRST_BYTE_S: Final = 10.0
_HANDSHAKE_S: Final = 10.0
_ACCEPT_PAUSE_S: Final = 1.0
"""After the system refused to accept, mostly for want of file descriptors."""


class CertifiedProtocol(BoundedProtocol):
    """HTTP on one connection, whose requests carry the certificate of the client, if it has one."""

    app_state: dict[str, Any]  # uvicorn's: a request's `state` is a copy of it.

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a connection whose handshake, if any, is done."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            certificate = tls.getpeercert(binary_form=True)
            self.app_state = {**self.app_state, CERTIFICATE_KEY: certificate}


async def serve_with_tls(
    app: Any,
    listener: socket.socket,
    context: Callable[[], ssl.SSLContext],
    clock: Clock,
    *,
    first_byte_s: float = FIRST_BYTE_S,
) -> None:
    """Serve the ASGI `app` on `listener`, with and without TLS, until cancelled.

    Args:
        app: an ASGI application.
        listener: from `open_listener`; it is closed.
        context: gives what asks each client for a certificate; a reload may exchange it.
        clock: pauses.
        first_byte_s: how long a client may say nothing at all.
    """
    server = embedded_server(app, CertifiedProtocol)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve_on())
            while True:
                connection = await _accepted(listener, clock)
                group.create_task(_take(connection, server, context(), first_byte_s))
    finally:
        listener.close()


async def _accepted(listener: socket.socket, clock: Clock) -> socket.socket:
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:
            log.warning("http_accept_failed", error=str(error))
            await clock.sleep(_ACCEPT_PAUSE_S)
            continue
        connection.setblocking(False)
        return connection


async def _take(
    connection: socket.socket,
    server: EmbeddedServer,
    context: ssl.SSLContext,
    first_byte_s: float,
) -> None:
    """Let one connection become HTTP's, or end it."""

    def protocol() -> CertifiedProtocol:
        return CertifiedProtocol(
            config=server.config,
            server_state=server.server_state,
            app_state=server.lifespan.state,
        )

    loop = asyncio.get_running_loop()
    is_taken = False
    try:
        first = await _first_byte(connection, first_byte_s)
        if not first:
            return
        has_tls = first == _TLS_HANDSHAKE
        is_taken = True  # From here on asyncio closes it.
        await loop.connect_accepted_socket(
            protocol,
            connection,
            ssl=context if has_tls else None,
            ssl_handshake_timeout=_HANDSHAKE_S if has_tls else None,
        )
    except OSError as error:  # TimeoutError and ssl.SSLError are among them.
        log.info("http_connection_refused", error=str(error) or type(error).__name__)
    finally:
        if not is_taken:
            connection.close()


async def _first_byte(connection: socket.socket, patience_s: float) -> bytes:
    """Return the first byte that a client sends, and leave it to be read; b"" = it went away."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, _resolve, readable)
    try:
        async with asyncio.timeout(patience_s):
            await readable
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
