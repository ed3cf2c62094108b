"""Followed logs go on where they broke: no line twice, none left out."""

from collections.abc import AsyncIterator

import pytest

from berth.errors import BerthError, NotFoundError, NotLeaderError, UnavailableError
from berth.log_following import follow_logs
from berth.v1 import control_pb2, streams_pb2
from tests.fakes.virtual_time import VirtualClock, run_virtually

Line = streams_pb2.LogLine
GONE = UnavailableError("the connection broke")


class Scheduler:
    """Serves nine lines as a scheduler does; each stream breaks after some lines and some time."""

    def __init__(self, *breaks: tuple[int, BerthError | None], open_s: float = 1.0) -> None:
        self.clock = VirtualClock()
        self.open_s = open_s
        self.breaks = list(breaks)
        self.lines = [Line(task_id=f"t{n % 2}", time_ns=n) for n in range(1, 10)]
        self.requests: list[control_pb2.ServiceLogsRequest] = []

    async def open(
        self, request: control_pb2.ServiceLogsRequest
    ) -> AsyncIterator[streams_pb2.LogChunk]:
        self.requests.append(request)
        count, error = self.breaks.pop(0)
        news = [line for line in self.lines if line.time_ns > request.read_to.get(line.task_id, 0)]
        for line in news[:count]:
            yield streams_pb2.LogChunk(lines=[line])
        await self.clock.sleep(self.open_s)
        if error is not None:
            raise error


def followed(scheduler: Scheduler, **fields: int) -> list[int]:
    async def run() -> list[int]:
        request = control_pb2.ServiceLogsRequest(name="web", follow=True, **fields)
        chunks = follow_logs(scheduler.open, request, scheduler.clock, give_up_s=10.0)
        return [line.time_ns async for chunk in chunks for line in chunk.lines]

    return run_virtually(run())


def test_a_stream_that_breaks_is_opened_again_where_it_was_read_to() -> None:
    scheduler = Scheduler((4, GONE), (0, NotLeaderError("leads no more")), (1, GONE), (9, None))
    assert followed(scheduler, tail=3) == list(range(1, 10))
    assert [request.tail for request in scheduler.requests] == [3, -1, -1, -1]
    assert dict(scheduler.requests[-1].read_to) == {"t0": 4, "t1": 5}
    assert {request.name for request in scheduler.requests} == {"web"}


def test_who_wants_no_old_lines_gets_those_since_he_asked() -> None:
    scheduler = Scheduler((0, GONE), (0, None))
    followed(scheduler, tail=0)
    first, second = scheduler.requests
    assert first.since == 0
    assert second.since > 0


def test_a_refusal_ends_it() -> None:
    scheduler = Scheduler((2, NotFoundError("no service")))
    with pytest.raises(NotFoundError):
        followed(scheduler)
    assert len(scheduler.requests) == 1


def test_it_gives_up_when_nobody_serves_it_for_long() -> None:
    scheduler = Scheduler(*[(0, GONE)] * 100)
    with pytest.raises(UnavailableError):
        followed(scheduler)
    assert len(scheduler.requests) == 8  # 1 s each, and 0.3 s between: the eighth ends after 10 s.


def test_a_quiet_stream_that_breaks_late_is_opened_again() -> None:
    scheduler = Scheduler((0, GONE), (9, None), open_s=3600.0)
    assert followed(scheduler) == list(range(1, 10))
