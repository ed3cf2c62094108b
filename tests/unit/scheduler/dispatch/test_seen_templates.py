"""What a node was told is remembered for as long as it may be told again, and no longer."""

from dataclasses import replace

from berth.model.ids import ServiceId
from scheduler.dispatch.messages import template_key
from scheduler.dispatch.seen_templates import KEPT_MIN, SeenTemplates
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World


def test_a_session_of_years_keeps_no_more_than_there_is() -> None:
    world, seen = World(nodes=1), SeenTemplates()
    world.create(a_spec("web"))
    world.create(a_spec("db"))
    world.settle()
    (db,) = world.tasks("db")
    db_key = template_key(world.service("db").record, db)
    seen.note(db_key, world.state.services)
    for number in range(3 * KEPT_MIN):
        world.update("web", a_spec("web", image=f"app:{number}"))
        world.settle()
        (task,) = world.running("web")
        key = template_key(world.service("web").record, task)
        seen.note(key, world.state.services)
        assert key in seen
    assert len(seen) <= KEPT_MIN
    assert db_key in seen


def test_many_services_are_all_remembered_until_they_are_removed() -> None:
    world, seen = World(nodes=1), SeenTemplates()
    keys = []
    for number in range(2 * KEPT_MIN):
        service = world.create(a_spec(f"s{number}", replicas=0))
        keys.append((service.record.id, 1, 1))
        seen.note(keys[-1], world.state.services)
    assert seen == set(keys)
    for service_id, _, _ in keys[1:]:
        world.state.drop_service(world.state.services[service_id])
    for number in range(2 * KEPT_MIN):
        seen.note((ServiceId("gone"), number, 1), world.state.services)
    assert keys[0] in seen
    assert len(seen) <= 2 * KEPT_MIN


def test_the_template_of_an_older_spec_is_told_no_more() -> None:
    world, seen = World(nodes=1), SeenTemplates()
    service = world.create(a_spec("web", replicas=0))
    for number in range(KEPT_MIN + 1):
        record = replace(service.record, version=service.record.version + 1)
        world.state.amend_service(record)
        seen.note((record.id, 1, record.version), world.state.services)
        assert number < KEPT_MIN or len(seen) == 1
