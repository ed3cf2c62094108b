"""What a node is sent of configs and secrets, and what is withdrawn."""

from berth.model.files import FileId, FileKind, FilePayload
from berth.model.ids import TaskId
from berth.model.service import FileReference, ServiceSpec
from scheduler.core import commands, file_commands
from scheduler.core.files import FileRecord
from scheduler.dispatch.files import MESSAGE_BYTES, FilePost, HeldFiles, cannot_open
from tests.builders import a_spec
from tests.unit.scheduler.core.test_files import a_file, with_files
from tests.unit.scheduler.core.world import World

A, B = (FileKind.SECRET, FileId("a")), (FileKind.SECRET, FileId("b"))
T1, T2 = TaskId("t1"), TaskId("t2")


def test_a_file_is_sent_once_and_withdrawn_with_its_last_task():
    held = HeldFiles()
    assert held.need(T1, (A, B)) == [A, B]
    assert held.need(T2, (A,)) == []
    assert held.need(T1, (A, B)) == [], "told again of the same task"
    assert held.release(T1) == [B]
    assert held.release(T1) == []
    assert held.release(T2) == [A]
    assert held.need(T1, (A,)) == [A], "sent again once it is needed again"


def test_tasks_without_files_cost_nothing():
    held = HeldFiles()
    assert held.need(T1, ()) == held.release(T1) == []


def opened(record: FileRecord, size: int = 7) -> FilePayload:
    return FilePayload(record.kind, record.id, record.name, data=b"x" * size)


def using(*names: str) -> ServiceSpec:
    return with_files(a_spec(), *(FileReference(f"{n}-id", n, n) for n in names))


def a_world(*names: str) -> World:
    world = World(nodes=1)
    for name in names:
        file_commands.create_file(world.state, a_file(name), world.now)
    world.create(using(*names))
    world.settle()
    return world


def messages(world: World, post: FilePost, held: HeldFiles, forgotten=()):
    tasks = list(world.state.tasks.values())
    batches = post.batches(held, world.state.services, tasks, forgotten)
    return [batch.message() for batch in batches]


def test_a_node_is_sent_what_its_tasks_need_and_each_file_is_opened_once():
    world = a_world("pw", "key")
    asked: list[str] = []

    def opening(record: FileRecord) -> FilePayload:
        asked.append(record.name)
        return opened(record)

    post = FilePost(world.state.files, opening)
    (first,), (second,) = (messages(world, post, HeldFiles()) for _ in range(2))
    assert [payload.name for payload in first.files.payloads] == ["pw", "key"]
    assert first.files.payloads[0].data == second.files.payloads[0].data == b"x" * 7
    assert asked == ["pw", "key"]
    post.forget_opened()
    messages(world, post, HeldFiles())
    assert len(asked) == 4


def test_what_is_over_is_withdrawn():
    world = a_world("pw")
    held, post = HeldFiles(), FilePost(world.state.files, opened)
    messages(world, post, held)
    (task_id,) = world.state.tasks
    (batch,) = post.batches(held, world.state.services, [], [task_id])
    told = batch.message().files
    assert [(key.kind, key.id) for key in told.withdrawn] == [("secret", "pw-id")]
    assert not told.payloads
    assert post.batches(held, world.state.services, [], [task_id]) == []


def test_what_is_being_stopped_needs_nothing():
    world = a_world("pw")
    commands.remove_service(world.state, commands.find_service(world.state, "web"))
    world.turn()
    assert all(not task.is_wanted for task in world.state.tasks.values())
    assert messages(world, FilePost(world.state.files, opened), HeldFiles()) == []


def test_large_files_go_in_messages_of_their_own():
    names = [f"f{number}" for number in range(5)]
    world = a_world(*names)
    post = FilePost(world.state.files, lambda record: opened(record, MESSAGE_BYTES // 2))
    told = messages(world, post, HeldFiles())
    assert [len(message.files.payloads) for message in told] == [2, 2, 1]


def test_what_cannot_be_had_is_told_with_its_reason():
    world = a_world("pw")
    post = FilePost(world.state.files, cannot_open)
    (told,) = messages(world, post, HeldFiles())
    assert "no key" in told.files.payloads[0].problem
    world.state.files.drop(a_file("pw"))
    (told,) = messages(world, FilePost(world.state.files, opened), HeldFiles())
    assert "removed from the cluster" in told.files.payloads[0].problem
