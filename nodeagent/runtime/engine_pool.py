"""Calls to one Docker Engine through the `docker` package, off the event loop.

Duty: one client, made when first needed and again after the Engine was away (it may have been
upgraded); short calls in a bounded thread pool, each timed; long answers as `EngineStream`s, which
have threads of their own, so that they never starve short calls.
Not here: what is called (docker_engine and its neighbours).
Invariants: a call either returns or raises what `docker_errors` knows; nothing blocks the loop.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import docker
import docker.errors

from berth.clock import Clock
from berth.errors import RetryRule
from nodeagent.runtime.docker_errors import TRANSPORT_ERRORS, call_error
from nodeagent.runtime.engine_stream import EngineStream
from nodeagent.runtime.observer import CallOutcome, RuntimeObserver
from nodeagent.runtime.port import RuntimeCallError
from nodeagent.runtime.translate_host import EngineTraits
from nodeagent.runtime.unix_transport import UnixAdapter

_T = TypeVar("_T")
_CONNECT_TIMEOUT_S = 10.0
_OLDEST_API_VERSION = "1.41"
_STREAM_SHUT_TIMEOUT_S = 2.0


class EnginePool:
    """The way to one Engine."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        observer: RuntimeObserver,
        short_calls: int,
        kept_connections: int,
        call_timeout_s: float,
    ) -> None:
        """Prepare; nothing is called yet.

        Args:
            url: the Engine, such as ``unix:///var/run/docker.sock``.
            clock: for timing.
            observer: told of every call.
            short_calls: how many short calls may be under way at once.
            kept_connections: how many idle connections are kept for later.
            call_timeout_s: after this long without an answer a short call has failed.
        """
        self.url = url
        self._clock = clock
        self._observer = observer
        self._kept_connections = kept_connections
        self._call_timeout_s = call_timeout_s
        self._executor = ThreadPoolExecutor(short_calls, thread_name_prefix="engine-call")
        self._client_lock = threading.Lock()
        self._client: Any = None
        self._streams: set[EngineStream] = set()
        self.is_closed = False

    async def call(
        self,
        name: str,
        what: str,
        function: Callable[[Any], _T],
        *,
        is_final: bool = False,
        raises_raw: bool = False,
    ) -> _T:
        """Run `function(client)` in a thread.

        Args:
            name: the call's name in metrics.
            what: the call in words, for the refusal.
            function: gets a `docker.APIClient`.
            is_final: as in `docker_errors.call_error`.
            raises_raw: leave what the Engine itself answered (`APIError`) to the caller.

        Raises:
            RuntimeCallError: it failed; see its `retry`.
        """
        self._refuse_if_closed(what)
        started = self._clock.instant()
        outcome = CallOutcome.UNAVAILABLE
        try:
            answer = await self.run(lambda: self._with_client(function))
            outcome = CallOutcome.OK
            return answer
        except TRANSPORT_ERRORS as error:
            if isinstance(error, docker.errors.APIError) and error.status_code is not None:
                outcome = CallOutcome.REFUSED
                if raises_raw:
                    raise
            raise call_error(what, error, is_final=is_final) from error
        finally:
            self._observer.call(name, self._clock.instant() - started, outcome)

    async def run(self, function: Callable[[], _T]) -> _T:
        """Run any short blocking `function` in the pool of short calls."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def traits(self) -> EngineTraits:
        """Return what kind of Engine answers."""
        client = self._client  # It asked when it was made, and is made anew with a new Engine.
        version: str = (
            client._version
            if client is not None
            else await self.call("version", "ask the Engine's version", lambda c: c._version)
        )
        major, _, minor = version.partition(".")
        return EngineTraits(api_version=(int(major), int(minor)))

    @contextlib.asynccontextmanager
    async def stream(
        self,
        name: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        read_timeout_s: float | None = None,
    ) -> AsyncIterator[EngineStream]:
        """Open a long answer; it is shut when the block ends, however it ends.

        Raises:
            RuntimeCallError: this runtime is closed.
            docker.errors.APIError: the Engine refused.
            requests.exceptions.RequestException: it did not answer.
        """
        self._refuse_if_closed(f"open the stream of {name}")

        def request() -> Any:
            return self._with_client(
                lambda client: _stream_request(
                    client, method, path, params, dict(headers or {}), read_timeout_s
                )
            )

        stream = EngineStream(name, request)
        self._streams.add(stream)
        try:
            await stream.open()
            yield stream
        finally:
            stream.shut()
            self._streams.discard(stream)

    async def aclose(self) -> None:
        """Shut all streams, let go of threads and connections. A call under way is abandoned."""
        self.is_closed = True
        streams = list(self._streams)
        for stream in streams:
            stream.shut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STREAM_SHUT_TIMEOUT_S):
                for stream in streams:
                    await stream.wait_ended()
        self._executor.shutdown(wait=False, cancel_futures=True)
        # Without the lock: a thread may hold it while it waits for an Engine that hangs.
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _refuse_if_closed(self, what: str) -> None:
        if self.is_closed:
            raise RuntimeCallError(
                f"cannot {what}: the agent has let go of the Docker Engine; it is stopping",
                retry=RetryRule.NEVER,
            )

    def _with_client(self, function: Callable[[Any], _T]) -> _T:
        """Run in a thread: find or make the client; drop it where the Engine does not answer."""
        with self._client_lock:
            client = self._client
            if client is None:
                client = self._connected()
                if self.is_closed:  # Meanwhile; nobody would close this one any more.
                    client.close()
                    raise ConnectionAbortedError("the agent is stopping")
                self._client = client
        try:
            return function(client)
        except docker.errors.APIError:
            raise
        except TRANSPORT_ERRORS:
            with self._client_lock:
                if self._client is client:  # Another thread may have made a new one meanwhile.
                    self._client = None
            client.close()  # Calls that still use it keep their connections to the end.
            raise

    def _connected(self) -> Any:
        """Make a client that speaks the Engine's own version of the API."""
        client = docker.APIClient(
            base_url=self.url,
            version=_OLDEST_API_VERSION,  # Not "auto": that would use the adapter changed below.
            timeout=min(self._call_timeout_s, _CONNECT_TIMEOUT_S),  # Others wait for this call.
            # Enough for all: a connection that finds no place is thrown away with a warning.
            max_pool_size=self._kept_connections,
        )
        client.trust_env = False  # No proxy and no .netrc lies between an agent and its Engine.
        if self.url.startswith("unix://"):
            adapter = UnixAdapter(
                self.url.replace("unix://", "http+unix://", 1),
                self._call_timeout_s,
                max_pool_size=self._kept_connections,
            )
            client.mount("http+docker://", adapter)
        try:
            client._version = client._retrieve_server_version()
        except BaseException:
            client.close()
            raise
        client.timeout = self._call_timeout_s
        return client


def _stream_request(
    client: Any,
    method: str,
    path: str,
    params: Mapping[str, str],
    headers: dict[str, str],
    read_timeout_s: float | None,
) -> Any:
    """Make one streamed request; the package's own methods hide the response, so it is ours.

    Raises:
        docker.errors.APIError: the Engine answered with a refusal.
    """
    response = client.request(
        method,
        client._url(path),
        params=params,
        headers=headers,
        stream=True,
        timeout=(_CONNECT_TIMEOUT_S, read_timeout_s),
    )
    try:
        client._raise_for_status(response)
    except BaseException:
        response.close()
        raise
    return response
