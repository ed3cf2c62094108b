"""What leaves is handed over once, and events in the same breath as what they tell of."""

from berth.model.ids import NodeId
from scheduler.core.step import take_turn
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World


def test_events_are_handed_over_with_the_documents_that_they_tell_of() -> None:
    world = World(nodes=1)
    world.settle()
    world.create(a_spec())
    world.state.chronicle.seal(world.now.timestamp)
    unsaved, _, _ = world.state.take_changes(nodes_max=0)
    assert list(unsaved.services) == [world.service().record.id]
    (events,) = unsaved.events.values()
    assert [(event.kind, event.action) for event in events] == [("service", "create")]
    assert not world.state.take_changes()[0].events


def test_slices_hold_together_what_the_whole_would() -> None:
    worlds = [World(nodes=9), World(nodes=9)]
    for world in worlds:
        world.state.take_changes()
        world.create(a_spec(replicas=20))
        take_turn(world.state, world.timers, world.now)
        world.state.untold[NodeId("elsewhere")] = None
    unsaved, untold, _ = worlds[0].state.take_changes()
    parts = []
    while not parts or worlds[1].state.unsaved.placements:
        parts.append(worlds[1].state.take_changes(nodes_max=2))
    assert [len(part.placements) for part, _, _ in parts] == [2, 2, 2, 2, 1]
    assert [node for part, _, _ in parts for node in part.placements] == list(unsaved.placements)
    assert all(list(told) == list(part.placements) for part, told, _ in parts[:-1])
    assert {node for _, told, _ in parts for node in told} == untold.keys()
    assert "elsewhere" in parts[-1][1]
    assert not worlds[1].state.untold


def test_what_changes_between_slices_leaves_after_what_had_changed_before() -> None:
    state = World(nodes=6).state
    state.take_changes()
    state.unsaved.placements = dict.fromkeys(map(NodeId, ["n3", "n1", "n2", "n4", "n5"]))
    first, _, _ = state.take_changes(nodes_max=2)
    state.unsaved.placements[NodeId("n3")] = None  # Changed again.
    del state.unsaved.placements[NodeId("n4")]
    slices = [list(first.placements)]
    while state.unsaved.placements:
        slices.append(list(state.take_changes(nodes_max=2)[0].placements))
    assert slices == [["n3", "n1"], ["n2", "n5"], ["n3"]]


def test_a_commit_in_whole_leaves_no_order_behind() -> None:
    state = World(nodes=6).state
    state.take_changes()
    state.unsaved.placements = dict.fromkeys(map(NodeId, ["n3", "n1", "n2"]))
    state.take_changes(nodes_max=1)
    state.take_changes()
    state.unsaved.placements = dict.fromkeys(map(NodeId, ["n2", "n1"]))
    assert list(state.take_changes(nodes_max=1)[0].placements) == ["n2"]
