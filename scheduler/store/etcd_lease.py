"""Keep a lease alive from a thread of its own.

Duty: renew the lease while the event loop turns; let it run out when the loop hangs; say until when
it surely lives.
Not here: asking for a lease or ending it (etcd_client), what it protects (scheduler.election).
Why a thread: a loop that computes for some seconds would lose its lease for no good reason. Why it
stops when the loop has not turned for half the TTL: a leader that does nothing must not go on
leading.
Invariants: `lost` is never unset; the lease is valid only until the send time of the last answered
ping + TTL - margin.
"""

import asyncio
import threading

import grpc

from berth.clock import Clock
from berth.model.instant import Instant
from scheduler.store import etcd_methods as methods
from scheduler.store.etcd_api import GrantedLease, LeaseTerm
from scheduler.store.etcd_endpoints import sync_channels
from scheduler.store.etcd_settings import EtcdSettings, EtcdTlsContent
from scheduler.store.etcd_status import TokenVerdict, judge_token
from scheduler.store.etcdpb import etcd_pb2 as pb

CLOSE_TIMEOUT_S = 2.0


class LeaseThread:
    """Renews one lease. Started, read and closed from the event loop."""

    def __init__(
        self,
        settings: EtcdSettings,
        clock: Clock,
        lease: GrantedLease,
        tls: EtcdTlsContent | None,
    ) -> None:
        self.lost = asyncio.Event()
        self._settings = settings
        self._tls = tls
        self._clock = clock
        self._lease_id = lease.lease_id
        self._term = LeaseTerm(lease)  # Written by the thread alone; reading it needs no lock.
        self._ping_every_s = lease.ttl_s / 3
        self._member_timeout_s = lease.ttl_s / 6
        self._loop = asyncio.get_running_loop()
        self._loop_seen_at = clock.instant()
        self._beat_timer: asyncio.TimerHandle | None = None
        self._stop = threading.Event()
        self._stopped = asyncio.Event()
        self._token: str | None = None
        self._call: grpc.Call | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"lease-{lease.lease_id:x}", daemon=True
        )

    # -- On the loop

    def start(self) -> None:
        """Begin renewing, and begin telling the thread that the loop turns."""
        self._beat()
        self._thread.start()

    def is_valid(self) -> bool:
        """Tell whether the lease surely lives now; see `LeaseKeeper.is_valid`."""
        return not self.lost.is_set() and self._term.is_valid(self._clock.instant())

    async def aclose(self) -> None:
        """End the thread."""
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        self._stop.set()
        call = self._call
        if call is not None:
            call.cancel()  # type: ignore[no-untyped-call] # grpc-stubs leave it untyped
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._stopped.wait()
        except TimeoutError:
            return  # It is a daemon thread and ends with its present ping.

    def _beat(self) -> None:
        self._loop_seen_at = self._clock.instant()
        self._beat_timer = self._loop.call_later(self._term.ttl_s / 20, self._beat)

    # -- On the thread

    def _run(self) -> None:
        channels = sync_channels(self._settings, self._tls)
        try:
            self._renew_until_over(channels)
        finally:
            for _, channel in channels:
                channel.close()
            self._tell_loop(self._stopped)

    def _renew_until_over(self, channels: list[tuple[str, grpc.Channel]]) -> None:
        preferred = 0
        is_answered = True
        while not self._stop.is_set():
            # After a failure the next member is asked almost at once: the lease is running out.
            pause_s = self._ping_every_s if is_answered else self._member_timeout_s / 4
            left_s = self._term.deadline - self._clock.instant()
            self._stop.wait(max(0.0, min(pause_s, left_s)))
            if self._stop.is_set():
                return
            now = self._clock.instant()
            if not self._term.expire(now) and not self._is_loop_hung(now):
                is_answered = self._ping(channels[preferred][1])
                if not is_answered:
                    preferred = (preferred + 1) % len(channels)
            if self._term.is_over:
                self._tell_loop(self.lost)
                return

    def _is_loop_hung(self, now: Instant) -> bool:
        return now - self._loop_seen_at > self._term.ttl_s / 2

    def _ping(self, channel: grpc.Channel) -> bool:
        """Renew once; True if a member answered."""
        sent_at = self._clock.instant()
        try:
            ttl_s = self._keep_alive(channel)
        except grpc.RpcError as error:
            if judge_token(_details_of(error)) is TokenVerdict.STALE:
                self._token = None  # The next ping, which follows soon, logs in again.
            return False
        self._term.renew(sent_at=sent_at, now=self._clock.instant(), ttl_s=ttl_s)
        return True

    def _keep_alive(self, channel: grpc.Channel) -> float:
        """Send one keep-alive and return the TTL that etcd answers; 0 if the lease is gone."""
        method = methods.LEASE_KEEP_ALIVE
        keep_alive = channel.stream_stream(
            method.path, request_serializer=method.encode, response_deserializer=method.decode
        )
        # An answer after the lease's end is of no use, and `lost` must not wait for it.
        left_s = max(self._term.deadline - self._clock.instant(), 0.001)
        answers = keep_alive(
            iter((pb.LeaseKeepAliveRequest(id=self._lease_id),)),
            timeout=min(self._member_timeout_s, left_s),
            metadata=self._metadata(channel),
        )
        self._call = answers
        try:
            for answer in answers:
                return float(answer.ttl)
        finally:
            self._call = None
            answers.cancel()  # type: ignore[no-untyped-call] # as above
        return 0.0

    def _metadata(self, channel: grpc.Channel) -> tuple[tuple[str, str], ...]:
        if self._settings.username is None:
            return (("hasleader", "true"),)
        if self._token is None:
            method = methods.AUTHENTICATE
            log_in = channel.unary_unary(
                method.path, request_serializer=method.encode, response_deserializer=method.decode
            )
            request = pb.AuthenticateRequest(
                name=self._settings.username, password=self._settings.password or ""
            )
            try:
                self._token = log_in(request, timeout=self._member_timeout_s).token
            except grpc.RpcError as error:
                if "authentication is not enabled" not in _details_of(error):
                    raise
                self._token = ""
        if not self._token:
            return (("hasleader", "true"),)
        return (("hasleader", "true"), ("token", self._token))

    def _tell_loop(self, event: asyncio.Event) -> None:
        try:
            self._loop.call_soon_threadsafe(event.set)
        except RuntimeError:
            return  # The loop is closed: nobody is left to be told.


def _details_of(error: grpc.RpcError) -> str:
    """Return etcd's words; errors of a blocking call are calls as well, which no stub tells."""
    details = getattr(error, "details", None)
    return str(details() or "") if details is not None else ""
