"""The link to the schedulers over gRPC.

Duty: the ports of nodeagent.link.port on `grpc.aio`; every failure becomes an UnavailableError.
Not here: which scheduler, when, and what is said (nodeagent.link.session); TLS and keepalive
(berth.wire.channel).
Invariants (tests/contract/test_grpc_link.py): one channel at a time; a message that `send` took
arrives before the end of the stream that `aclose` makes, unless the network fails.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc
import grpc.aio

from berth.errors import BerthError, UnavailableError
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import dispatcher_pb2_grpc, streams_pb2_grpc
from berth.v1.streams_pb2 import LogChunk
from berth.wire import kernel_keepalive
from berth.wire.channel import CHANNEL_KEEPALIVE, SESSION_KEEPALIVE, open_channel
from berth.wire.status import error_from_rpc
from berth.wire.tls import TlsSource

CLOSE_TIMEOUT_S = 0.5

_SessionCall: TypeAlias = "grpc.aio.StreamStreamCall[Any, Any]"
_LogCall: TypeAlias = "grpc.aio.StreamUnaryCall[Any, Any]"


class GrpcLink:
    """`SchedulerLink` and `LogPublisher` on one channel, to the scheduler tried last."""

    def __init__(self, tls: TlsSource | None) -> None:
        self._tls = tls
        self._is_outdated = False
        self._address = ""
        self._channel: grpc.aio.Channel | None = None
        self._has_kernels_help = kernel_keepalive.is_available()

    async def connect(self, address: str) -> "GrpcStream":
        """Open a session stream to the scheduler at `address`."""
        channel = await self._channel_to(address)
        stub = dispatcher_pb2_grpc.DispatcherStub(channel)
        call: _SessionCall = stub.Session()
        try:
            await call.wait_for_connection()
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        except BaseException:
            call.cancel()
            raise
        if self._has_kernels_help and not _is_watched_by_kernel(address):
            # PINGs alone must then notice a dead machine: more often, by another channel.
            self._has_kernels_help, self._is_outdated = False, True
            call.cancel()
            raise UnavailableError(f"the connection to {address} cannot be watched: once more")
        return GrpcStream(call, address)

    async def publish(self, address: str, chunks: AsyncIterator[LogChunk]) -> None:
        """Send `chunks` beside the session with the scheduler at `address`."""
        if self._channel is None or address != self._address:
            raise UnavailableError(f"there is no session with the scheduler at {address} any more")
        call: _LogCall = streams_pb2_grpc.StreamsStub(self._channel).PublishLogs()
        # Not handed to gRPC, which would still be reading `chunks` when a cancelled caller closes
        # them, and closing a generator that runs is an error.
        sending = asyncio.ensure_future(_send_all(call, chunks))
        try:
            await call
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        finally:
            sending.cancel()
            await asyncio.wait({sending})
            call.cancel()
            if not sending.cancelled() and (failure := sending.exception()) is not None:
                raise failure

    def renew_channel(self) -> None:
        """Show our new certificate at the next session; the one that lasts goes on."""
        self._is_outdated = True

    async def aclose(self) -> None:
        """Close the channel."""
        channel, self._channel, self._address = self._channel, None, ""
        if channel is not None:
            await channel.close(None)

    async def _channel_to(self, address: str) -> grpc.aio.Channel:
        """Return the channel to `address`; one for another, or of an old certificate, is closed."""
        if self._channel is None or address != self._address or self._is_outdated:
            await self.aclose()
            self._is_outdated = False
            keepalive = SESSION_KEEPALIVE if self._has_kernels_help else CHANNEL_KEEPALIVE
            self._channel = open_channel(address, self._tls, keepalive=keepalive)
            self._address = address
        return self._channel


class GrpcStream:
    """`SchedulerStream` on one bidirectional call.

    Once closed it lets go of the call, and with it of the connection, which gRPC keeps as long as
    anybody holds the call of a closed channel. The stream itself is remembered by the errors that
    ended its session, whose tracebacks form cycles: in a quiet agent hours go by until those are
    collected, and every change of leader would leave a connection open on both sides.
    """

    def __init__(self, call: _SessionCall, address: str) -> None:
        self._call: _SessionCall | None = call
        self._address = address
        self._is_closing = False

    async def send(self, message: pb.AgentMessage) -> None:
        """Send a message."""
        if self._call is None:
            raise UnavailableError(f"the session with {self._address} has ended")
        try:
            await self._call.write(message)
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        except asyncio.InvalidStateError as error:
            raise UnavailableError(f"the session with {self._address} has ended") from error

    async def __aiter__(self) -> AsyncIterator[pb.SchedulerMessage]:
        """Yield messages until the scheduler ends the stream."""
        while self._call is not None and (message := await self._read(self._call)) is not None:
            yield message

    async def _read(self, call: _SessionCall) -> pb.SchedulerMessage | None:
        try:
            message = await call.read()
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        except asyncio.CancelledError:
            if self._is_closing and call.cancelled():
                return None  # Our own `aclose`, not the task's end.
            raise
        return message if isinstance(message, pb.SchedulerMessage) else None  # grpc.aio.EOF

    async def aclose(self) -> None:
        """Say that nothing more comes, give the scheduler a moment to end the call, end it."""
        self._is_closing = True
        call, self._call = self._call, None
        if call is None:
            return
        if not call.done():
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await call.done_writing()
                    await call.code()
        call.cancel()


async def _send_all(call: _LogCall, chunks: AsyncIterator[LogChunk]) -> None:
    """Send `chunks` and say that nothing more comes; the call itself tells why it broke."""
    try:
        async for chunk in chunks:
            await call.write(chunk)
        await call.done_writing()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return
    except Exception:
        call.cancel()
        raise


def _is_watched_by_kernel(address: str) -> bool:
    """Have the kernel watch a new connection to `address`; a local socket needs no watching."""
    if address.startswith("unix:"):
        return True
    return kernel_keepalive.arm_connection(int(address.rpartition(":")[2]))


def _unavailable(error: grpc.aio.AioRpcError) -> UnavailableError:
    """Return what a failed call means to the session: try again elsewhere or later."""
    found: BerthError = error_from_rpc(error)
    return found if isinstance(found, UnavailableError) else UnavailableError(found.message)
