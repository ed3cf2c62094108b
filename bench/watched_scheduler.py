"""A scheduler as always, that also writes down how late its event loop woke: for row 9.

`python -m bench.watched_scheduler FILE [flags of berth-scheduler]`. The loop is asked 100 times a
second to wake; the milliseconds that it came too late are appended to FILE, one a line, and how
many of them its own work explains: the CPU time that its thread used in them. The rest it waited
for a core. While FILE.rest exists, it is asked as seldom as any scheduler's, and nothing is
written: to be woken so often takes a hundredth of a core, which row 6 must not count.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import scheduler.process
from bench.loop_rounds import LoopRounds
from berth.clock import Clock
from berth.process import LOOP_LAG_PERIOD_S
from scheduler.main import main

PERIOD_S = 0.01


def rest_mark(file: Path) -> Path:
    """Return the file that lets the watch of `file` rest for as long as it exists."""
    return file.with_name(f"{file.name}.rest")


async def watch(file: Path, clock: Clock, observe: Callable[[float], object]) -> None:
    """Do as `berth.process.watch_loop_lag` does, more often, and write it down."""
    rest, rounds = rest_mark(file), LoopRounds()
    rounds.watch(asyncio.get_running_loop())
    with file.open("a", buffering=1) as out:
        while True:
            is_resting = rest.exists()
            period_s = LOOP_LAG_PERIOD_S if is_resting else PERIOD_S
            before, due = clock.instant(), time.monotonic() + period_s
            await clock.sleep(period_s)
            late_s = max(clock.instant() - before - period_s, 0.0)
            observe(late_s)
            if not is_resting:
                own_s = min(rounds.worked_s(due), late_s)
                out.write(f"{late_s * 1000:.3f} {own_s * 1000:.3f}\n")


def main_watched() -> None:
    file = Path(sys.argv.pop(1))
    vars(scheduler.process)["watch_loop_lag"] = partial(watch, file)
    main()


if __name__ == "__main__":
    main_watched()
