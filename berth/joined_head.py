"""The head of an answer leaves together with its body.

Duty: hold back the head of an answer whose length it tells, until the first of its body comes.
Not here: HTTP itself (uvicorn), bounds (berth.bounded_http).

uvicorn writes each at once: two system calls, two wake-ups of the reader, and with TLS two records
for what mostly fits into one. An answer without a length is a stream, whose head must not wait.
Invariant (tests/unit/berth/test_joined_head.py): the bytes and their order are as they were given;
nothing is held back once its answer is over or its connection is closed.
"""

import asyncio
from typing import Any, Final

_HEAD: Final = b"HTTP/1.1 "
_LENGTH: Final = b"\r\ncontent-length: "


class JoinedHead:
    """An asyncio transport that holds heads back; all else is the transport's own."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""

    def write(self, data: bytes) -> None:
        """Write `data`, behind what was held back, or hold it back."""
        if self._held:
            data, self._held = self._held + data, b""
        elif data.startswith(_HEAD) and _LENGTH in data:
            self._held = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write what is held back: its answer has no body."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        """Close the connection once all is written."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
