"""The one place that calls etcd's gRPC API from the event loop.

Duty: send a call to a member that answers, log in again when the token has run out, and say of
every failure what may be concluded from it.
Not here: renewing leases (etcd_lease), watching (etcd_watch), what is stored (etcd_store).
Invariants: a write is repeated only when it certainly had no effect; every call ends within its
time; every call carries `hasleader`, so that a member cut off from its quorum says so at once.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from grpc import aio

from berth.clock import Clock
from berth.errors import ConfigError, Fault, StoreUnavailableError
from berth.model.ids import Revision
from berth.model.instant import after
from scheduler.store import etcd_methods as methods
from scheduler.store.errors import (
    AmbiguousError,
    EtcdCallError,
    EtcdRefusedError,
    ForbiddenError,
    LeaseNotFoundError,
    NoQuorumError,
    NoSpaceError,
    NotAppliedError,
)
from scheduler.store.etcd_api import GrantedLease, LeaseKeeper
from scheduler.store.etcd_endpoints import Endpoint, Endpoints
from scheduler.store.etcd_lease import LeaseThread
from scheduler.store.etcd_methods import Method, Req, Resp
from scheduler.store.etcd_settings import EtcdSettings, tls_content
from scheduler.store.etcd_status import TokenVerdict, error_of, judge_token
from scheduler.store.etcd_watch import watch_events
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.pauses import PAUSE_S_MAX, PAUSE_S_MIN

HAS_LEADER: Final = ("hasleader", "true")
TOKEN_KEY: Final = "token"  # noqa: S105 - a header's name

Metadata = tuple[tuple[str, str], ...]


class _StaleTokenError(Exception):
    """Etcd wants a fresh token; the call had no effect."""


class EtcdClient:
    """A connection to an etcd cluster, as `EtcdApi`. Make it inside the running event loop."""

    def __init__(self, settings: EtcdSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._tls = tls_content(settings)
        self.endpoints = Endpoints(settings, clock, self._tls)
        self._token: str | None = None
        self._is_closed = False

    # -- EtcdApi

    async def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """Send a transaction once; see `EtcdApi.txn`."""
        return await self._call(methods.TXN, request, is_repeatable=False)

    async def txn_repeatable(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """Send a transaction as often as needed; see `EtcdApi.txn_repeatable`."""
        return await self._call(methods.TXN, request, is_repeatable=True)

    async def range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        """Read keys; see `EtcdApi.range`."""
        return await self._call(methods.RANGE, request, is_repeatable=True)

    async def lease_grant(self, ttl_s: int) -> GrantedLease:
        """Ask for a lease; see `EtcdApi.lease_grant`."""
        asked_at = self.clock.instant()
        response = await self._call(
            methods.LEASE_GRANT, pb.LeaseGrantRequest(ttl=ttl_s), is_repeatable=False
        )
        return GrantedLease(response.id, float(response.ttl), asked_at)

    async def lease_revoke(self, lease_id: int) -> None:
        """End a lease; see `EtcdApi.lease_revoke`."""
        request = pb.LeaseRevokeRequest(id=lease_id)
        try:
            await self._call(methods.LEASE_REVOKE, request, is_repeatable=True)
        except LeaseNotFoundError:
            return  # Expired, or revoked by an attempt whose answer was lost.

    def keep_lease(self, lease: GrantedLease) -> LeaseKeeper:
        """Begin to renew `lease` from a thread; see `EtcdApi.keep_lease`."""
        keeper = LeaseThread(self.settings, self.clock, lease, self._tls)
        keeper.start()
        return keeper

    def watch(
        self, key: bytes, range_end: bytes, start_revision: Revision
    ) -> AsyncGenerator[Sequence[pb.Event], None]:
        """Yield events; see `EtcdApi.watch`."""
        return watch_events(self, key, range_end, start_revision)

    def prepare_tls(self, settings: EtcdSettings) -> Callable[[], None]:
        """Read renewed certificates; return what lets new connections show them.

        Nothing else of `settings` is taken in. What lasts (a lease's renewal, a watch) stays on the
        connection that it has.

        Raises:
            ConfigError: a file cannot be used, or TLS is to be switched on or off.
        """
        if settings.uses_tls != self.settings.uses_tls:
            problem = "TLS cannot be switched on or off by a reload: restart the program"
            raise ConfigError(problem, [Fault("etcd.ca_file", problem)])
        found = tls_content(settings)

        def exchange() -> None:
            if found != self._tls:
                self._tls = found
                self.endpoints.renew(found)

        return exchange

    # -- For operators and tests

    async def status(self, address: str) -> pb.StatusResponse:
        """Return what the member at `address` says of itself."""
        for endpoint in self.endpoints:
            if endpoint.address == address:
                return await self._attempt(
                    endpoint, methods.STATUS, pb.StatusRequest(), self.settings.attempt_timeout_s
                )
        raise EtcdRefusedError(f'"{address}" is not among the configured etcd endpoints')

    async def alarms(self) -> Sequence[pb.AlarmMember]:
        """Return the alarms that are raised, of all members."""
        request = pb.AlarmRequest(action=pb.AlarmRequest.GET)
        response = await self._call(methods.ALARM, request, is_repeatable=True)
        return response.alarms

    async def aclose(self) -> None:
        """Close all connections."""
        self._is_closed = True
        await self.endpoints.aclose()

    # -- For etcd_watch

    async def metadata(self, endpoint: Endpoint, timeout_s: float) -> Metadata:
        """Return the headers of a call, logging in at `endpoint` first where that is needed."""
        if self.settings.username is None:
            return (HAS_LEADER,)
        if self._token is None:
            await self._log_in(endpoint, timeout_s)
        return (HAS_LEADER,) if not self._token else (HAS_LEADER, (TOKEN_KEY, self._token))

    def error_from(self, error: aio.AioRpcError, endpoint: Endpoint) -> Exception:
        """Return Berth's error for a failed call, and forget a token that etcd no longer takes."""
        details = error.details() or ""
        if self.settings.username is not None and judge_token(details) is TokenVerdict.STALE:
            self._token = None
            return _StaleTokenError()
        return error_of(error.code(), details, endpoint.address)

    def forget_token(self) -> None:
        """Log in again before the next call."""
        self._token = None

    # -- Inside

    async def _call(self, method: Method[Req, Resp], request: Req, *, is_repeatable: bool) -> Resp:
        """Send `request` to members in turn until one answers.

        What must not be repeated blindly goes to each member at most once, as long as it certainly
        had no effect; its caller decides whether to go on. What is repeatable goes round until the
        call's time is over.

        Args:
            method: what to call.
            request: its message.
            is_repeatable: whether sending it twice is harmless.
        """
        deadline = after(self.clock.instant(), self.settings.call_timeout_s)
        failures = 0
        has_new_token = False
        telling: EtcdCallError | None = None
        while True:
            endpoint = self.endpoints.current()
            left_s = deadline - self.clock.instant()
            try:
                return await self._attempt(
                    endpoint, method, request, min(self.settings.attempt_timeout_s, left_s)
                )
            except (NoSpaceError, ForbiddenError):
                raise  # The whole cluster's state: no other member will do better.
            except _StaleTokenError:
                if not has_new_token:
                    has_new_token = True
                    continue
                raise ForbiddenError(
                    f"etcd at {endpoint.address} refuses the token that it has just given"
                ) from None
            except EtcdCallError as error:
                self.endpoints.demote(endpoint)
                if isinstance(error, AmbiguousError) and not is_repeatable:
                    raise
                telling = error if telling is None else max(telling, error, key=_how_telling)
            failures += 1
            pause_s = self._pause_s(failures)
            if (pause_s and not is_repeatable) or self.clock.instant() + pause_s >= deadline:
                raise telling
            if pause_s:
                await self.clock.sleep(pause_s)

    def _pause_s(self, failures: int) -> float:
        """Ask each member once without delay, then wait longer and longer between rounds."""
        rounds, within = divmod(failures, len(self.endpoints))
        if within:
            return 0.0
        return min(PAUSE_S_MIN * 2.0 ** min(rounds - 1, 8), PAUSE_S_MAX)

    async def _attempt(
        self, endpoint: Endpoint, method: Method[Req, Resp], request: Req, timeout_s: float
    ) -> Resp:
        """Send `request` to one member, once."""
        metadata = await self.metadata(endpoint, timeout_s)
        return await self._send(endpoint, method, request, timeout_s, metadata)

    async def _send(
        self,
        endpoint: Endpoint,
        method: Method[Req, Resp],
        request: Req,
        timeout_s: float,
        metadata: Metadata,
    ) -> Resp:
        if self._is_closed:
            raise StoreUnavailableError("the connection to etcd is closed: this process is ending")
        call = endpoint.channel.unary_unary(
            method.path, request_serializer=method.encode, response_deserializer=method.decode
        )
        try:
            response: Resp = await call(request, timeout=timeout_s, metadata=metadata)
        except aio.AioRpcError as error:
            raise self.error_from(error, endpoint) from error
        except aio.UsageError as error:
            raise StoreUnavailableError("the connection to etcd was closed meanwhile") from error
        return response

    async def _log_in(self, endpoint: Endpoint, timeout_s: float) -> None:
        """Fetch a token. An etcd without authentication leaves it empty."""
        assert self.settings.username is not None
        request = pb.AuthenticateRequest(
            name=self.settings.username, password=self.settings.password or ""
        )
        try:
            response = await self._send(
                endpoint, methods.AUTHENTICATE, request, timeout_s, (HAS_LEADER,)
            )
        except AmbiguousError as error:  # Logging in changes nothing.
            raise NotAppliedError(error.message) from error
        except EtcdRefusedError as error:
            if "authentication is not enabled" in error.message:
                self._token = ""
                return
            raise
        self._token = response.token


def _how_telling(error: EtcdCallError) -> int:
    """Rank what several members answered: one that speaks of the cluster tells the most.

    A write whose outcome is open never gets here, for its call ends at once.
    """
    match error:
        case NoQuorumError():
            return 2
        case AmbiguousError():
            return 1
        case _:
            return 0
