"""The line to the leader: one stream for all that a scheduler's users read from another one.

Duty: carry questions and answers, several in a message where they come together; say when the line
broke or does not do. Not here: whom to ask and when again (forward), answering (line_answers).

Docker CLIs that wait at a scheduler that does not lead make it ask fifteen times a second each. A
call of its own costs either side about 0.6 ms of CPU; on the line 0.5 and 0.3, and less the more
come together (docs/adr/0012-one-line-to-the-leader.md). Changes have calls of their own: what
becomes of them when a connection breaks must be known.

Invariants (tests/unit/scheduler/control/test_line.py): every question ends, with its answer, its
refusal or `LineLostError`; a line that nobody uses is let go.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio

from berth.cancellation import check_cancelled
from berth.errors import UnavailableError
from berth.v1 import line_pb2 as pb
from berth.wire.status import error_from_rpc, refusal_from_proto

IDLE_S: Final = 5.0
"""How long a line is kept that nobody uses; each costs a PING every 2 s."""
_CALL: Final = "/berth.v1.Line/Ask"

_Stream: TypeAlias = "grpc.aio.StreamStreamCall[Any, Any]"


class LineLostError(UnavailableError):
    """The line broke: it is not known whether the question arrived. Ask again."""


class AskAloneError(UnavailableError):
    """The leader does not answer this on the line. Make a call of its own."""


@dataclass(slots=True)
class _Waiting:
    question: pb.Question
    channel: grpc.aio.Channel
    answer: asyncio.Future[bytes]


class Line:
    """Carries questions to whichever scheduler leads; `run` it."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._count = 0
        self._unsent: list[_Waiting] = []
        self._sent: dict[int, _Waiting] = {}
        self._news = asyncio.Event()
        self._is_running = False
        self._without_line: grpc.aio.Channel | None = None

    def takes(self, channel: grpc.aio.Channel) -> bool:
        """Return whether questions to `channel` may be asked on the line."""
        return self._is_running and channel is not self._without_line

    async def ask(
        self, channel: grpc.aio.Channel, method: str, request: bytes, timeout_s: float | None
    ) -> bytes:
        """Return the answer to a call of the Control API that changes nothing.

        Args:
            channel: to the leader. With another one than before the line is laid anew.
            method: the call's name.
            request: its message.
            timeout_s: how long to wait; None = for ever.

        Raises:
            LineLostError: ask again.
            AskAloneError: make a call of its own.
            BerthError: the leader's refusal, or that it did not answer in time.
        """
        self._count += 1
        question = pb.Question(id=self._count, method=method, request=request)
        waiting = _Waiting(question, channel, asyncio.get_running_loop().create_future())
        self._unsent.append(waiting)
        self._news.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await waiting.answer
        except TimeoutError:
            raise UnavailableError(
                f"the leader did not answer within {timeout_s:g} s; look at its log, or try again"
            ) from None
        finally:
            self._sent.pop(question.id, None)

    async def run(self) -> None:
        """Carry questions until cancelled."""
        self._is_running = True
        try:
            while True:
                self._unsent = [each for each in self._unsent if not each.answer.done()]
                if self._unsent:
                    await self._carry(self._unsent[0].channel)
                    check_cancelled()
                else:
                    self._news.clear()
                    await self._news.wait()
        finally:
            self._is_running = False
            self._sent |= {each.question.id: each for each in self._unsent}
            self._lose("this scheduler stops")

    async def _carry(self, channel: grpc.aio.Channel) -> None:
        """Serve one line until it breaks, nobody uses it, or another channel is asked for."""
        try:
            call = channel.stream_stream(
                _CALL,
                request_serializer=pb.Questions.SerializeToString,
                response_deserializer=pb.Answers.FromString,
            )(None)
        except grpc.aio.UsageError:  # It was closed since its question was asked.
            closed = [each for each in self._unsent if each.channel is channel]
            self._unsent = [each for each in self._unsent if each.channel is not channel]
            self._sent |= {each.question.id: each for each in closed}
            self._lose("its connection was closed")
            return
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(call))
                await self._write(call, channel)
                reading.cancel()
        except* grpc.aio.AioRpcError as errors:
            cause = errors.exceptions[0]
            assert isinstance(cause, grpc.aio.AioRpcError)
            if cause.code() is grpc.StatusCode.UNIMPLEMENTED:  # A leader of an older version.
                self._without_line = channel
            self._lose(error_from_rpc(cause).message)
        except* (_EndedError, asyncio.InvalidStateError):  # The latter is how writing ends then.
            self._lose("the leader ended it")
        finally:
            call.cancel()

    async def _write(self, call: _Stream, channel: grpc.aio.Channel) -> None:
        """Send what is asked of `channel`; return when the line is of no use any more."""
        while True:
            self._news.clear()
            batch = []
            while self._unsent and self._unsent[0].channel is channel:
                batch.append(self._unsent.pop(0))
            if batch:
                self._sent |= {each.question.id: each for each in batch if not each.answer.done()}
                await call.write(pb.Questions(questions=[each.question for each in batch]))
            elif self._unsent:
                self._lose("another scheduler is asked now")
                return
            try:
                async with asyncio.timeout(self._idle_s):
                    await self._news.wait()
            except TimeoutError:
                if not self._sent:
                    return

    async def _read(self, call: _Stream) -> None:
        try:
            async for answers in call:
                for answer in answers.answers:
                    waiting = self._sent.pop(answer.id, None)
                    if waiting is not None and not waiting.answer.done():
                        _settle(waiting.answer, answer)
        except asyncio.CancelledError:
            check_cancelled()
            # It is the call that was cancelled: its channel is being closed.
        raise _EndedError

    def _lose(self, reason: str) -> None:
        """Let go of every question that was sent; their callers ask again."""
        lost, self._sent = self._sent, {}
        for waiting in lost.values():
            if not waiting.answer.done():
                text = f"the line to the leader broke: {reason}"
                waiting.answer.set_exception(LineLostError(text))


class _EndedError(Exception):
    """The stream is over, without an error of gRPC."""


def _settle(future: asyncio.Future[bytes], answer: pb.Answer) -> None:
    if answer.ask_alone:
        future.set_exception(AskAloneError("the leader wants a call of its own for this"))
    elif answer.HasField("refusal"):
        future.set_exception(refusal_from_proto(answer.refusal))
    else:
        future.set_result(answer.message)
