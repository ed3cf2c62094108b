"""Long lists come in pieces, and between two pieces everybody else has a turn."""

import asyncio
import json

import pytest

from berth.model.instant import Instant
from gateway import answers
from gateway.answers import in_slices, list_response, rendered_list


class SteppingClock:
    """Each look at it costs `step_s`; counts the pauses."""

    def __init__(self, step_s):
        self.now, self.step_s, self.pauses = 0.0, step_s, 0

    def instant(self):
        self.now += self.step_s
        return Instant(self.now)

    async def sleep(self, duration_s):
        assert duration_s > 0
        self.pauses += 1


async def pieces_of(response):
    found = []

    async def send(message):
        if message["type"] == "http.response.body":
            found.append(message.get("body", b""))

    async def receive():
        await asyncio.Event().wait()

    await response({"type": "http", "method": "GET", "headers": []}, receive, send)
    return [piece for piece in found if piece]


def answered(count, clock):
    async def run():
        response = list_response(list(range(count)), lambda n: {"n": n, "text": "ü"}, clock)
        return await pieces_of(response)

    return asyncio.run(run())


@pytest.mark.parametrize("count", [0, 1, 100, 101, 1000, 4003])
def test_a_list_is_whole_whatever_its_length(count):
    pieces = answered(count, SteppingClock(0.0004))
    assert json.loads(b"".join(pieces)) == [{"n": n, "text": "ü"} for n in range(count)]
    assert len(pieces) == 1 or count > 100


def test_a_thousand_items_come_in_pieces_of_one_slice_each():
    clock = SteppingClock(0.0011)  # Every look finds the slice used up.
    pieces = answered(1000, clock)
    assert clock.pauses >= 1000 / 8 - 2
    assert max(piece.count(b'"n"') for piece in pieces) <= 9


def test_where_rendering_is_quick_pieces_are_long():
    assert len(answered(1000, SteppingClock(0.0))) == 1


def test_choosing_pauses_too():
    clock = SteppingClock(0.0011)
    found = asyncio.run(in_slices(list(range(1000)), lambda n: n % 2 == 0, clock))
    assert found == list(range(0, 1000, 2))
    assert clock.pauses >= 1000 / 8 - 2


@pytest.mark.parametrize(("count", "is_kept"), [(0, True), (3, True), (200, True), (201, False)])
def test_what_is_not_too_long_is_kept_when_it_has_left(count, is_kept, monkeypatch):
    monkeypatch.setattr(answers, "KEPT_BYTES_MAX", 402)
    kept = []

    async def run():
        clock = SteppingClock(0.0011)
        response = rendered_list([b"1"] * count, bytes, clock, kept.append)
        return await pieces_of(response)

    whole = b"".join(asyncio.run(run()))
    assert json.loads(whole) == [1] * count
    assert [json.loads(each) for each in kept] == [json.loads(whole)] * is_kept
