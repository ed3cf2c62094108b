"""Calls of the Control API, sent to whichever of several schedulers answers.

Duty: connections, which scheduler is asked, and which calls may be asked again.
Not here: what is asked (berth.client), channels (berth.wire.channel).

Invariants (tests/unit/berth/test_client.py): a call that may have taken effect is never sent twice
unless it only reads; a call that surely took no effect (a scheduler could not be reached, or said
that there is no leader) is tried elsewhere until the time is up.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from berth.clock import Clock
from berth.errors import BerthError, ConfigError, NoLeaderError, NotLeaderError, UnavailableError
from berth.v1 import control_pb2_grpc
from berth.wire.channel import Channels, open_channel
from berth.wire.status import error_from_rpc
from berth.wire.tls import TlsSource

_CONNECT_TIMEOUT_S: Final = 2.0
_ROUND_PAUSE_S: Final = 0.3
_Stub: Final[Any] = control_pb2_grpc.ControlStub  # Generated, and untyped.


class Calls(Protocol):
    """Some way to make calls of the Control API."""

    timeout_s: float

    async def call(self, method: str, request: Any, *, is_read: bool = True) -> Any:
        """Return the answer of a call; see SchedulerCalls."""
        ...

    def stream(self, method: str, request: Any) -> AsyncIterator[Any]:
        """Yield the answers of a streaming call; see SchedulerCalls."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...

    def renew_channels(self) -> None:
        """Connect anew from the next call on."""
        ...


class SchedulerCalls:
    """The schedulers at `addresses`; any of them will do."""

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        tls: TlsSource | None,
        clock: Clock,
        timeout_s: float,
        repeats_refusals: bool,
    ) -> None:
        """Prepare; nothing is connected yet. For the arguments see ControlClient."""
        if not addresses:
            raise ConfigError("no scheduler is named: give --scheduler or set BERTH_SCHEDULER")
        self.timeout_s = timeout_s
        self._addresses = tuple(addresses)
        self._clock = clock
        self._repeats_refusals = repeats_refusals
        self._tls = tls
        self._channels = Channels(partial(open_channel, tls=tls), len(self._addresses))
        self._preferred = 0

    async def close(self) -> None:
        """Close all connections."""
        await self._channels.aclose()

    def renew_channels(self) -> None:
        """Connect anew from the next call on."""
        self._channels.renew()

    async def stream(self, method: str, request: Any) -> AsyncIterator[Any]:
        """Yield the answers of a streaming call; a stream that breaks is not opened again.

        Raises:
            BerthError: the refusal, or that the connection broke.
        """
        call = getattr(await self._stub(await self._reachable()), method)(request)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        finally:
            call.cancel()

    async def _stub(self, address: str) -> Any:
        return _Stub(await self._channels.to(address))

    async def call(self, method: str, request: Any, *, is_read: bool = True) -> Any:
        """Return the answer of a call.

        Args:
            method: of the Control API.
            request: its message.
            is_read: whether it may be made twice.

        Raises:
            BerthError: the refusal, or that nobody answered in time.
        """
        last: BerthError | None = None
        try:
            async with asyncio.timeout(self.timeout_s):
                while True:
                    address = await self._reachable()
                    try:
                        return await getattr(await self._stub(address), method)(request)
                    except grpc.aio.AioRpcError as error:
                        last = error_from_rpc(error)
                        if not (self._repeats_refusals and _may_repeat(last, is_read)):
                            raise last from error
                    self._preferred = (self._preferred + 1) % len(self._addresses)
                    if self._preferred == 0:
                        await self._clock.sleep(_ROUND_PAUSE_S)
        except TimeoutError:
            if last is not None:
                raise last from None
            raise self._unreachable(method, is_read) from None

    async def _reachable(self) -> str:
        """Return the address of a scheduler that takes connections, the last good one first.

        Raises:
            UnavailableError: none does; nothing was sent.
        """
        count = len(self._addresses)
        for offset in range(count):
            index = (self._preferred + offset) % count
            address = self._addresses[index]
            channel = await self._channels.to(address)
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    is_connected = await _connects(channel)
            except TimeoutError:
                continue
            if is_connected:
                self._preferred = index
                return address
        cause = (
            "check that one runs (`berth up` starts a cluster on this machine), the address "
            "(--scheduler, BERTH_SCHEDULER) and TLS"
        )
        if self._tls is not None:
            cause = self._tls.told_end(self._clock.timestamp()) or cause
        raise UnavailableError(f"no scheduler answers at {', '.join(self._addresses)}; {cause}")

    def _unreachable(self, method: str, is_read: bool) -> UnavailableError:
        doubt = "" if is_read else "; it may still take effect, look before you repeat it"
        return UnavailableError(f"{method} got no answer within {self.timeout_s:g} s{doubt}")


async def _connects(channel: grpc.aio.Channel) -> bool:
    """Wait until `channel` is connected, or has failed to."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            return False
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
    return True


def _may_repeat(error: BerthError, is_read: bool) -> bool:
    """Return whether the call that `error` ended may be sent to another scheduler."""
    if isinstance(error, (NoLeaderError, NotLeaderError)):
        return True  # Said by a scheduler: nothing was done.
    # Of our own making when the connection broke; `type` because its subclasses are answers.
    return is_read and type(error) is UnavailableError
