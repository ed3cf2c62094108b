"""The collector is kept off what stays, and looks at the rest."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from berth.collector import (
    FREEZES_MAX,
    GROWTH_MIN,
    LOOK_PERIOD_S,
    Tending,
    collect_all,
    growing_memory,
    tend,
)
from tests.fakes.virtual_time import VirtualClock, run_virtually

GROWN = (5_000, 1_000_000, 1_000)


@dataclass
class NotingCollector:
    """Notes what it is asked for."""

    own_looks: int
    asked: list[str] = field(default_factory=list)
    looks_since: int = 0
    """At what is young, since the survivors were looked at or frozen."""

    def get_count(self) -> tuple[int, int, int]:
        return (17, self.looks_since + self.own_looks, 3)

    def collect(self, generation: int) -> int:
        self.asked.append(f"collect {generation}")
        self.looks_since = self.looks_since + 1 if generation == 0 else 0
        return 0

    def freeze(self) -> None:
        self.asked.append("freeze")
        self.looks_since = 0

    def unfreeze(self) -> None:
        self.asked.append("unfreeze")


@pytest.mark.parametrize(
    ("own_looks", "asked"),
    [
        pytest.param(0, ["collect 1"], id="few survivors are looked at once more"),
        pytest.param(1, ["freeze"], id="the many of a burst never again"),
    ],
)
def test_survivors(own_looks: int, asked: list[str]) -> None:
    collector = NotingCollector(own_looks)
    tending = Tending(collector)
    for _ in range(10):
        tending.look()
    assert collector.asked == ["collect 0"] * 10 + asked


def test_after_an_hour_of_bursts_all_is_looked_at_once_in_a_quiet_moment() -> None:
    collector = NotingCollector(own_looks=1)
    tending = Tending(collector)
    for _ in range(10 * FREEZES_MAX):
        tending.look()
    assert "unfreeze" not in collector.asked, "not in the middle of a burst"
    collector.own_looks = 0
    for expected in (["unfreeze", "collect 2", "freeze"], ["collect 1"]):
        collector.asked.clear()
        for _ in range(10):
            tending.look()
        assert collector.asked == ["collect 0"] * 10 + expected


@pytest.fixture
def own_collector() -> Iterator[None]:
    """Leave the process's collector as it was."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Knot:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("own_collector")
def test_grown_memory_is_out_of_collections_sight() -> None:
    with growing_memory():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == GROWN


@pytest.mark.usefixtures("own_collector")
def test_what_died_young_is_not_frozen() -> None:
    knot = weakref.ref(Knot())
    with growing_memory():
        assert knot() is None


@pytest.mark.usefixtures("own_collector")
def test_frozen_garbage_is_collected_between_leaderships() -> None:
    with growing_memory():
        made = Knot()
    knot = weakref.ref(made)
    del made
    gc.collect()
    assert knot() is not None
    collect_all()
    assert knot() is None
    assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("own_collector")
def test_a_memory_that_grows_again_is_not_looked_at_meanwhile() -> None:
    async def main() -> tuple[list[str], list[str]]:
        clock, collector = VirtualClock(), NotingCollector(0)
        tending = asyncio.ensure_future(tend(Tending(collector), clock))
        with growing_memory():
            await clock.sleep(3 * LOOK_PERIOD_S)
            meanwhile = list(collector.asked)
        await clock.sleep(1.5 * LOOK_PERIOD_S)
        tending.cancel()
        return meanwhile, collector.asked

    with growing_memory():  # The former leadership's: from then on it is tended.
        pass
    meanwhile, later = run_virtually(main())
    assert meanwhile == []
    assert later


@pytest.mark.parametrize(
    ("is_burst", "placed", "asked"),
    [
        pytest.param(True, GROWTH_MIN, ["collect 0", "freeze"], id="of a burst, many tasks"),
        pytest.param(True, GROWTH_MIN - 1, ["collect 0"], id="of a burst, few tasks"),
        pytest.param(False, GROWTH_MIN, [], id="alone, before which nobody looked for garbage"),
    ],
)
@pytest.mark.usefixtures("own_collector")
def test_what_a_turn_makes_is_frozen_unseen(is_burst: bool, placed: int, asked: list[str]) -> None:
    with growing_memory():
        pass
    collector = NotingCollector(0)
    tending = Tending(collector)
    tending.begin_turn(is_burst=is_burst)
    tending.end_turn(placed)
    assert collector.asked == asked


@pytest.mark.usefixtures("own_collector")
def test_turns_freeze_nothing_where_no_memory_has_grown() -> None:
    collector = NotingCollector(0)
    tending = Tending(collector)
    tending.begin_turn(is_burst=True)
    tending.end_turn(GROWTH_MIN)
    assert collector.asked == []


@pytest.mark.usefixtures("own_collector")
def test_what_turns_freeze_is_looked_at_in_the_end() -> None:
    with growing_memory():
        pass
    collector = NotingCollector(0)
    tending = Tending(collector)
    for turn in range(2 * FREEZES_MAX):
        tending.begin_turn(is_burst=True)
        tending.end_turn(GROWTH_MIN)
        if turn % 8 == 7:
            tending.look()
    assert "unfreeze" not in collector.asked, "not in the middle of a burst"
    collector.asked.clear()
    for _ in range(10):
        tending.look()
    assert collector.asked[-3:] == ["unfreeze", "collect 2", "freeze"]
