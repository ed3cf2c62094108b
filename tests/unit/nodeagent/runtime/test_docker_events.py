"""How the event stream of an Engine that is away is opened again, on virtual time."""

import contextlib
import itertools
import json

import pytest

from berth.model.ids import NodeId
from nodeagent.runtime.docker_events import container_events
from nodeagent.runtime.port import EngineAway, EventGap
from tests.fakes.virtual_time import VirtualClock, run_virtually


class FlakyEngine:
    """The way to an Engine that refuses connections until it is up; then it ends each stream."""

    def __init__(self, clock: VirtualClock, up_after_s: float) -> None:
        self.clock = clock
        self.up_at = clock.instant() + up_after_s
        self.tried_at: list[float] = []
        self.asked_since: list[str] = []
        self.is_closed = False

    @contextlib.asynccontextmanager
    async def stream(self, name, method, path, *, params):
        self.tried_at.append(self.clock.instant())
        self.asked_since.append(params["since"])
        if self.clock.instant() < self.up_at:
            raise ConnectionRefusedError(f"{name}: connection refused")
        yield self

    async def batches(self):
        event = {"Action": "start", "timeNano": 1_700_000_001_000_000_002, "Actor": {"ID": "c1"}}
        yield json.dumps(event).encode() + b"\n"


async def followed(up_after_s: float, gaps: int) -> FlakyEngine:
    """Follow the events until they have begun `gaps` times."""
    clock = VirtualClock()
    engine = FlakyEngine(clock, up_after_s)
    async with contextlib.aclosing(container_events(engine, NodeId("n1"), clock)) as events:
        async for event in events:
            gaps -= isinstance(event, EventGap)
            if not gaps:
                break
    return engine


def pauses(engine: FlakyEngine) -> list[float]:
    return [later - at for at, later in itertools.pairwise(engine.tried_at)]


def test_an_engine_that_is_away_is_tried_again_at_growing_pauses_up_to_five_seconds():
    engine = run_virtually(followed(up_after_s=20.0, gaps=1))
    assert pauses(engine) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])


async def told(up_after_s: float, count: int) -> list[type]:
    """Return the kinds of the first events."""
    clock, kinds = VirtualClock(), []
    engine = FlakyEngine(clock, up_after_s)
    async with contextlib.aclosing(container_events(engine, NodeId("n1"), clock)) as events:
        async for event in events:
            kinds.append(type(event))
            if len(kinds) == count:
                break
    return kinds


def test_that_the_engine_is_away_is_told_until_it_is_back():
    kinds = run_virtually(told(up_after_s=0.2, count=4))
    assert kinds == [EngineAway, EngineAway, EventGap, EngineAway]


def test_a_stream_that_ends_is_opened_again_soon_from_where_it_ended():
    engine = run_virtually(followed(up_after_s=20.0, gaps=3))
    assert pauses(engine)[-2:] == pytest.approx([0.1, 0.1])
    assert engine.asked_since[-2:] == ["1700000001.000000002"] * 2
