"""When the leader takes a turn, commits, and looks for orphans; the real leader on virtual time."""

import itertools

import pytest

from berth.model.cluster import ClusterSettings
from berth.model.ids import ServiceId
from scheduler.core import commands
from tests.builders import a_spec
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import SilentLeaderObserver, leading


class NotedTurns(SilentLeaderObserver):
    """Remembers when turns were taken; may mark work for the next one."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.times: list[float] = []
        self.before_next = lambda: None

    def turn(self, report, duration_s):
        self.times.append(self.clock.instant())
        self.before_next()

    def gaps(self) -> list[float]:
        return [later - at for at, later in itertools.pairwise(self.times)]


def test_an_idle_leader_looks_at_its_clocks_twice_a_second() -> None:
    async def main() -> list[float]:
        clock = VirtualClock()
        turns = NotedTurns(clock)
        async with leading(clock, observer=turns):
            await clock.sleep(5)
            turns.times.clear()
            await clock.sleep(20)
        return turns.gaps()

    gaps = run_virtually(main())
    assert len(gaps) > 30
    assert gaps == pytest.approx([0.5 + 0.002] * len(gaps))


def test_turns_of_a_burst_leave_a_pause_for_everything_else() -> None:
    async def main() -> list[float]:
        clock = VirtualClock()
        turns = NotedTurns(clock)
        async with leading(clock, observer=turns) as led:
            led.join("n1")
            await clock.sleep(1)
            turns.times.clear()
            spec = a_spec(replicas=9000)  # Several turns' work.
            await led.leader.perform(
                lambda state, now: commands.create_service(state, ServiceId("web"), spec, b"", now)
            )
            await clock.sleep(0.05)
        return turns.gaps()

    gaps = run_virtually(main())
    assert gaps[:6] == pytest.approx([0.0, 0.002] * 3), "short ones two at a time"


def test_under_load_changes_are_committed_as_fast_as_the_store_answers() -> None:
    async def main() -> list[float]:
        clock = VirtualClock()
        turns = NotedTurns(clock)
        async with leading(clock, observer=turns) as led:
            for number in range(260):  # More than one turn looks at.
                await led.leader.perform(
                    lambda state, now, name=f"s{number}": commands.create_service(
                        state, ServiceId(name), a_spec(name, replicas=0), b"", now
                    )
                )
            state = led.leader.state
            turns.before_next = lambda: state.dirty.update(dict.fromkeys(state.services))
            await clock.sleep(0.5)
            durable_at = []
            for seconds in range(1, 6):
                settings = ClusterSettings(lost_after_s=5.0 + seconds)
                await led.leader.perform(
                    lambda state, now, to=settings: commands.update_settings(state, to, 0)
                )
                durable_at.append(clock.instant())
            return [later - at for at, later in itertools.pairwise(durable_at)]

    gaps = run_virtually(main())
    assert max(gaps) <= 0.02


def test_tasks_of_a_node_long_down_are_looked_for_each_minute() -> None:
    async def main() -> float:
        clock = VirtualClock()
        turns = NotedTurns(clock)
        settings = ClusterSettings(orphan_after_s=10.0)  # Over 45 s before the second look.
        async with leading(clock, observer=turns) as led:
            leader = led.leader
            await leader.perform(lambda state, now: commands.update_settings(state, settings, 0))
            node = led.join("n1").node  # It says nothing more, and is lost after 5 s.
            await leader.perform(
                lambda state, now: commands.create_service(
                    state, ServiceId("web"), a_spec(), b"", now
                )
            )
            await clock.sleep(1)
            assert leader.state.node_tasks[node]
            while leader.state.node_tasks[node]:
                await clock.sleep(0.01)
            return clock.instant() - turns.times[0]

    assert run_virtually(main()) == pytest.approx(60.0, abs=0.02)
