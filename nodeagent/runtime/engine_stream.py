"""One long answer of the Engine, read in a thread of its own and handed to the event loop.

Duty: open, read, hand over in batches with a bound on what waits, end promptly when asked.
Not here: what the bytes mean (docker_events, docker_images, log_lines).
Invariants (tests/contract/test_docker_runtime.py): the event loop never waits for a socket; after
`shut()` the thread ends within a moment, even in the middle of a blocking read; the threads are
daemons, so that a hung Engine cannot keep the agent from exiting.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

_CHUNK_BYTES = 64 * 1024
_WAITING_BYTES_MAX = 4 * 1024 * 1024


class EngineStream:
    """A streamed HTTP answer. Call `open()`, then read `batches()`, then `shut()`.

    The reading thread and the event loop share what the lock guards; everything else belongs to
    one of the two.
    """

    def __init__(self, name: str, request: Callable[[], Any]) -> None:
        """Prepare to read.

        Args:
            name: for the thread's name.
            request: makes the call and returns its `requests.Response`; run in the thread.
        """
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"engine-{name}", daemon=True)
        self._changed = asyncio.Event()
        self._lock = threading.Condition()
        # Guarded by the lock:
        self._response: Any = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._failure: BaseException | None = None
        self._is_opened = False
        self._has_ended = False
        self._is_shut = False

    async def open(self) -> None:
        """Make the call and wait for its status line.

        Raises:
            docker.errors.APIError: the Engine refused.
            requests.exceptions.RequestException: it did not answer.
        """
        self._thread.start()
        while True:
            await self._changed.wait()
            self._changed.clear()
            with self._lock:
                if self._is_opened:
                    self._changed.set()  # What follows may be here already.
                    return
                if self._failure is not None:
                    raise self._failure
                if self._has_ended:
                    raise ConnectionAbortedError("the stream was shut before it was open")

    async def batches(self) -> AsyncGenerator[bytes, None]:
        """Yield what has arrived, joined, until the answer ends.

        Raises:
            OSError or a library's error: the connection broke before the end.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            with self._lock:
                batch = b"".join(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                has_ended, failure = self._has_ended, self._failure
                self._lock.notify_all()
            if batch:
                yield batch
            if failure is not None:
                raise failure
            if has_ended:
                return

    def shut(self) -> None:
        """End the reading thread now; harmless when it has ended."""
        with self._lock:
            self._is_shut = True
            response = self._response
            self._lock.notify_all()
        if response is not None:
            _shut_socket(response)

    async def wait_ended(self) -> None:
        """Wait until the thread has let go of its connection; used after `shut()`."""
        while True:
            with self._lock:
                if self._has_ended:
                    return
            await self._changed.wait()
            self._changed.clear()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            response = self._request()
            with contextlib.closing(response):
                with self._lock:
                    self._response = response
                    self._is_opened = not self._is_shut
                    if self._is_shut:
                        return
                self._wake()
                # `decode_content`: the Engine does not compress what we did not ask it to.
                for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                    if not self._hand_over(chunk):
                        break
        except Exception as error:  # noqa: BLE001 - it is raised again, in the loop
            failure = error
        finally:
            with self._lock:
                # A connection that we cut ourselves has ended, it has not failed.
                self._failure = None if self._is_shut else failure
                self._has_ended = True
                self._response = None
            self._wake()

    def _hand_over(self, chunk: bytes) -> bool:
        """Give `chunk` to the loop, waiting while too much waits there; False when shut."""
        with self._lock:
            while self._waiting_bytes > _WAITING_BYTES_MAX and not self._is_shut:
                self._lock.wait()
            if self._is_shut:
                return False
            is_first = not self._waiting
            self._waiting.append(chunk)
            self._waiting_bytes += len(chunk)
        if is_first:
            self._wake()
        return True

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody listens any more.
            self._loop.call_soon_threadsafe(self._changed.set)


def _shut_socket(response: Any) -> None:
    """Make a blocking read of `response` return, from another thread.

    `response.close()` would wait for the reader's lock, so the socket itself is shut.
    """
    reader = getattr(getattr(response.raw, "_fp", None), "fp", None)
    raw = getattr(reader, "raw", None)
    connection = getattr(raw, "_sock", None)
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
