"""What differs from the store, and taking a part of it."""

from dataclasses import fields

import pytest

from berth.model.ids import NodeId, ServiceId
from scheduler.core import commands
from scheduler.core.step import Timers, take_turn
from scheduler.core.unsaved import Unsaved
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

WEB = ServiceId("web")
N1, N2, N3 = NodeId("n1"), NodeId("n2"), NodeId("n3")


def test_nothing_is_unsaved_at_first() -> None:
    assert not Unsaved()


def test_each_kind_of_document_counts() -> None:
    for kind in fields(Unsaved):
        unsaved = Unsaved()
        if isinstance(getattr(unsaved, kind.name), dict):
            getattr(unsaved, kind.name)["it"] = None
        else:
            setattr(unsaved, kind.name, True)
        assert unsaved, f"{kind.name} is written"


def test_the_placements_of_others_are_split_off() -> None:
    unsaved = Unsaved(services={ServiceId("web"): None}, placements=dict.fromkeys([N2, N3, N1]))
    left = unsaved.split_off([N2, N1])
    assert (list(left.placements), list(left.services)) == ([N3], [])
    assert list(unsaved.placements) == [N2, N1]
    assert list(unsaved.services) == ["web"]


def test_services_have_tasks_in_each_part() -> None:
    unsaved = Unsaved(placements=dict.fromkeys([N1, N2]), tasks={ServiceId("web"): None})
    assert unsaved.split_off([N1]).concerns(["web"])
    assert unsaved.concerns(["web"])


@pytest.mark.parametrize(
    ("unsaved", "asked", "found"),
    [
        pytest.param(Unsaved(services={WEB: None}), [WEB], True, id="its record"),
        pytest.param(Unsaved(tasks={WEB: None}), ["db", WEB], True, id="its tasks"),
        pytest.param(Unsaved(nodes={N1: None}), [WEB], True, id="any node"),
        pytest.param(Unsaved(services={WEB: None}), ["db"], False, id="another service"),
        pytest.param(
            Unsaved(placements={N1: None}, cluster=True), [WEB], False, id="others' tasks"
        ),
        pytest.param(Unsaved(cluster=True), None, True, id="anything"),
        pytest.param(Unsaved(), None, False, id="nothing"),
    ],
)
def test_what_an_answer_shows(unsaved: Unsaved, asked: list[ServiceId] | None, found: bool) -> None:
    assert unsaved.concerns(asked) is found


@pytest.mark.parametrize("replicas", [1, 200])
def test_services_whose_tasks_find_places_are_known(replicas: int) -> None:
    world = World(nodes=2)
    spec = a_spec("web", replicas=replicas)
    commands.create_service(world.state, WEB, spec, b"", world.now)
    world.state.take_changes()
    take_turn(world.state, Timers(), world.now)
    assert len(world.state.unsaved.placements) == min(replicas, 2)
    assert list(world.state.unsaved.tasks) == [WEB]
