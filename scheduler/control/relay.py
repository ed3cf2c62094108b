"""Logs on their way from agents to users.

Duty: `LogRelay.stream` serves one user; `StreamsService` takes what agents publish and hands it to
the reading that asked. Not here: which tasks are asked where, and when one gives up (log_reading).
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import grpc
import grpc.aio

from berth.clock import Clock
from berth.entropy import Entropy
from berth.errors import InvalidRequestError, NotLeaderError, PermissionDeniedError
from berth.model.instant import after
from berth.v1 import control_pb2, streams_pb2, streams_pb2_grpc
from berth.wire.tls import Role, peer_identity
from scheduler.control.leader_directory import LeaderDirectory
from scheduler.control.log_reading import SILENCE_S, Ask, Reading
from scheduler.leader import Leader

LOOK_PERIOD_S: Final = 0.5
"""How often a reading looks for new tasks, lost nodes and silent agents."""

_Context = grpc.aio.ServicerContext[Any, Any]


class LogRelay:
    """All readings of logs of this process."""

    def __init__(
        self,
        directory: LeaderDirectory,
        clock: Clock,
        entropy: Entropy,
        *,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._silence_s = silence_s
        self._readings: set[Reading] = set()

    async def stream(
        self, leader: Leader, request: control_pb2.ServiceLogsRequest
    ) -> AsyncGenerator[streams_pb2.LogChunk, None]:
        """Yield what the tasks that `request` names wrote, as it comes.

        What cannot be read is a chunk with `error`; the rest goes on.

        Raises:
            NotFoundError: no such service or task.
            InvalidRequestError: the name is ambiguous, or no output is asked for.
            NotLeaderError: leadership ended meanwhile.
        """
        if not (request.stdout or request.stderr):
            raise InvalidRequestError("no output is asked for: ask for stdout, stderr or both")
        reading = Reading(leader, request, self._entropy.new_id, self._silence_s)
        self._readings.add(reading)
        try:
            next_look = self._clock.instant()
            while True:
                now = self._clock.instant()
                if now >= next_look:
                    self._check_leading(leader)
                    reading.look(now)
                    next_look = after(now, LOOK_PERIOD_S)
                chunk = await reading.funnel.take(max(next_look - now, 0.0))
                if chunk is not None:
                    yield chunk
                elif reading.is_over:
                    return
        finally:
            self._readings.discard(reading)
            reading.cancel()

    def find(self, request_id: str) -> Ask | None:
        """Return the ask that an agent answers, None when nobody waits for it any more."""
        for reading in self._readings:
            ask = reading.asks.get(request_id)
            if ask is not None:
                return ask
        return None

    async def take(self, ask: Ask, chunk: streams_pb2.LogChunk) -> bool:
        """Pass on one chunk of an agent's answer; False when no more is wanted of it."""
        is_wanted = await ask.reading.take(ask, chunk, self._clock.instant())
        ask.heard_at = self._clock.instant()  # It may have waited long for a slow user.
        return is_wanted

    def break_off(self, ask: Ask) -> None:
        """An agent's answer ended in the middle."""
        ask.reading.break_off(ask, self._clock.instant())

    def _check_leading(self, leader: Leader) -> None:
        if self._directory.local is not leader:
            raise NotLeaderError("this scheduler has stopped leading; ask for the logs again")


class StreamsService(streams_pb2_grpc.StreamsServicer):
    """Takes what agents publish."""

    def __init__(self, relay: LogRelay, *, requires_tls: bool) -> None:
        self._relay = relay
        self._requires_tls = requires_tls

    async def PublishLogs(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[streams_pb2.LogChunk], context: _Context
    ) -> streams_pb2.PublishSummary:
        """Take one agent's answer to one LogRequest; ends early when nobody reads it any more."""
        self._check_peer(context)
        ask: Ask | None = None
        try:
            async for chunk in request_iterator:
                if ask is None:
                    ask = self._relay.find(chunk.request_id)
                if ask is None or not await self._relay.take(ask, chunk):
                    return streams_pb2.PublishSummary()
            return streams_pb2.PublishSummary()
        finally:
            # gRPC ends a cancelled stream like a finished one: only `done` is a good end.
            if ask is not None:
                self._relay.break_off(ask)

    def _check_peer(self, context: _Context) -> None:
        if not self._requires_tls:
            return
        peer = peer_identity(context)
        if peer is None or peer.role is not Role.AGENT:
            raise PermissionDeniedError(
                "this certificate may not publish logs; issue one with the role agent"
            )
