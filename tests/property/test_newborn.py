"""A service in which nothing ever was gets by the short way what the general way would give it.

Two memories get the same services in the same turns; in one of them each service looks like one
that another leader has left, which none of the short ways takes. Afterwards all that either knows,
would write and would tell is the same.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from berth.model.service import Placement, PlacementStrategy, ServiceSpec
from scheduler.core import invariants
from scheduler.core.births import bear_newborn
from scheduler.core.costs import group_us
from scheduler.core.reconcile import Phase
from scheduler.core.service_state import ServiceState
from tests.builders import a_spec
from tests.property.test_births import what_is_known, what_leaves
from tests.unit.scheduler.core.world import World


def a_shape(
    replicas: int,
    cpus: float,
    port: int,
    image: str,
    strategy: PlacementStrategy | None,
    spread: tuple[str, ...],
    max_per_node: int,
    gpus: int,
) -> ServiceSpec:
    spec = a_spec("web", replicas, image=image, cpus=cpus, port=port)
    placement = Placement(
        spread_preferences=spread, strategy=strategy, max_replicas_per_node=max_per_node
    )
    reservation = replace(spec.task.reservation, generic={"gpu": gpus})
    return replace(spec, task=replace(spec.task, placement=placement, reservation=reservation))


shapes = st.builds(
    a_shape,
    replicas=st.sampled_from([0, 1, 1, 1, 2, 4, 40]),
    cpus=st.sampled_from([0.0, 0.5, 3.0, 9.0]),
    port=st.sampled_from([0, 0, 80]),
    image=st.sampled_from(["app:1", "bad:1", "crash:1"]),
    strategy=st.sampled_from([None, PlacementStrategy.BINPACK]),
    spread=st.sampled_from([(), ("node.labels.zone",)]),
    max_per_node=st.sampled_from([0, 0, 1]),
    gpus=st.sampled_from([0, 0, 0, 1]),
)


def as_notes(service: ServiceState) -> list[object]:
    return [
        dict(service.phases),
        {phase: service.in_phase(phase) for phase in Phase},
        (service.begun, service.failed, service.handing_over, service.closing),
        (service.is_all_dirty, service.is_fresh, list(service.dirty_slots)),
    ]


@given(st.lists(shapes, min_size=1, max_size=4), st.integers(0, 3), st.integers(1, 4))
def test_the_short_way_is_the_general_one(
    wanted: list[ServiceSpec], nodes: int, turns: int
) -> None:
    worlds = [World(nodes=nodes), World(nodes=nodes)]
    for number, spec in enumerate(wanted):
        for world, goes_the_long_way in zip(worlds, (False, True), strict=True):
            service = world.create(replace(spec, name=f"web-{number}"))
            service.is_fresh = goes_the_long_way
            assert service.is_newborn != goes_the_long_way
    for _ in range(turns):
        for world in worlds:
            world.turn()
        ours, theirs = (world.state for world in worlds)
        invariants.check(ours)
        assert what_is_known(ours) == what_is_known(theirs)
        assert list(map(as_notes, ours.services.values())) == list(
            map(as_notes, theirs.services.values())
        )
        assert what_leaves(ours) == what_leaves(theirs)
        assert worlds[0].entries == worlds[1].entries


def test_what_is_too_much_for_a_turn_goes_the_general_way() -> None:
    world = World(nodes=1)
    service = world.create(a_spec("web", 3000))
    assert bear_newborn(world.state, service, world.now, group_us(2999)) == 0
    assert service.is_newborn
    assert bear_newborn(world.state, service, world.now, group_us(3000)) > 0
    assert not service.is_newborn
    assert len(service.slots) == 3000


def test_one_that_wants_no_tasks_is_left_to_the_general_way_untouched() -> None:
    world = World(nodes=1)
    service = world.create(a_spec("web", 0))
    before = as_notes(service)
    assert bear_newborn(world.state, service, world.now, group_us(1)) == 0
    assert as_notes(service) == before


def test_one_that_was_scaled_to_nothing_begins_again_above_its_former_attempts() -> None:
    world = World(nodes=1)
    service = world.create(a_spec("web", 2))
    world.settle()
    for replicas in (0, 2):
        world.update("web", a_spec("web", replicas))
        world.settle()
    assert [task.attempt for tasks in service.slots.values() for task in tasks] == [2, 2]
    assert not service.is_newborn
