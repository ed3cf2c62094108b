"""The Control API for what lives in a scheduler's own process: the gateway.

Duty: answer from our own memory while we lead, without a connection to ourselves and without
turning messages into bytes and back; forward to the leader otherwise, as gRPC's door does.
Not here: which scheduler answers (forward), the answers (service), who may ask (gateway.doors).

Invariant (tests/unit/scheduler/control/test_in_process.py): what is asked here and what is asked
through gRPC is answered alike, and refused alike.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from berth.client import CALL_TIMEOUT_S
from berth.v1 import control_pb2
from scheduler.control.forward import ForwardedCall, Forwarder
from scheduler.control.service import ControlService
from scheduler.leader import Leader

_SERVICE: Final = control_pb2.DESCRIPTOR.services_by_name["Control"]
_OUTPUTS: Final = {each.name: GetMessageClass(each.output_type) for each in _SERVICE.methods}
_STREAMING: Final = frozenset(each.name for each in _SERVICE.methods if each.server_streaming)


class OwnCalls:
    """Calls of the Control API within a scheduler (`berth.scheduler_calls.Calls`)."""

    timeout_s = CALL_TIMEOUT_S

    def __init__(self, forwarder: Forwarder, answers: ControlService) -> None:
        self.forwarder = forwarder
        self._answers = answers

    async def close(self) -> None:
        """Do nothing: connections to other schedulers are the forwarder's."""

    def renew_channels(self) -> None:
        """Do nothing, likewise."""

    async def call(self, method: str, request: Any, *, is_read: bool = True) -> Any:
        """Return the answer of a call.

        Args:
            method: of the Control API.
            request: its message.
            is_read: not needed here: the forwarder knows which calls may be made twice.

        Raises:
            BerthError: the refusal.
        """
        answer, output = getattr(self._answers, method), _OUTPUTS[method]

        async def locally(leader: Leader) -> Message:
            message: Message = await answer(leader, request)
            return message

        return await self._forwarded(method, request).unary(locally, output.FromString)

    async def stream(self, method: str, request: Any) -> AsyncIterator[Any]:
        """Yield the answers of a streaming call; a stream that breaks is not opened again.

        Raises:
            BerthError: the refusal, or that the connection to the leader broke.
        """
        answer, output = getattr(self._answers, method), _OUTPUTS[method]

        def locally(leader: Leader) -> AsyncGenerator[Message, None]:
            chunks: AsyncGenerator[Message, None] = answer(leader, request)
            return chunks

        call = self._forwarded(method, request)
        async with aclosing(call.stream(locally, output.FromString)) as messages:
            async for message in messages:
                yield message

    def _forwarded(self, method: str, request: Message) -> ForwardedCall:
        return ForwardedCall(
            self.forwarder,
            f"/{_SERVICE.full_name}/{method}",
            request.SerializeToString,
            _OwnContext(None if method in _STREAMING else CALL_TIMEOUT_S),
        )


class _OwnContext:
    """What gRPC would tell of a call: it comes from nobody else, and may take so long."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> float | None:
        return self._timeout_s
