"""What is being broken when everything is mended is mended, too."""

import asyncio
import random

import pytest

from tests.sim.checkers import Checkers
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults, Profile
from tests.sim.loop import SimLoop, run_simulated


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        pytest.param("stop_scheduler", "process is asked to stop", id="a scheduler that stops"),
        pytest.param("stop_agent", "agent is asked to stop", id="an agent that stops"),
        pytest.param("power", "is shut down", id="a machine that is shut down"),
    ],
)
def test_who_is_stopping_when_all_is_mended_works_again(kind: str, told: str) -> None:
    assert run_simulated(lambda loop: _mended_while(loop, kind, told)) == []


async def _mended_while(loop: SimLoop, kind: str, told: str) -> list[str]:
    """Mend everything within the stop that `told` announces; return who does not work after it."""
    rng = random.Random(4)
    cluster = Cluster(loop, 4, rng, schedulers=1, nodes=2)
    profile = Profile((kind,), pause_s=1.0, slow_network=False)
    Checkers(cluster, profile)
    faults = Faults(cluster, rng, profile)
    cluster.start()
    breaking = asyncio.ensure_future(faults.run())
    while not any(line.endswith(told) for line in cluster.history.lines()):
        await asyncio.sleep(0.001)
    breaking.cancel()
    await faults.heal()
    await asyncio.sleep(30.0)
    idle = [] if cluster.leading() is not None else ["no scheduler leads"]
    leader = cluster.schedulers[0].leader
    sessions = leader.desk.sessions if leader is not None else {}
    return idle + [machine.name for machine in cluster.machines if machine.id not in sessions]
