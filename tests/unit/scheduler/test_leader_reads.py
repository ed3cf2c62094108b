"""What is read is durable, and waits for nothing else: for no turn, and for no other service."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from berth.errors import NotLeaderError
from berth.model.files import FileKind
from berth.model.ids import NodeId, ServiceId
from scheduler.commit_pace import READ_PATIENCE_S
from scheduler.core import commands, file_commands
from tests.builders import a_spec
from tests.fakes.model_etcd import ModelEtcd
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import SilentLeaderObserver, leading
from tests.unit.scheduler.core.test_files import a_file
from tests.unit.scheduler.test_leader_durability import Cluster

WEB, DB = ServiceId("web"), ServiceId("db")


class Turns(SilentLeaderObserver):
    """Counts turns; while `goes_on` there is always more work than one turn does."""

    def __init__(self) -> None:
        self.taken = 0
        self.goes_on: Callable[[], object] = lambda: None

    def turn(self, report, duration_s):
        self.taken += 1
        self.goes_on()


class CoarseClock(VirtualClock):
    """Pauses take a while, so that a burst has few turns."""

    async def sleep(self, delay_s: float) -> None:
        await super().sleep(max(delay_s, 0.02) if delay_s else 0)


def play(
    story: Callable[[Cluster, Turns], Awaitable[None]], clock: VirtualClock | None = None
) -> None:
    async def main() -> None:
        virtual, turns = clock or VirtualClock(), Turns()
        model = ModelEtcd(virtual)
        async with leading(virtual, model, observer=turns) as led:
            cluster = Cluster(led, model, virtual)
            await virtual.sleep(0.5)
            await story(cluster, turns)

    run_virtually(main())


def reading(cluster: Cluster, *services: ServiceId) -> "asyncio.Future[None]":
    return asyncio.ensure_future(cluster.led.leader.wait_durable(services or None))


def test_what_is_durable_is_read_at_once_and_without_a_turn() -> None:
    async def story(cluster: Cluster, turns: Turns) -> None:
        await cluster.create()
        await cluster.clock.sleep(0.01)
        cluster.hold_store()
        before, taken = cluster.clock.instant(), turns.taken
        for _ in range(100):
            assert cluster.led.leader.is_durable()
            await cluster.led.leader.wait_durable([WEB])
        assert (cluster.clock.instant(), turns.taken) == (before, taken)

    play(story)


def test_a_reading_waits_for_what_it_shows() -> None:
    async def story(cluster: Cluster, turns: Turns) -> None:
        cluster.hold_store()
        call = cluster.create()
        await asyncio.sleep(0)
        early = [reading(cluster), reading(cluster, WEB)]  # Nothing is committed yet,
        await cluster.clock.sleep(0.1)
        late = [reading(cluster), reading(cluster, WEB)]  # and here all of it is under way.
        await cluster.clock.sleep(1)
        assert not any(each.done() for each in early + late)
        cluster.release_store()
        await asyncio.gather(*early, *late)
        await call
        assert cluster.led.leader.is_durable()

    play(story)


def test_a_reading_waits_for_no_other_service() -> None:
    async def story(cluster: Cluster, turns: Turns) -> None:
        await cluster.create("db")
        cluster.hold_store()
        cluster.create("web")
        await cluster.clock.sleep(0.1)
        assert not cluster.led.leader.is_durable([WEB])
        assert cluster.led.leader.is_durable([DB])

    play(story)


def test_a_reading_waits_for_tasks_that_have_found_a_place() -> None:
    async def story(cluster: Cluster, turns: Turns) -> None:
        await cluster.create()
        cluster.hold_store()
        leader = cluster.led.leader
        task = next(iter(leader.state.tasks.values()))
        leader.state.drop_task(task)
        assert not leader.is_durable([WEB])
        assert leader.is_durable([DB])

    play(story)


def test_a_config_that_is_not_written_yet_is_not_durable() -> None:
    async def story(cluster: Cluster, turns: Turns) -> None:
        state, now = cluster.led.leader.state, cluster.led.leader.now()
        record = file_commands.create_file(state, a_file("pw", FileKind.CONFIG), now)
        assert not cluster.led.leader.is_durable()
        await cluster.led.leader.wait_durable()
        file_commands.update_file_labels(state, record, {"a": "b"}, 0, now)
        assert not cluster.led.leader.is_durable()
        await cluster.led.leader.wait_durable()
        file_commands.remove_file(state, record)
        assert not cluster.led.leader.is_durable()

    play(story)


def test_a_new_leader_is_read_once_the_store_has_taken_its_first_commit() -> None:
    async def main() -> None:
        clock = VirtualClock()
        async with leading(clock) as led:
            led.client.faults.is_cut = True
            assert not led.leader.is_durable()
            first = asyncio.ensure_future(led.leader.wait_durable())
            await clock.sleep(1)
            assert not led.leader.is_durable()
            assert not first.done()
            led.client.faults.is_cut = False
            await first

    run_virtually(main())


def test_after_a_refused_commit_nothing_is_read() -> None:
    async def story(cluster: Cluster, turns: Turns) -> None:
        await cluster.create("db")
        cluster.hold_store()
        cluster.create("web")
        await cluster.clock.sleep(0.1)
        readings = [reading(cluster), reading(cluster, WEB)]
        cluster.depose()
        cluster.release_store()
        await asyncio.wait(readings)
        assert [type(each.exception()) for each in readings] == [NotLeaderError] * 2
        with pytest.raises(NotLeaderError):
            cluster.led.leader.is_durable([DB])

    play(story)


def test_a_reading_that_was_given_up_does_no_harm() -> None:
    async def story(cluster: Cluster, turns: Turns) -> None:
        cluster.hold_store()
        call = cluster.create()
        early = reading(cluster)
        await cluster.clock.sleep(0.1)
        late = reading(cluster, WEB)
        await cluster.clock.sleep(0.1)
        early.cancel()
        late.cancel()
        cluster.release_store()
        await call
        assert not cluster.led.running.done()

    play(story)


def test_a_burst_hurries_for_no_change_and_only_after_a_while_for_readings() -> None:
    async def story(cluster: Cluster, turns: Turns) -> None:
        leader, clock = cluster.led.leader, cluster.clock
        await leader.perform(
            lambda state, now: [
                commands.create_service(
                    state, ServiceId(f"s{n}"), a_spec(f"s{n}", replicas=0), b"", now
                )
                for n in range(260)  # More than one turn looks at.
            ]
        )
        state = leader.state
        many = {
            NodeId(f"away{number}"): None for number in range(5000)
        }  # They let 3 s be gathered.
        turns.goes_on = lambda: (
            state.dirty.update(dict.fromkeys(state.services)),
            len(state.untold) > 1 or state.untold.update(many),
        )
        await clock.sleep(0.7)  # The leader has looked, and sees no end of it.
        commands.update_service(
            state, state.services[ServiceId("s1")], a_spec("s1", replicas=1), 0, b"", leader.now()
        )
        began = clock.instant()
        await leader.wait_durable([ServiceId("s1")])
        assert clock.instant() - began == pytest.approx(READ_PATIENCE_S, abs=0.15)
        cluster.told()
        began = clock.instant()
        await cluster.create()
        assert clock.instant() - began <= 0.2
        assert not state.unsaved.services, "the change itself is durable"
        await clock.sleep(0.2)
        assert state.unsaved.placements, "what follows from it gathers with the burst"
        assert not leader.is_durable([WEB])
        assert cluster.told() == []
        await leader.wait_durable([WEB])
        turns.goes_on = lambda: None

    play(story, CoarseClock())
