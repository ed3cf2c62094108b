"""When the node is swept; what is swept is nodeagent.core.sweep's."""

import asyncio
import itertools

import pytest

from berth.model.ids import NodeId, TaskId
from nodeagent.observer import NoAgentObserver
from nodeagent.sweeper import PURGE_DELAY_S, Sweeper
from tests.fakes.fake_engine_host import FakeEngineHost
from tests.fakes.fake_runtime import FakeRuntime
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.nodeagent.core.builders import a_state


class Extreme:
    """Randomness that always draws the same end of the range."""

    def __init__(self, *, is_high: bool) -> None:
        self.is_high = is_high

    def uniform(self, low: float, high: float) -> float:
        return high if self.is_high else low


class NotedSweeps(NoAgentObserver):
    """Remembers when a sweep ended."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.times = [clock.instant()]

    def swept(self, containers: int, image_bytes: int) -> None:
        self.times.append(self.clock.instant())


async def gaps_between_sweeps(*, is_high: bool, is_synced: bool = True, fails: bool = False):
    clock = VirtualClock()
    host = FakeEngineHost(clock)
    sweeps = NotedSweeps(clock)
    state = a_state()
    state.is_synced = is_synced
    runtime = FakeRuntime(host, node_id=NodeId("n1"))
    sweeper = Sweeper(runtime, clock, Extreme(is_high=is_high), sweeps)
    if fails:
        host.stop_engine()
        asyncio.get_running_loop().call_later(200, host.start_engine)
    running = asyncio.ensure_future(sweeper.run(lambda: state))
    await clock.sleep(500)
    running.cancel()
    await asyncio.wait({running})
    return [later - at for at, later in itertools.pairwise(sweeps.times)]


@pytest.mark.parametrize(
    ("is_high", "period_s"),
    [
        pytest.param(True, 120.0, id="at the latest every two minutes"),
        pytest.param(False, 60.0, id="at the earliest after half of that"),
    ],
)
def test_a_node_is_swept_every_two_minutes_or_sooner(is_high, period_s):
    gaps = run_virtually(gaps_between_sweeps(is_high=is_high))
    assert len(gaps) >= 4
    assert gaps == pytest.approx([period_s] * len(gaps), abs=0.1)


def test_what_no_leader_has_confirmed_is_not_swept():
    assert run_virtually(gaps_between_sweeps(is_high=True, is_synced=False)) == []


def test_what_is_purged_goes_within_moments_and_what_comes_together_goes_together():
    async def scenario():
        clock = VirtualClock()
        sweeps = NotedSweeps(clock)
        state = a_state()
        state.is_synced = True
        runtime = FakeRuntime(FakeEngineHost(clock), node_id=NodeId("n1"))
        sweeper = Sweeper(runtime, clock, Extreme(is_high=True), sweeps)
        running = asyncio.ensure_future(sweeper.run(lambda: state))
        await clock.sleep(10)
        sweeper.purge([TaskId("a")])
        await clock.sleep(0.5)
        sweeper.purge([TaskId("b")])
        await clock.sleep(60)
        running.cancel()
        await asyncio.wait({running})
        return [at - sweeps.times[0] for at in sweeps.times[1:]]

    assert run_virtually(scenario()) == pytest.approx([10 + PURGE_DELAY_S], abs=0.1)


def test_a_sweep_that_failed_is_made_up_for_in_the_next_round():
    gaps = run_virtually(gaps_between_sweeps(is_high=True, fails=True))
    assert gaps[0] == pytest.approx(240.0, abs=0.1)
