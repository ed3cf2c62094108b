"""The gRPC Dispatcher: one stream per agent, between it and the leader's shell.

Duty: refuse where we do not lead, pass messages up, write the outbox down, coalesced. Not here:
what messages mean (scheduler.leader), merging (outbox).
"""

import asyncio
from typing import Any, Protocol

import grpc
import structlog

from berth.clock import Clock
from berth.errors import BerthError, NotLeaderError, StaleEpochError
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import dispatcher_pb2_grpc
from berth.wire.tls import Role, peer_identity
from scheduler.leader import AgentSession, Leader

log = structlog.get_logger()

COALESCE_S = 0.02
"""How long a message waits for others of the same node: few, fat messages cost the leader least."""

HELLO_TIMEOUT_S = 10.0
_RETRY_AFTER_S = 0.5

_Context = grpc.aio.ServicerContext[Any, Any]


class _SessionOverError(Exception):
    """The leader ended the session."""


class LeaderSource(Protocol):
    """Where the local leader is found."""

    def require_local(self) -> Leader:
        """Return it, or raise NotLeaderError with the address of the one who leads."""
        ...


class DispatcherService(dispatcher_pb2_grpc.DispatcherServicer):
    """Serves every agent that connects to this scheduler."""

    def __init__(self, source: LeaderSource, clock: Clock, *, requires_tls: bool) -> None:
        self._source = source
        self._clock = clock
        self._requires_tls = requires_tls

    async def Session(  # noqa: N802 - gRPC's name
        self, request_iterator: object, context: _Context
    ) -> None:
        """Run one agent's session until either side ends it."""
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            hello = await context.read()
        if not isinstance(hello, pb.AgentMessage):
            return
        if (reason := self._distrust(context)) is not None:
            await context.write(_refusal(reason, "", 30.0))
            return
        try:
            leader = self._source.require_local()
            session = leader.join(hello)
        except NotLeaderError as error:
            await context.write(_refusal(error.message, error.leader_address, _RETRY_AFTER_S))
            return
        except StaleEpochError as error:
            log.error("stale_leadership_shown_by_agent", node_id=hello.node_id, why=str(error))
            await context.write(_refusal(error.message, "", _RETRY_AFTER_S))
            return
        except BerthError as error:
            log.warning("agent_refused", node_id=hello.node_id, why=error.message)
            await context.write(_refusal(error.message, "", 30.0))
            return
        try:
            await self._run(leader, session, context)
        finally:
            leader.leave(session)

    def _distrust(self, context: _Context) -> str | None:
        if not self._requires_tls:
            return None
        peer = peer_identity(context)
        if peer is None or peer.role is not Role.AGENT:
            return "this certificate is not an agent's; issue one with the role agent"
        return None

    async def _run(self, leader: Leader, session: AgentSession, context: _Context) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(session, context))
                while isinstance(message := await context.read(), pb.AgentMessage):
                    leader.receive(session, message)
                raise _SessionOverError
        except* _SessionOverError:
            pass
        except* grpc.RpcError as failures:
            log.debug("session_broke", node_id=session.node, why=str(failures.exceptions[0]))

    async def _write(self, session: AgentSession, context: _Context) -> None:
        while True:
            await session.outbox.wait_ready()
            if not session.outbox.is_closed:
                await self._clock.sleep(COALESCE_S)
            for message in session.outbox.take():
                await context.write(message)
            if session.outbox.is_closed:
                raise _SessionOverError


def _refusal(reason: str, leader_address: str, retry_after_s: float) -> pb.SchedulerMessage:
    return pb.SchedulerMessage(
        refused=pb.Refused(
            reason=reason, leader_address=leader_address, retry_after_s=retry_after_s
        )
    )
