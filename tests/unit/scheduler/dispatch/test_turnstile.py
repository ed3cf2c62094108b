"""The turnstile: how much all sessions together do in one round of the event loop."""

import asyncio
from collections import Counter

from scheduler.dispatch.turnstile import Turnstile
from tests.fakes.virtual_time import run_virtually


class Rounds:
    """Counts the loop's rounds, for as long as it is watched."""

    def __init__(self) -> None:
        self.number = 0
        self._watching = asyncio.ensure_future(self._count())

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.number += 1

    def stop(self) -> None:
        self._watching.cancel()


async def _enter_all(turnstile: Turnstile, sizes: list[int]) -> list[tuple[int, int]]:
    """Let one coroutine for each size through; return (size, round) in the order of entry."""
    entered: list[tuple[int, int]] = []
    rounds = Rounds()

    async def one(size: int) -> None:
        await turnstile.enter(size)
        entered.append((size, rounds.number))

    await asyncio.gather(*(one(size) for size in sizes))
    rounds.stop()
    return entered


def test_no_round_does_more_than_it_may() -> None:
    entered = run_virtually(_enter_all(Turnstile(10), [1] * 95))
    per_round = Counter(number for _, number in entered)
    assert max(per_round.values()) <= 10
    assert len(per_round) <= 12  # And none of them is wasted.


def test_large_work_has_the_rounds_that_it_takes_to_itself() -> None:
    entered = run_virtually(_enter_all(Turnstile(10), [10, 35, 1]))
    rounds = [number for _, number in entered]
    assert 1 <= rounds[1] - rounds[0] <= 2
    assert rounds[2] - rounds[1] >= 3


def test_first_come_first_served() -> None:
    sizes = [3, 9, 1, 12, 2, 2, 5, 1]
    entered = run_virtually(_enter_all(Turnstile(10), sizes))
    assert [size for size, _ in entered] == sizes


def test_who_gives_up_is_passed_over() -> None:
    async def main() -> list[str]:
        turnstile = Turnstile(1)
        entered = []

        async def one(name: str) -> None:
            await turnstile.enter()
            entered.append(name)

        tasks = [asyncio.ensure_future(one(name)) for name in "abcd"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await turnstile.enter()  # Still turns.
        return entered

    assert run_virtually(main()) == ["a", "d"]


def test_an_idle_turnstile_lets_in_at_once_and_leaves_the_loop_alone() -> None:
    async def main() -> None:
        turnstile = Turnstile(1)
        for _ in range(3):
            await turnstile.enter()
            await asyncio.sleep(1)
        assert not asyncio.get_running_loop()._ready  # type: ignore[attr-defined]

    run_virtually(main())
