"""One turn: what is due, what is dirty, how much at once, and when to come again."""

import pytest

from berth.model.ids import NodeId, ServiceId
from berth.model.instant import NEVER, START, Instant
from scheduler.core import step
from scheduler.core.costs import BIRTH_US, TURN_SHARE_US
from scheduler.core.step import Timers, next_wake, take_turn
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World

WEB = ServiceId("web")

BIRTHS_PER_TURN = TURN_SHARE_US // BIRTH_US


def at(seconds: float) -> Instant:
    return Instant(seconds)


@pytest.mark.parametrize(
    ("wishes", "due_at", "due"),
    [
        pytest.param([(1, 5)], 4.9, [], id="not yet"),
        pytest.param([(1, 5)], 5, [1], id="on the dot"),
        pytest.param([(2, 5), (1, 4)], 9, [1, 2], id="in the order of time"),
        pytest.param([(2, 5), (1, 5)], 9, [2, 1], id="at the same time, in the order of asking"),
        pytest.param([(1, 5), (1, 7)], 6, [1], id="of two wishes the earlier stands"),
        pytest.param([(1, 7), (1, 5)], 6, [1], id="whichever came first"),
        pytest.param([(1, 7), (1, 5)], 9, [1], id="and it is told once"),
        pytest.param([(None, 5), (1, 5)], 9, [None, 1], id="a service and its slot are two things"),
        pytest.param([(1, NEVER)], 1e9, [], id="never"),
    ],
)
def test_timers(
    wishes: list[tuple[int | None, float]], due_at: float, due: list[int | None]
) -> None:
    timers = Timers()
    for slot, when in wishes:
        timers.wake(WEB, slot, at(when))
    assert [slot for _, slot in timers.due(at(due_at))] == due
    assert timers.due(at(due_at)) == []


def test_what_fired_may_be_asked_for_again() -> None:
    timers = Timers()
    timers.wake(WEB, 1, at(5))
    timers.due(at(5))
    timers.wake(WEB, 1, at(9))
    assert timers.next_at() == at(9)
    assert Timers().next_at() == NEVER


def test_a_timer_of_a_service_that_is_gone_does_no_harm() -> None:
    world = World(nodes=1)
    world.timers.wake(ServiceId("gone"), 1, world.now.instant)
    world.state.dirty[ServiceId("gone")] = None
    world.settle()
    assert world.timers.next_at() == NEVER


@pytest.mark.parametrize("slot", [1, None])
def test_what_is_due_is_looked_at(slot: int | None) -> None:
    world = World(nodes=1)
    service = world.create(a_spec())
    world.settle()
    service.set_phase(1, None)
    world.timers.wake(service.record.id, slot, world.now.instant)
    world.turn()
    assert (service.phases == {}) is (slot is None)


def test_a_turn_with_nothing_to_do_does_nothing() -> None:
    world = World(nodes=1)
    world.settle()
    world.state.take_changes()
    report = take_turn(world.state, world.timers, world.now)
    assert (report.lost, report.placed, report.is_unfinished) == ((), 0, False)
    assert not world.state.unsaved


def test_a_turn_is_bounded_and_says_that_it_is_unfinished() -> None:
    world = World(nodes=3)
    world.create(a_spec(replicas=2 * BIRTHS_PER_TURN))
    report = take_turn(world.state, world.timers, world.now)
    assert report.is_unfinished
    assert report.placed <= BIRTHS_PER_TURN
    assert len(world.state.tasks) <= BIRTHS_PER_TURN
    turns = 1
    while take_turn(world.state, world.timers, world.now).is_unfinished:
        turns += 1
    assert turns <= 5
    assert len(world.state.tasks) == 2 * BIRTHS_PER_TURN


def test_services_that_found_no_room_in_a_turn_have_theirs_in_the_next() -> None:
    world = World(nodes=3)
    for name in ("a", "b"):
        world.create(a_spec(name, replicas=BIRTHS_PER_TURN + 1))
    world.create(a_spec("c"))
    take_turn(world.state, world.timers, world.now)
    assert len(world.state.dirty) == 3
    world.settle()
    assert len(world.running("c")) == 1


@pytest.mark.parametrize(
    ("happening", "due_s"),
    [
        pytest.param(lambda world: None, 5.0, id="a node may be lost"),
        pytest.param(
            lambda world: world.fail(world.running()[0]), 2.0, id="a restart delay is over"
        ),
        pytest.param(
            lambda world: world.state.flapping.update({NodeId("n1"): at(world.instant + 3)}),
            3.0,
            id="a hold on a flapping node is over",
        ),
    ],
)
def test_when_the_next_turn_is_due(happening, due_s: float) -> None:  # type: ignore[no-untyped-def]
    world = World(nodes=1)
    world.create(a_spec(restart=restart(delay_s=2)))
    world.settle()
    happening(world)
    world.settle()
    assert next_wake(world.state, world.timers) == world.instant + due_s


def test_orphans_are_looked_for_once_a_minute() -> None:
    world = World(nodes=1)
    assert world.timers.next_orphan_check == START
    world.settle()
    assert world.timers.next_orphan_check == world.instant + step._ORPHAN_CHECK_S
    world.instant += 59
    world.turn()
    due = world.timers.next_orphan_check
    world.instant += 1
    world.turn()
    assert world.timers.next_orphan_check == due + 60


def test_the_same_state_and_time_give_the_same_turn() -> None:
    stories = []
    for _ in range(2):
        world = World(nodes=3)
        world.create(a_spec(replicas=7))
        world.create(a_spec("all", is_global=True))
        world.settle()
        stories.append([tuple(s.story) for s in world.state.services.values()])
    assert stories[0] == stories[1]
