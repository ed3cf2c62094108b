"""A user's call finds the leader: here, or at another scheduler to which it is forwarded.

Duty: choose who answers, wait (bounded) while nobody leads, carry request and answer as the bytes
that they are, and never let a change be made twice. Not here: which calls there are (router),
which of them read (call_kinds), answering (service), who leads (the directory).

Invariants (tests/unit/scheduler/control/test_forward.py):
- A change is sent again only when it surely had no effect: the leader could not be reached, or it
  said that it does not lead. When the answer to a change is lost, its caller is told so.
- A call is forwarded once at most: a scheduler that does not lead refuses a forwarded one.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeVar

import grpc
import grpc.aio

from berth.clock import Clock
from berth.errors import (
    BerthError,
    NoLeaderError,
    NotLeaderError,
    OutcomeUnknownError,
    UnavailableError,
)
from berth.model.instant import Instant, after
from berth.wire.channel import Channels
from berth.wire.status import ERROR_KEY, error_from_rpc
from scheduler.control.call_context import CallContext
from scheduler.control.call_kinds import FOLLOWED, READS
from scheduler.control.durable import health_words
from scheduler.control.leader_directory import LeaderDirectory
from scheduler.control.line import AskAloneError, Line, LineLostError
from scheduler.election.port import LeaderInfo
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth, StoreState

T = TypeVar("T")

HOPS_KEY: Final = "berth-hops"
LEADER_WAIT_S: Final = 10.0
_CONNECT_WAIT_S: Final = 2.0
_PAUSE_S: Final = 0.1
_CONNECT_PAUSE_S_MIN: Final = 0.005
_CHANNELS_MAX: Final = 8

_LOST_ANSWER: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
"""Codes that gRPC itself gives a call whose request may have arrived."""


class LeaderChannels(Protocol):
    """How a channel to another scheduler is opened."""

    def __call__(self, address: str) -> grpc.aio.Channel:
        """Open a channel to `address`."""
        ...


class Forwarder:
    """Knows who answers now and how to reach them. Close it."""

    def __init__(
        self,
        directory: LeaderDirectory,
        open_channel: LeaderChannels,
        clock: Clock,
        *,
        store_health: Callable[[], StoreHealth] | None = None,
        leader_wait_s: float = LEADER_WAIT_S,
    ) -> None:
        """Connect to nobody yet.

        Args:
            directory: who leads.
            open_channel: how to reach another scheduler.
            clock: for pauses and deadlines.
            store_health: how the store does, which is why nobody leads if it is not well.
            leader_wait_s: how long a call waits while nobody leads.
        """
        self._directory = directory
        self._clock = clock
        self._store_health = store_health
        self._leader_wait_s = leader_wait_s
        self._channels = Channels(open_channel, _CHANNELS_MAX)
        self.line = Line()
        """Carries reads to another leader while it is run."""

    async def aclose(self) -> None:
        """Close the connections to other schedulers."""
        await self._channels.aclose()

    def renew_channels(self) -> None:
        """Show our new certificate from the next call on."""
        self._channels.renew()

    def target(self, *, was_forwarded: bool) -> "Leader | LeaderInfo | None":
        """Return who should answer now: our leader, another scheduler, or None while unknown.

        Raises:
            NotLeaderError: the call was forwarded to us, and we do not lead.
        """
        directory = self._directory
        if directory.local is not None:
            return directory.local
        current = directory.current
        if current is not None and current.address == directory.own_address:
            current = None  # We have won or lost just now; in a moment it is known.
        if was_forwarded:
            address = "" if current is None else current.address
            raise NotLeaderError(f"scheduler {directory.own_name} does not lead", address)
        return current

    def last_known(self) -> "Leader | None":
        """Return whose memory readers are shown while the store is away, and with it any leader.

        The cluster is read-only then, not blind. `berth status` and /readyz say that it is.
        """
        if self._store_health is None or self._store_health().state is StoreState.OK:
            return None
        return self._directory.former if self._directory.local is None else None

    async def wait_leader(self, left_s: float) -> None:
        """Wait until somebody leads, at most `left_s`.

        Raises:
            NoLeaderError: nobody does.
        """
        await self._directory.wait_known(max(left_s, 0.0))

    def leaderless(self, error: BerthError) -> BerthError:
        """Return what a caller is told when the wait for a leader ended with `error`."""
        health = self._store_health() if self._store_health is not None else None
        if health is not None and health.state is not StoreState.OK:
            return NoLeaderError(
                "the cluster is read-only and no scheduler leads it: its store is "
                f"{health_words(health)}; containers run on. Mend etcd and try again"
            )
        if isinstance(error, NotLeaderError):
            return NoLeaderError(f"no scheduler leads: {error.message}")
        return error

    async def pause(self) -> None:
        """Give the election a moment."""
        await self._clock.sleep(_PAUSE_S)

    def now(self) -> Instant:
        """Read the clock."""
        return self._clock.instant()

    def deadline(self) -> Instant:
        """Return until when a call that begins now may look for a leader."""
        return after(self._clock.instant(), self._leader_wait_s)

    async def connected(self, address: str, left_s: float) -> grpc.aio.Channel:
        """Return a channel that is connected to `address`; nothing has been sent yet.

        Raises:
            UnavailableError: it cannot be reached now.
        """
        channel = await self._channels.to(address)
        give_up_at = after(self._clock.instant(), min(left_s, _CONNECT_WAIT_S))
        pause_s = _CONNECT_PAUSE_S_MIN
        while channel.get_state(try_to_connect=True) is not grpc.ChannelConnectivity.READY:
            current = self._directory.current
            has_moved = current is None or current.address != address
            if has_moved or self._clock.instant() >= give_up_at:
                raise UnavailableError(f"the leader at {address} cannot be reached")
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S)
        return channel


class ForwardedCall:
    """One call on its way to whoever answers it."""

    def __init__(
        self,
        forwarder: Forwarder,
        method: str,
        request: Callable[[], bytes],
        context: CallContext,
    ) -> None:
        """Send nothing yet; `request` returns what is sent where another scheduler leads."""
        self._forwarder = forwarder
        self._method = method
        name = method.rpartition("/")[2]
        self._is_read = name in READS
        self._shows_memory = self._is_read and name not in FOLLOWED
        self._request = request
        self._context = context
        self._hops = _hops(context)
        self._deadline = forwarder.deadline()
        self._last: BerthError | None = None

    async def unary(
        self, locally: Callable[[Leader], Awaitable[T]], read: Callable[[bytes], T]
    ) -> T:
        """Return the answer of whoever leads.

        Args:
            locally: answers where we lead.
            read: makes the same of another scheduler's bytes.
        """
        while True:
            former = self._forwarder.last_known() if self._shows_memory else None
            target = former or await self._next_target()
            try:
                if isinstance(target, Leader):
                    return await locally(target)
                return read(await self._send(target))
            except NotLeaderError as error:
                await self._try_again(error)
            except _NotSentError as error:
                await self._try_again(error.cause)

    async def stream(
        self, locally: Callable[[Leader], AsyncGenerator[T, None]], read: Callable[[bytes], T]
    ) -> AsyncGenerator[T, None]:
        """Yield the answers of whoever leads; once one was passed on, nothing is begun anew.

        Args:
            locally: answers where we lead.
            read: makes the same of another scheduler's bytes.
        """
        has_begun = False
        while True:
            former = self._forwarder.last_known() if self._shows_memory else None
            target = former or await self._next_target()
            try:
                if isinstance(target, Leader):
                    async with aclosing(locally(target)) as messages:
                        async for message in messages:
                            has_begun = True
                            yield message
                    return
                async with aclosing(self._send_stream(target)) as chunks:
                    async for chunk in chunks:
                        has_begun = True
                        yield read(chunk)
                return
            except NotLeaderError as error:
                if has_begun:
                    raise UnavailableError(
                        "the leader changed while it was answering; ask again"
                    ) from error
                await self._try_again(error)
            except _NotSentError as error:
                await self._try_again(error.cause)

    async def _next_target(self) -> Leader | LeaderInfo:
        while True:
            target = self._forwarder.target(was_forwarded=self._hops > 0)
            if target is not None:
                return target
            left_s = self._deadline - self._forwarder.now()
            try:
                await self._forwarder.wait_leader(left_s)
            except NoLeaderError as error:
                raise self._forwarder.leaderless(self._last or error) from error

    async def _try_again(self, error: BerthError) -> None:
        """Return after a pause when there is time for another try.

        Raises:
            BerthError: there is none, or the caller is a scheduler, which tries again itself.
        """
        self._last = error
        if self._hops > 0:
            raise error
        if self._forwarder.now() >= self._deadline:
            raise self._forwarder.leaderless(error) from error
        await self._forwarder.pause()

    async def _send(self, target: LeaderInfo) -> bytes:
        channel = await self._connected(target)
        if self._is_read and self._forwarder.line.takes(channel):
            method, timeout_s = self._method.rpartition("/")[2], self._context.time_remaining()
            try:
                return await self._forwarder.line.ask(channel, method, self._request(), timeout_s)
            except LineLostError as error:
                raise _NotSentError(error) from error
            except AskAloneError:
                pass  # So below.
        call = channel.unary_unary(
            self._method, request_serializer=as_is, response_deserializer=as_is
        )
        try:
            answer: bytes = await call(
                self._request(), timeout=self._context.time_remaining(), metadata=self._metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise self._meaning(error, target) from error
        return answer

    async def _send_stream(self, target: LeaderInfo) -> AsyncGenerator[bytes, None]:
        channel = await self._connected(target)
        has_begun = False
        call = channel.unary_stream(
            self._method, request_serializer=as_is, response_deserializer=as_is
        )(self._request(), timeout=self._context.time_remaining(), metadata=self._metadata())
        try:
            async for chunk in call:
                has_begun = True
                yield chunk
        except grpc.aio.AioRpcError as error:
            raise (error_from_rpc(error) if has_begun else self._meaning(error, target)) from error
        finally:
            call.cancel()

    async def _connected(self, target: LeaderInfo) -> grpc.aio.Channel:
        left_s = self._deadline - self._forwarder.now()
        try:
            return await self._forwarder.connected(target.address, left_s)
        except UnavailableError as error:
            raise _NotSentError(error) from error

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return ((HOPS_KEY, str(self._hops + 1)),)

    def _meaning(self, error: grpc.aio.AioRpcError, target: LeaderInfo) -> Exception:
        """Return what a failed call means for one that may not be made twice."""
        refusal = error_from_rpc(error)
        if _has_answered(error) or error.code() not in _LOST_ANSWER:
            return refusal
        if self._is_read:
            is_gone = error.code() is grpc.StatusCode.UNAVAILABLE
            return _NotSentError(refusal) if is_gone else refusal
        return OutcomeUnknownError(
            f"the leader at {target.address} was asked and did not answer: the change may or may "
            "not have taken effect; look before you repeat it"
        )


class _NotSentError(Exception):
    """A try that had no effect, or whose effect does not matter."""

    def __init__(self, cause: BerthError) -> None:
        super().__init__(cause.message)
        self.cause = cause


def _hops(context: CallContext) -> int:
    metadata: Any = context.invocation_metadata() or ()
    for key, value in metadata:
        if key == HOPS_KEY:
            return int(value) if str(value).isdecimal() else 1
    return 0


def _has_answered(error: grpc.aio.AioRpcError) -> bool:
    """Return whether the other scheduler itself refused, so that it is known what happened."""
    metadata: Any = error.trailing_metadata() or ()
    return any(key == ERROR_KEY for key, _ in metadata)


def as_is(data: bytes) -> bytes:
    """Return `data`: what is passed on need not be read."""
    return data
