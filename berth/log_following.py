"""Following logs under one leader after the other.

Duty: remember how far each task was read, and open the stream again there when it breaks.
Not here: connections (berth.client), which tasks there are (scheduler.control.log_reading).

Invariants (tests/unit/berth/test_log_following.py): no line is yielded twice and none is left out,
however often the stream breaks; a refusal that would come again ends the following at once.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final

from berth.clock import Clock
from berth.errors import BerthError, NoLeaderError, NotLeaderError, UnavailableError
from berth.v1 import control_pb2, streams_pb2

PAUSE_S: Final = 0.3

OpenStream = Callable[[control_pb2.ServiceLogsRequest], AsyncIterator[streams_pb2.LogChunk]]
"""Opens a stream at whichever scheduler answers; raises a BerthError when it breaks."""


class LogPosition:
    """How far each task was read."""

    def __init__(self, request: control_pb2.ServiceLogsRequest, began_at: float) -> None:
        """Begin before the first line.

        Args:
            request: what the user asked for.
            began_at: seconds since 1970, by our clock.
        """
        self._request = request
        self._began_at = began_at
        self._read_to: dict[str, int] = {}

    def note(self, chunk: streams_pb2.LogChunk) -> None:
        """Take down what was read."""
        for line in chunk.lines:
            self._read_to[line.task_id] = max(line.time_ns, self._read_to.get(line.task_id, 0))

    def request(self) -> control_pb2.ServiceLogsRequest:
        """Return what is to be asked for now.

        Of a task that was read, the scheduler leaves out what is not newer. A task that was not
        read had no line yet, or is new: all of its lines are wanted. Only when the user asked for
        no old lines at all can it have some; then those since we began, by two machines' clocks.
        """
        again = control_pb2.ServiceLogsRequest()
        again.CopyFrom(self._request)
        again.tail = -1
        if self._request.tail == 0:
            again.since = max(self._request.since, self._began_at)
        again.read_to.update(self._read_to)
        return again


async def follow_logs(
    open_stream: OpenStream,
    request: control_pb2.ServiceLogsRequest,
    clock: Clock,
    give_up_s: float,
) -> AsyncGenerator[streams_pb2.LogChunk, None]:
    """Yield chunks until the user goes away.

    Args:
        open_stream: opens one stream.
        request: of the user, with `follow`.
        clock: for pauses, and for what "from now on" means.
        give_up_s: how long it may take to be served again.

    Raises:
        BerthError: a refusal, or nobody served it for `give_up_s`.
    """
    position = LogPosition(request, clock.timestamp())
    served_at = clock.instant()
    while True:
        opened_at = clock.instant()
        chunks: Any = open_stream(request)
        try:
            async with aclosing(chunks) as opened:
                async for chunk in opened:
                    served_at = clock.instant()
                    position.note(chunk)
                    yield chunk
            return
        except BerthError as error:
            now = clock.instant()
            if now - opened_at > give_up_s:
                served_at = now  # It was open, and quiet.
            if not _is_passing(error) or now - served_at > give_up_s:
                raise
        request = position.request()
        await clock.sleep(PAUSE_S)


def _is_passing(error: BerthError) -> bool:
    # `type`, because the subclasses of UnavailableError are answers of whoever leads.
    return isinstance(error, (NoLeaderError, NotLeaderError)) or type(error) is UnavailableError


__all__ = ["LogPosition", "OpenStream", "follow_logs"]
