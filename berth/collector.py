"""Python's garbage collector beside a memory of millions of objects that all stay.

Duty: how often it looks, at what, and what it never looks at again. Not here: which program has
such a memory (the scheduler).

A collection walks all objects of its generation, with the event loop at a standstill: half a
microsecond for each, so that the 50,000 newest of a burst take 25 ms. Hardly any is garbage, since
what the leader keeps has no cycles; what has (calls of gRPC, exceptions) mostly dies young. So the
youngest generation is small, and looking at it takes 2 ms. What survives is looked at once more
when little has, and after a burst never: it is frozen. Frozen objects are still freed by reference
counting; cycles that were alive then and die later stay until the next leadership is loaded.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from berth.clock import Clock

YOUNG_MAX: Final = 5_000
"""So many new objects make the collector look at them."""

SURVIVORS_MAX: Final = 2
"""What survived so many of these looks is looked at once more; what is more comes from a burst."""

TEND_PERIOD_S: Final = 1.0
_NEVER: Final = 1_000_000
_OLD_AFTER: Final = 1_000
"""So many looks at survivors, a quarter of an hour of them at least, make the collector look at all
that is not frozen, if that has grown by a quarter."""


class Collector(Protocol):
    """The part of the module `gc` that `tend_once` uses."""

    def get_threshold(self) -> tuple[int, int, int]:
        """Return at which counts the generations are collected."""
        ...

    def get_count(self) -> tuple[int, int, int]:
        """Return how many new objects and younger collections each generation has seen."""
        ...

    def collect(self, generation: int) -> int:
        """Collect a generation and those younger."""
        ...

    def freeze(self) -> None:
        """Take all that there is out of sight."""
        ...


@contextmanager
def growing_memory() -> Iterator[None]:
    """Build a large state within the block, without garbage collection, and freeze it at the end.

    While millions of objects are made that all stay, each collection walks them for nothing. Later,
    with a million tasks in memory, one full collection would hold the event loop for seconds. What
    is garbage by now is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(YOUNG_MAX, _NEVER, _OLD_AFTER)  # Survivors are looked at by `tend`.
        gc.enable()


async def tend(clock: Clock) -> None:
    """Look after the survivors, for ever, once a memory has grown."""
    while True:
        await clock.sleep(TEND_PERIOD_S)
        tend_once(gc)


def tend_once(collector: Collector) -> None:
    """Collect the few survivors of quiet times; freeze the many of a burst."""
    if collector.get_threshold()[1] < _NEVER:
        return  # No memory has grown yet: the collector is as Python sets it.
    survived = collector.get_count()[1]
    if survived > SURVIVORS_MAX:
        collector.freeze()
    elif survived:
        collector.collect(1)
