"""The gRPC Dispatcher: the transport of agents' sessions.

Duty: who the peer is, and gRPC's stream as an `AgentStream`. Not here: the session itself
(session), what messages mean (scheduler.leader).
"""

from typing import Any

import grpc

from berth.clock import Clock
from berth.errors import UnavailableError
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import dispatcher_pb2_grpc
from berth.wire.tls import Role, peer_identity
from scheduler.dispatch.session import serve_agent
from scheduler.dispatch.waiting_room import WaitingRoom

_Context = grpc.aio.ServicerContext[Any, Any]


class DispatcherService(dispatcher_pb2_grpc.DispatcherServicer):
    """Serves every agent that connects to this scheduler."""

    def __init__(self, room: WaitingRoom, clock: Clock, *, requires_tls: bool) -> None:
        self._room = room
        self._clock = clock
        self._requires_tls = requires_tls

    async def Session(  # noqa: N802 - gRPC's name
        self, request_iterator: object, context: _Context
    ) -> None:
        """Run one agent's session until either side ends it."""
        peer = peer_identity(context) if self._requires_tls else None
        distrust = None
        if self._requires_tls and (peer is None or peer.role is not Role.AGENT):
            distrust = "this certificate is not an agent's; issue one with the role agent"
        await serve_agent(
            self._room,
            self._clock,
            _GrpcStream(context),
            distrust=distrust,
            certified_as=peer.name if peer is not None else "",
        )


class _GrpcStream:
    """A server's end of a gRPC stream, as an `AgentStream`."""

    def __init__(self, context: _Context) -> None:
        self._context = context

    async def read(self) -> pb.AgentMessage | None:
        """See `AgentStream.read`."""
        try:
            message = await self._context.read()
        except grpc.RpcError as error:
            raise UnavailableError(f"an agent's stream broke: {error}") from error
        return message if isinstance(message, pb.AgentMessage) else None

    async def write(self, message: pb.SchedulerMessage) -> None:
        """See `AgentStream.write`."""
        try:
            await self._context.write(message)
        except grpc.RpcError as error:
            raise UnavailableError(f"an agent's stream broke: {error}") from error
