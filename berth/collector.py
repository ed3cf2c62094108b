"""Python's garbage collector beside a memory of millions of objects that all stay.

Duty: how often it looks, at what, and what it never looks at again. Not here: which program has
such a memory (the scheduler).

A collection walks all objects of its generation, with the event loop at a standstill: half a
microsecond for each, so that the 50,000 newest of a burst take 25 ms. Hardly any is garbage, since
what the leader keeps has no cycles; what has (calls of gRPC, exceptions) mostly dies young. So the
youngest generation is small, and looking at it takes 2 ms. What survives is looked at once more
when little has, and after a burst never: it is frozen. What a turn makes by the thousand is not
looked at even once: it stays, and so does all that it refers to. Frozen objects are still freed by
reference counting; cycles that were alive then and die later (calls under way) stay until all is
looked at: between leaderships, and at a quiet moment after many bursts.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from berth.clock import Clock

YOUNG_MAX: Final = 5_000
"""So many new objects make the collector look at them."""

LOOK_PERIOD_S: Final = 0.1
"""How often it looks at them besides: what it counts are objects made less those freed, of whatever
age, so that in a burst which frees what an earlier one left, ten times as many are looked at."""

_LOOKS_PER_TENDING: Final = 10
_NEVER: Final = 1_000_000
_OLD_AFTER: Final = 1_000
"""So many looks at survivors, a quarter of an hour of them at least, make the collector look at all
that is not frozen, if that has grown by a quarter."""


FREEZES_MAX: Final = 3_600
"""So often may be frozen before all is looked at again: an hour of small turns, a few a second or
in bursts, which freeze once a second, or half a minute of one whose every turn freezes what it
made, millions of tasks in groups or hundreds of thousands of services of one. A freeze catches what
is in use of calls that are under way, a few thousand objects at most. A look at all holds the event
loop for 0.1 to 0.5 s with 100,000 tasks, for a second with as many services of one."""

GROWTH_MIN: Final = 25
"""From so many tasks placed by one turn on, freezing what it made is worth a look beforehand: of as
many services of one, which leave some twenty objects each, or of groups of hundreds."""


class Collector(Protocol):
    """The part of the module `gc` that `Tending` uses."""

    def get_count(self) -> tuple[int, int, int]:
        """Return how many new objects and younger collections each generation has seen."""
        ...

    def collect(self, generation: int) -> int:
        """Collect a generation and those younger."""
        ...

    def freeze(self) -> None:
        """Take all that there is out of sight."""
        ...

    def unfreeze(self) -> None:
        """Bring back what is out of sight."""
        ...


@contextmanager
def growing_memory() -> Iterator[None]:
    """Build a large state within the block, without garbage collection, and freeze it at the end.

    While millions of objects are made that all stay, each collection walks them for nothing. Later,
    with a million tasks in memory, one full collection would hold the event loop for seconds. What
    died young is collected first, so that it is not frozen; a full collection, for which agents and
    users would wait here, is made before: by `collect_all`.
    """
    gc.collect(1)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(YOUNG_MAX, _NEVER, _OLD_AFTER)  # Survivors are looked at by `tend`.
        gc.enable()


def collect_all(collector: Collector = gc) -> None:
    """Collect all that is garbage, also of what was frozen, and freeze the rest.

    The event loop stands still meanwhile: a tenth of a second at the start, later as long as it
    takes to give back the memory of a leadership. So call it when nobody waits for this process.
    """
    collector.unfreeze()
    collector.collect(2)
    collector.freeze()


class Tending:
    """Looks after what is young, and now and then after what survived that.

    Where no memory has grown yet (`growing_memory`), and while one does, it leaves all alone.
    """

    def __init__(self, collector: Collector = gc) -> None:
        self._collector = collector
        self._looks = 0
        self._freezes = 0
        self._may_freeze = False
        self._is_quiet = True
        """Whether no turn has frozen anything since the survivors were looked at last."""

    def look(self) -> None:
        """Collect what is young, and every tenth time the few survivors of quiet times.

        The many survivors of a burst are frozen; after many bursts all is looked at once.
        """
        self._looks += 1
        self._collector.collect(0)
        if self._looks % _LOOKS_PER_TENDING:
            return
        is_quiet, self._is_quiet = self._is_quiet, True
        if self._collector.get_count()[1] > _LOOKS_PER_TENDING:
            # There were looks besides these ten: its own, at thousands of new objects, or those
            # before turns. So a steady trickle of creates freezes once a second as bursts do.
            self._collector.freeze()
            self._freezes += 1
        elif self._freezes >= FREEZES_MAX and is_quiet:  # Turns that freeze leave few survivors.
            self._freezes = 0
            collect_all(self._collector)
        else:
            self._collector.collect(1)

    def begin_turn(self, *, is_burst: bool) -> None:
        """Look at what is young before a turn that may make thousands of objects.

        So no garbage is frozen with them, and nothing is looked at that would not be anyway.
        """
        self._may_freeze = is_burst and _has_grown()
        if self._may_freeze:
            self._collector.collect(0)

    def end_turn(self, placed: int) -> None:
        """Freeze what a turn of a burst has made, if it placed many tasks."""
        if self._may_freeze and placed >= GROWTH_MIN:
            self._collector.freeze()
            self._freezes += 1
            self._is_quiet = False


def _has_grown() -> bool:
    """Return whether there is a grown memory to tend.

    Else the collector is as Python sets it, or off while a new leadership's memory is built.
    """
    return gc.isenabled() and gc.get_threshold()[1] >= _NEVER


async def tend(tending: Tending, clock: Clock) -> None:
    """Look for ever, once a memory has grown."""
    while True:
        await clock.sleep(LOOK_PERIOD_S)
        if _has_grown():
            tending.look()
