"""Users' changes of configs and secrets: refused whole, or done whole."""

from dataclasses import replace

import pytest

from berth.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OutOfSequenceError,
)
from berth.model.files import FileKind
from berth.model.ids import ServiceId
from berth.model.service import FileReference, ServiceSpec
from scheduler.core import commands, file_commands
from scheduler.core.files import FileRecord
from tests.builders import a_spec
from tests.unit.scheduler.core.test_files import a_file, with_files
from tests.unit.scheduler.core.world import World

SECRET = FileKind.SECRET


@pytest.fixture
def world() -> World:
    world = World(nodes=2)
    for name in ("pw", "pw-2"):
        file_commands.create_file(world.state, a_file(name), world.now)
    return world


def using(name: str = "web", secret: str = "pw", **fields: object) -> ServiceSpec:
    spec = a_spec(name, **fields)  # type: ignore[arg-type]  # as a_spec takes them
    return with_files(spec, FileReference(f"{secret}-id", secret, secret))


def record(world: World, name: str = "pw") -> FileRecord:
    return file_commands.find_file(world.state, SECRET, name)


def update(world: World, spec: ServiceSpec) -> None:
    service = commands.find_service(world.state, spec.name)
    commands.update_service(world.state, service, spec, 0, b"", world.now)


def remove(world: World, name: str = "pw") -> None:
    file_commands.remove_file(world.state, record(world, name))


@pytest.mark.parametrize("asked", ["pw", "pw-id", "pw-2"])
def test_a_file_is_found_by_name_or_id(world: World, asked: str) -> None:
    assert record(world, asked).name == asked.removesuffix("-id")


def test_a_file_is_found_by_a_prefix_that_is_its_alone(world: World) -> None:
    assert record(world, "pw-2-").name == "pw-2"
    with pytest.raises(InvalidRequestError, match="ambiguous: 2 IDs begin so"):
        record(world, "p")
    for asked in ("x", ""):
        with pytest.raises(NotFoundError, match="list secrets"):
            record(world, asked)


def test_names_are_unique_within_a_kind(world: World) -> None:
    with pytest.raises(AlreadyExistsError, match='secret "pw" already exists'):
        file_commands.create_file(world.state, replace(a_file(), id="other"), world.now)
    config = a_file("pw", FileKind.CONFIG)
    assert file_commands.create_file(world.state, config, world.now).created_at


def test_only_labels_change_and_only_on_the_newest_reading(world: World) -> None:
    old = record(world)
    new = file_commands.update_file_labels(world.state, old, {"a": "b"}, 1, world.now)
    assert replace(new, labels={}, version=1, updated_at=old.updated_at) == old
    assert (new.labels, new.version) == ({"a": "b"}, 2)
    with pytest.raises(OutOfSequenceError, match="update out of sequence"):
        file_commands.update_file_labels(world.state, new, {}, 1, world.now)


def test_what_services_use_is_not_removed_and_they_are_named(world: World) -> None:
    for name in ("web", "api"):
        world.create(using(name))
    with pytest.raises(ConflictError, match="following services: api, web; update or remove them"):
        remove(world)
    for name in ("web", "api"):
        service = commands.find_service(world.state, name)
        commands.remove_service(world.state, service)
    remove(world)
    world.settle()
    with pytest.raises(NotFoundError):
        record(world, "pw-id")


def test_what_a_rollout_may_go_back_to_is_not_removed(world: World) -> None:
    world.create(using(replicas=2))
    world.settle()
    update(world, using(secret="pw-2", replicas=2, image="slow:2"))
    world.settle()
    with pytest.raises(ConflictError, match="in use by the following service: web;"):
        remove(world)
    world.slow_done = True
    world.pass_time(60)
    remove(world)


def test_what_old_tasks_still_run_with_is_not_removed(world: World) -> None:
    world.create(using())
    world.settle()
    update(world, using(secret="pw-2"))
    # The turn that begins the rollout has not been taken yet.
    with pytest.raises(ConflictError, match="web"):
        remove(world)


def test_a_spec_that_refers_to_what_is_gone_changes_nothing(world: World) -> None:
    with pytest.raises(InvalidRequestError, match=r'secrets\[0\]: secret "no"'):
        commands.create_service(world.state, ServiceId("s"), using(secret="no"), b"", world.now)
    world.create(a_spec())
    with pytest.raises(InvalidRequestError, match='secret "no"'):
        update(world, using(secret="no"))
    assert commands.find_service(world.state, "web").record.version == 1


def test_a_rollback_to_files_that_are_gone_is_refused(world: World) -> None:
    world.create(using())
    world.settle()
    update(world, a_spec())
    world.pass_time(60)
    remove(world)
    with pytest.raises(ConflictError, match=r'rolled back: .* secret "pw" .* use update instead'):
        commands.roll_back_service(
            world.state, commands.find_service(world.state, "web"), 0, world.now
        )
