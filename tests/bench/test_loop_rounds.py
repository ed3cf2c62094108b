"""What a loop worked since a moment."""

import asyncio
import time

import pytest

from bench.loop_rounds import LoopRounds


class Times:
    """Two clocks that a test moves."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0
        self.rounds = LoopRounds(lambda: self.wall_s, lambda: self.cpu_s)

    def pass_time(self, wall_s: float, cpu_s: float) -> None:
        self.wall_s += wall_s
        self.cpu_s += cpu_s

    def round(self, wall_s: float, cpu_s: float, pause_s: float = 0.0) -> None:
        self.rounds.begin()
        self.pass_time(wall_s, cpu_s)
        self.rounds.end()
        self.pass_time(pause_s, 0.0)


@pytest.mark.parametrize(
    ("since", "worked_s"),
    [
        pytest.param(0.0, 8.5, id="all of it"),
        pytest.param(4.0, 4.5, id="what was done before does not count"),
        pytest.param(7.0, 3.0, id="of a round under way its part"),
        pytest.param(10.0, 1.5, id="nor does a pause"),
        pytest.param(11.0, 0.75, id="the round that asks, so far"),
        pytest.param(12.0, 0.0, id="nothing yet"),
    ],
)
def test_only_what_was_done_since_counts(since: float, worked_s: float) -> None:
    times = Times()
    times.round(4.0, 4.0)
    times.round(6.0, 3.0)
    times.round(0.0, 0.0)
    times.rounds.begin()
    times.pass_time(2.0, 1.5)
    assert times.rounds.worked_s(since) == pytest.approx(worked_s)


def test_a_loops_rounds_are_noted() -> None:
    async def main() -> tuple[float, float]:
        rounds = LoopRounds()
        rounds.watch(asyncio.get_running_loop())
        await asyncio.sleep(0.01)
        since, used = time.monotonic(), time.thread_time()
        while time.thread_time() - used < 0.02:
            await asyncio.sleep(0)
        return rounds.worked_s(since), time.thread_time() - used

    found_s, used_s = asyncio.run(main())
    assert 0 < found_s <= used_s
