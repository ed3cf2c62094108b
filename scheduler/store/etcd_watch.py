"""Watch keys across fail-overs, each event once.

Duty: open a watch, resume it at another member after a failure, notice a member that hangs.
Not here: what the events mean.
Invariants: the place to resume is that of the last event *delivered*, never a revision out of a
header or a progress reply, which may run ahead of what was delivered; a compacted revision is
raised, never skipped.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Final

from grpc import aio

from berth.errors import BerthError, StoreUnavailableError
from berth.model.ids import Revision
from scheduler.store import etcd_methods as methods
from scheduler.store.errors import CompactedError, EtcdCallError
from scheduler.store.etcd_endpoints import Endpoint
from scheduler.store.etcdpb import etcd_pb2 as pb

if TYPE_CHECKING:
    from scheduler.store.etcd_client import EtcdClient

PAUSE_S: Final = 0.2
PROBE_S_MAX: Final = 16.0

_Call = aio.StreamStreamCall[pb.WatchRequest, pb.WatchResponse]


class _CanceledError(Exception):
    """The member ended the watch. It says "permission denied" even if only the token is old."""


class _SilentError(Exception):
    """The member gave no sign of life."""


async def watch_events(
    client: "EtcdClient", key: bytes, range_end: bytes, start_revision: Revision
) -> AsyncGenerator[Sequence[pb.Event], None]:
    """Yield the events of one transaction or more at a time; see `EtcdApi.watch`."""
    resume_at = int(start_revision)
    probe_s = client.settings.watch_probe_s
    while True:
        endpoint = client.endpoints.current()
        try:
            async with asyncio.timeout(probe_s):
                call = await _open(client, endpoint, key, range_end, resume_at)
            try:
                while True:
                    response = await _next_response(call, probe_s)
                    probe_s = client.settings.watch_probe_s
                    if response.canceled:
                        _raise_canceled(response)
                    events = [e for e in response.events if e.kv.mod_revision >= resume_at]
                    if events:
                        yield events
                        resume_at = events[-1].kv.mod_revision + 1
            finally:
                call.cancel()
        except (_SilentError, TimeoutError):
            # Perhaps it is only slow: be more patient next time, not to burden it with reconnects.
            probe_s = min(probe_s * 2, PROBE_S_MAX)
        except _CanceledError:
            client.forget_token()
        except aio.AioRpcError as error:
            reason = client.error_from(error, endpoint)
            if isinstance(reason, BerthError) and not isinstance(reason, EtcdCallError):
                raise reason from error
        except EtcdCallError:
            pass  # Could not log in there.
        except aio.UsageError as error:
            raise StoreUnavailableError("the connection to etcd was closed") from error
        client.endpoints.demote(endpoint)
        await client.clock.sleep(PAUSE_S if len(client.endpoints) == 1 else 0.01)


async def _open(
    client: "EtcdClient", endpoint: Endpoint, key: bytes, range_end: bytes, start_revision: int
) -> _Call:
    method = methods.WATCH
    open_stream = endpoint.channel.stream_stream(
        method.path, request_serializer=method.encode, response_deserializer=method.decode
    )
    metadata = await client.metadata(endpoint, client.settings.attempt_timeout_s)
    call = open_stream(None, metadata=metadata)
    request = pb.WatchCreateRequest(key=key, range_end=range_end, start_revision=start_revision)
    try:
        await call.write(pb.WatchRequest(create_request=request))
    except asyncio.InvalidStateError as error:  # The stream ended before it began.
        call.cancel()
        raise _SilentError from error
    except BaseException:
        call.cancel()
        raise
    return call


async def _next_response(call: _Call, probe_s: float) -> pb.WatchResponse:
    """Return the next response; ask for a sign of life when none comes, and give up after that."""
    reading = asyncio.ensure_future(call.read())
    try:
        for is_last_chance in (False, True):
            done, _ = await asyncio.wait({reading}, timeout=probe_s)
            if done:
                response = reading.result()
                if not isinstance(response, pb.WatchResponse):  # aio.EOF
                    raise _SilentError  # Ended without a status worth reading: open it again.
                return response
            if not is_last_chance:
                await _ask_for_progress(call, probe_s)
        raise _SilentError
    finally:
        if not reading.done():
            reading.cancel()
            await asyncio.wait({reading})


async def _ask_for_progress(call: _Call, timeout_s: float) -> None:
    """Ask for a sign of life. The revision in the answer may be ahead of what was delivered."""
    request = pb.WatchRequest(progress_request=pb.WatchProgressRequest())
    try:
        async with asyncio.timeout(timeout_s):
            await call.write(request)
    except asyncio.InvalidStateError:
        return  # The stream has just ended: reading it tells how.


def _raise_canceled(response: pb.WatchResponse) -> None:
    """Raise why etcd ended the watch."""
    if response.compact_revision:
        raise CompactedError(
            f"etcd compacted the watched revision away (it kept {response.compact_revision} on): "
            "read afresh",
            compact_revision=Revision(response.compact_revision),
        )
    raise _CanceledError
