"""The watch of a measured scheduler's loop, and how it rests while idling is measured."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from bench.rig import Scheduler
from bench.watched_scheduler import PERIOD_S, rest_mark, watch
from berth.model.instant import Instant, Timestamp
from berth.process import LOOP_LAG_PERIOD_S
from tests.fakes.virtual_time import VirtualClock, run_virtually

LATE_S = 0.004


class EnoughError(Exception):
    """The test has seen all that it wanted."""


class LateClock:
    """Wakes everybody a little too late; notes how long they wanted to sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def instant(self) -> Instant:
        return Instant(self.now)

    def timestamp(self) -> Timestamp:
        return Timestamp(self.now)

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.now += delay_s + LATE_S


def test_the_watch_rests_while_it_is_told_to(tmp_path: Path) -> None:
    file, clock, seen = tmp_path / "s1.lags", LateClock(), []

    def observe(late_s: float) -> None:
        seen.append(late_s)
        match len(seen):
            case 2:
                rest_mark(file).touch()
            case 4:
                rest_mark(file).unlink()
            case 6:
                raise EnoughError

    with pytest.raises(EnoughError):
        asyncio.run(watch(file, clock, observe))
    short, long = PERIOD_S, LOOP_LAG_PERIOD_S
    assert clock.slept == [short, short, long, long, short, short]
    assert seen == pytest.approx([LATE_S] * 6), "the scheduler's own metric goes on"
    late_ms = [line.split()[0] for line in file.read_text().splitlines()]
    assert late_ms == ["4.000"] * 3, "what it sees while it rests is not written down"


def test_what_follows_a_rest_is_watched_from_its_first_moment_on(tmp_path: Path) -> None:
    """The burst of row 3 begins right after row 6 was measured: its creates take 0.1 s in all."""
    process: Any = None  # No part in this.
    measured = Scheduler(process, "", "", tmp_path / "s1.lags", tmp_path)

    async def main() -> tuple[int, int]:
        watching = asyncio.ensure_future(watch(measured.lags, VirtualClock(), lambda late_s: None))
        await asyncio.sleep(10 * PERIOD_S)
        before = len(measured.read_lags_ms())
        async with measured.unwatched():
            await asyncio.sleep(3.1 * LOOP_LAG_PERIOD_S)
            meanwhile = len(measured.read_lags_ms()) - before
        seen = len(measured.read_lags_ms())
        await asyncio.sleep(10.5 * PERIOD_S)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        return meanwhile, len(measured.read_lags_ms()) - seen

    meanwhile, after_it = run_virtually(main())
    assert meanwhile <= 1, "but for the one that was under way"
    assert after_it >= 10
