"""Row 10: 50 replicas on 5 Engines, from the command until all run; all sides in turn."""

import time
from collections.abc import Sequence

from bench.engines.clock import following
from bench.engines.rounds import Rounds, say
from bench.engines.sides import CallSide, CommandSide, ServiceSide, emptied
from bench.engines.usage import in_words, used
from tests.cluster import TestCluster
from tests.hosts import Lab

Side = CommandSide | CallSide | ServiceSide


def measure_starts(
    lab: Lab,
    cluster: TestCluster,
    sides: Sequence[Side],
    image: str,
    found: Rounds,
    *,
    replicas: int,
    rounds: int,
) -> None:
    """Measure all sides, each round beginning with another: nobody is always the one after X."""
    for number in range(rounds):
        turn = number % len(sides)
        for side in [*sides[turn:], *sides[:turn]]:
            mark = f"{side.name}-{number}".replace("_", "-")
            parts: dict[str, float] = {}
            with following(lab.hosts, mark) as clock, used(lab, cluster, parts):
                began = time.time()
                side.create(mark, image, replicas)
                took = clock.wait_running(replicas) - began
            found.add(f"start_{side.name}_s", took)
            if isinstance(side, ServiceSide):
                found.add(f"start_{side.name}_told_s", side.told_running(mark, replicas) - began)
            for name, value in parts.items():
                found.add(f"start_{side.name}_cpu_{name}_s", value)
            say(f"round {number + 1}: {side.name} {took:.2f} s; CPU: {in_words(parts)}")
            side.remove(mark)
            emptied(lab.hosts, mark)
