"""HTTP on one connection, whose client must say what it wants within bounds.

Duty: let go of a client that begins a request and does not finish its head, in time or in size; and
of one that goes on sending a body after it was answered.
Not here: bodies that are wanted (gateway.requests), listening, TLS, what is answered.

uvicorn has neither bound: a thousand such clients would take all file descriptors of the process,
those for its store and its agents among them; one of them all of its memory.
"""

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from berth.joined_head import JoinedHead

HEAD_S: Final = 30.0
HEAD_BYTES_MAX: Final = 256 * 1024
"""Far above any; credentials for a registry are the longest that a head has."""
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Content-Type: application/json\r\nContent-Length: 49\r\nConnection: close\r\n\r\n"
    b'{"message":"the head of the request is too long"}'
)

_Http: Any = AutoHTTPProtocol  # A variable of uvicorn's, which holds a class.


class BoundedProtocol(_Http):  # type: ignore[misc]  # Likewise.
    """uvicorn's protocol, with bounds for what is not yet, or no longer, a request under way."""

    head_s: ClassVar[float] = HEAD_S
    cycle: Any  # uvicorn's: the newest request of the connection; None before the first.
    transport: JoinedHead  # uvicorn's.
    _letting_go: asyncio.TimerHandle | None = None
    _head_bytes: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(JoinedHead(transport))
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what came; from the first byte of a head on its bounds hold."""
        is_head = self._reads_head()
        super().data_received(data)
        if self._answers():
            self._stop_waiting()
            return
        self._wait()
        if is_head and self._reads_head():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_response_complete(self) -> None:
        """Let the head of an answer without a body go; uvicorn's name."""
        self.transport.flush()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _answers(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _reads_head(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)

    def _wait(self) -> None:
        if self._letting_go is None:
            loop = asyncio.get_running_loop()
            self._letting_go = loop.call_later(self.head_s, self._let_go)

    def _stop_waiting(self) -> None:
        self._head_bytes = 0
        if self._letting_go is not None:
            self._letting_go.cancel()
            self._letting_go = None

    def _let_go(self) -> None:
        self._letting_go = None
        if not self._answers():
            self.transport.close()
