"""Long lists leave in pieces, whole, and while others have the event loop."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing

import pytest
from prometheus_client import CollectorRegistry

from berth.answer_memory import AnswerMemory
from berth.client import ControlClient
from berth.clock import SystemClock
from berth.model.ids import ServiceId
from berth.model.instant import Instant
from berth.model.task import TaskState
from gateway.app import docker_app
from gateway.config import GatewaySettings
from gateway.connect import open_gateway
from gateway.doors import local_door
from scheduler.control.in_process import OwnCalls
from scheduler.control.pieces import AHEAD_MAX, PIECE_MAX, durable_pieces
from scheduler.core import commands
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import leading, serving

WEB = ServiceId("web".ljust(25, "0"))


class SteppingClock:
    """Each look at it shows that a slice is over; counts the pauses."""

    def __init__(self) -> None:
        self.at = 0.0
        self.pauses = 0

    def instant(self) -> Instant:
        self.at += 0.001
        return Instant(self.at)

    async def sleep(self, delay_s: float) -> None:
        self.pauses += 1
        await asyncio.sleep(0)


async def walked(items, clock, is_durable: Callable[[], bool], waits: list[int]):
    async def wait() -> None:
        waits.append(1)

    found = []
    pieces = durable_pieces(items, clock, is_durable=is_durable, wait_durable=wait)
    async with aclosing(pieces) as opened:
        async for piece in opened:
            found.append(piece)
    return found


@pytest.mark.parametrize("count", [0, 1, PIECE_MAX, PIECE_MAX + 1, 5 * PIECE_MAX])
def test_all_items_come_in_their_order_and_at_least_one_piece(count: int) -> None:
    pieces = asyncio.run(walked(range(count), SteppingClock(), lambda: True, []))
    assert [item for piece in pieces for item in piece] == list(range(count))
    assert len(pieces) == max(-(-count // PIECE_MAX), 1)


def test_others_have_their_turn_after_each_slice_also_where_nothing_is_found() -> None:
    clock = SteppingClock()
    pieces = asyncio.run(walked([None] * 1600, clock, lambda: True, []))
    assert pieces == [[]]
    assert clock.pauses == 100


def test_what_is_not_durable_is_held_back_and_the_rest_gathered_meanwhile() -> None:
    waits: list[int] = []
    count = 3 * AHEAD_MAX * PIECE_MAX
    pieces = asyncio.run(walked(range(count), SteppingClock(), lambda: False, waits))
    assert [item for piece in pieces for item in piece] == list(range(count))
    assert len(waits) == 3


def test_a_list_that_its_reader_gave_up_is_read_no_further() -> None:
    async def story() -> int:
        looked = 0

        def items():
            nonlocal looked
            for number in range(100 * PIECE_MAX):
                looked += 1
                yield number

        async def wait() -> None:
            return

        pieces = durable_pieces(
            items(), SteppingClock(), is_durable=lambda: True, wait_durable=wait
        )
        async with aclosing(pieces) as opened:
            await anext(opened)
        return looked

    assert asyncio.run(story()) == PIECE_MAX


class CountedClock(SystemClock):
    def __init__(self) -> None:
        self.pauses = 0

    async def sleep(self, delay_s: float) -> None:
        self.pauses += 1
        await asyncio.sleep(0)


@pytest.mark.parametrize("asked", ["leader", "follower"])
def test_twenty_thousand_tasks_are_listed_in_pieces(asked: str) -> None:
    total = 20_000

    async def story() -> None:
        async with leading(SystemClock()) as led, serving("s1") as one, serving("s2") as two:
            one.leads(led)
            for scheduler in (one, two):
                scheduler.knows(one)
            state, now = led.leader.state, led.leader.now()
            commands.create_service(state, WEB, a_spec("web", replicas=0), b"", now)
            await led.leader.settled()
            for slot in range(1, total + 1):
                state.add_task(state.services[WEB], slot, 1, TaskState.RUNNING, now)
                if slot % 1000 == 0:
                    await asyncio.sleep(0)  # Or the lease runs out.
            target = one if asked == "leader" else two
            calls, clock = OwnCalls(target.forwarder, target.service), CountedClock()
            gateway = open_gateway(
                GatewaySettings("s1", "1", ""),
                ControlClient.over(calls, clock, AnswerMemory()),
                CollectorRegistry(),
                clock,
            )
            sizes, text, turns = await get(local_door(docker_app(gateway)), "/tasks")
            assert len(json.loads(text)) == total
            assert len(sizes) >= total // PIECE_MAX
            assert max(sizes) < 2**19  # No piece holds more than some hundred tasks.
            assert turns >= total // PIECE_MAX  # Others ran at least once a piece.

    asyncio.run(story())


async def get(app, path: str, query: bytes = b"") -> tuple[list[int], bytes, int]:
    """Return the sizes of the body's pieces, the body, and how often another coroutine ran."""
    turns = 0
    pieces: list[bytes] = []

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def receive():
        await asyncio.Event().wait()

    async def send(message) -> None:
        if message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    scope = {
        "type": "http", "method": "GET", "path": path, "root_path": "", "scheme": "http",
        "query_string": query, "headers": [], "http_version": "1.1",
    }  # fmt: skip
    other = asyncio.ensure_future(turn())
    await app(scope, receive, send)
    other.cancel()
    return [len(piece) for piece in pieces], b"".join(pieces), turns
