"""Row 11, first part: a rolling update of all replicas, beside the least that it must do."""

import time
from collections.abc import Sequence

from bench.engines.clock import following
from bench.engines.rounds import Rounds, say
from bench.engines.sides import CallSide, ServiceSide, emptied
from bench.engines.usage import in_words, used
from tests.cluster import TestCluster
from tests.hosts import Lab


def measure_updates(
    lab: Lab,
    cluster: TestCluster,
    sides: Sequence[CallSide | ServiceSide],
    images: tuple[str, str],
    found: Rounds,
    *,
    replicas: int,
    rounds: int,
) -> None:
    """Create with the first image, measure the change to the second, until all run that."""
    old, new = images
    for number in range(rounds):
        turn = number % len(sides)
        for side in [*sides[turn:], *sides[:turn]]:
            mark = f"{side.name}-{number}"
            parts: dict[str, float] = {}
            with following(lab.hosts, mark) as clock:
                side.create(mark, old, replicas)
                clock.wait_running(replicas)
                if isinstance(side, ServiceSide):
                    side.told_running(mark, replicas)
                with used(lab, cluster, parts):
                    began = time.time()
                    side.update(mark, new, replicas)
                    took = clock.wait_running(replicas, image=new) - began
            found.add(f"update_{side.name}_s", took)
            for name, value in parts.items():
                found.add(f"update_{side.name}_cpu_{name}_s", value)
            say(f"round {number + 1}: update by {side.name} {took:.2f} s; CPU: {in_words(parts)}")
            side.remove(mark)
            emptied(lab.hosts, mark)
