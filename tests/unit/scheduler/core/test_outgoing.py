"""What leaves is handed over once, and events in the same breath as what they tell of."""

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
