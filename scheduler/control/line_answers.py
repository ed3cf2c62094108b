"""Questions that other schedulers ask for their users, answered where the leader is.

Duty: the service of line.proto. Not here: asking (line), the answers (service).

Invariant (tests/unit/scheduler/control/test_line.py): a question is answered as a forwarded
call of its own is, and refused alike; only reads are answered.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc.aio
import structlog
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from berth.errors import BerthError, InternalError, InvalidRequestError, PermissionDeniedError
from berth.v1 import control_pb2, line_pb2, line_pb2_grpc
from berth.wire.status import refusal_to_proto
from berth.wire.tls import Role, peer_identity
from scheduler.control.call_kinds import READS
from scheduler.control.forward import HOPS_KEY, ForwardedCall, Forwarder, as_is
from scheduler.control.service import ControlService
from scheduler.leader import Leader

log = structlog.get_logger()

LARGE_BYTES: Final = 1024 * 1024
"""Larger answers would hold up those that follow on the stream."""
UNDER_WAY_MAX: Final = 1000
_SERVICE: Final = control_pb2.DESCRIPTOR.services_by_name["Control"]
_REQUESTS: Final = {
    each.name: GetMessageClass(each.input_type)
    for each in _SERVICE.methods
    if each.name in READS and not each.server_streaming
}
_Context = grpc.aio.ServicerContext[Any, Any]


class LineService(line_pb2_grpc.LineServicer):
    """Answers what schedulers ask on their lines."""

    def __init__(
        self, forwarder: Forwarder, answers: ControlService, *, requires_tls: bool
    ) -> None:
        self._forwarder = forwarder
        self._answers = answers
        self._requires_tls = requires_tls

    async def Ask(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[line_pb2.Questions], context: _Context
    ) -> None:
        """Answer one scheduler until it ends the stream."""
        self._check_peer(context)
        ready = _Ready()
        room = asyncio.Semaphore(UNDER_WAY_MAX)

        async def answer(question: line_pb2.Question) -> None:
            try:
                ready.add(await self._answer(question))
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            writing = group.create_task(ready.write(context))
            async with asyncio.TaskGroup() as answering:
                async for questions in request_iterator:
                    for question in questions.questions:
                        await room.acquire()
                        answering.create_task(answer(question))
            writing.cancel()

    async def _answer(self, question: line_pb2.Question) -> line_pb2.Answer:
        request_class = _REQUESTS.get(question.method)
        if request_class is None:
            return line_pb2.Answer(id=question.id, ask_alone=True)
        method = getattr(self._answers, question.method)

        async def locally(leader: Leader) -> bytes:
            message: Message = await method(leader, request_class.FromString(question.request))
            return message.SerializeToString()

        path = f"/{_SERVICE.full_name}/{question.method}"
        call = ForwardedCall(self._forwarder, path, lambda: question.request, _FORWARDED)
        try:
            found = await call.unary(locally, as_is)
        except BerthError as error:
            return line_pb2.Answer(id=question.id, refusal=refusal_to_proto(error))
        except DecodeError:
            broken = InvalidRequestError("the request cannot be read; its sender is broken")
            return line_pb2.Answer(id=question.id, refusal=refusal_to_proto(broken))
        except Exception as error:  # One question must not end the others'.
            log.error("line_question_crashed", method=question.method, exc_info=error)
            bug = InternalError(f"internal error in {question.method}; the leader's log tells more")
            return line_pb2.Answer(id=question.id, refusal=refusal_to_proto(bug))
        if len(found) > LARGE_BYTES:
            return line_pb2.Answer(id=question.id, ask_alone=True)
        return line_pb2.Answer(id=question.id, message=found)

    def _check_peer(self, context: _Context) -> None:
        if not self._requires_tls:
            return
        peer = peer_identity(context)
        if peer is None or peer.role is not Role.SCHEDULER:
            raise PermissionDeniedError(
                "this certificate may not ask for others; only schedulers do, with the role "
                "scheduler"
            )


class _Ready:
    """Answers that wait to be sent; what is ready at the same time leaves in one message."""

    def __init__(self) -> None:
        self._answers: list[line_pb2.Answer] = []
        self._news = asyncio.Event()

    def add(self, answer: line_pb2.Answer) -> None:
        self._answers.append(answer)
        self._news.set()

    async def write(self, context: _Context) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            batch, self._answers = self._answers, []
            await context.write(line_pb2.Answers(answers=batch))


class _ForwardedContext:
    """What gRPC would tell of a call that another scheduler has forwarded."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((HOPS_KEY, "1"),)

    def time_remaining(self) -> float | None:
        return None


_FORWARDED: Final = _ForwardedContext()
