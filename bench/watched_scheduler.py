"""A scheduler as always, that also writes down how late its event loop woke: for row 9.

`python -m bench.watched_scheduler FILE [flags of berth-scheduler]`. The loop is asked 100 times a
second to wake; the milliseconds that it came too late are appended to FILE, one a line, and how
many of them its own work explains at most: the CPU time that its thread used meanwhile. The rest it
waited for a core.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import scheduler.process
from berth.clock import Clock
from scheduler.main import main

PERIOD_S = 0.01


def main_watched() -> None:
    file = Path(sys.argv.pop(1))

    async def watch(clock: Clock, observe: Callable[[float], object]) -> None:
        with file.open("a", buffering=1) as out:
            while True:
                before, worked_s = clock.instant(), time.thread_time()
                await clock.sleep(PERIOD_S)
                late_s = max(clock.instant() - before - PERIOD_S, 0.0)
                observe(late_s)
                own_s = min(time.thread_time() - worked_s, late_s)
                out.write(f"{late_s * 1000:.3f} {own_s * 1000:.3f}\n")

    vars(scheduler.process)["watch_loop_lag"] = watch
    main()


if __name__ == "__main__":
    main_watched()
