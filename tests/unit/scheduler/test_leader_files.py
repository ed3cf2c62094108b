"""A real leader sends configs and secrets ahead of the tasks that need them, to their nodes."""

from functools import partial

from berth.model.files import FileId, FileKind
from berth.model.ids import ServiceId
from berth.model.service import FileReference
from berth.model.task import TaskState, TaskStatus
from scheduler.control.payloads import payload_for_agents, seal_payload
from scheduler.core import commands, file_commands
from scheduler.core.files import FileRecord
from tests.builders import a_spec
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import a_sealer, leading
from tests.unit.scheduler.core.test_files import with_files

KEY = (FileKind.SECRET, FileId("pw-id"))
PLAIN = b"hunter2"


def in_cluster(scenario):
    async def run():
        opening = partial(payload_for_agents, a_sealer())
        async with leading(VirtualClock(), open_file=opening) as led:
            sealed = seal_payload(a_sealer(), KEY, PLAIN)
            record = FileRecord(*KEY, "pw", sealed=sealed, size_bytes=len(PLAIN))
            await led.leader.perform(lambda s, now: file_commands.create_file(s, record, now))
            await scenario(led)

    run_virtually(run())


async def create(led, name="web", replicas=1):
    spec = with_files(a_spec(name, replicas=replicas), FileReference("pw-id", "pw", "pw"))
    service = ServiceId(f"{name}-id")
    await led.leader.perform(lambda s, now: commands.create_service(s, service, spec, b"", now))
    await led.leader.settled()
    await led.leader.settled()


def taken(session):
    """Return what a session would be sent now: kinds in order, payloads, what is withdrawn."""
    messages = session.outbox.take()
    kinds = [message.WhichOneof("body") for message in messages]
    payloads = [p.data for m in messages for p in m.files.payloads]
    withdrawn = [(k.kind, k.id) for m in messages for k in m.files.withdrawn]
    return kinds, payloads, withdrawn


def test_files_come_once_before_the_tasks_and_only_where_they_are_needed():
    async def scenario(led):
        first, second = led.join("n1"), led.join("n2")
        await led.leader.settled()
        assert taken(first)[1] == taken(second)[1] == []
        await create(led)
        (task,) = led.leader.state.tasks.values()
        needs, other = (first, second) if task.node_id == "n1" else (second, first)
        assert taken(needs) == (["files", "assignments"], [PLAIN], [])
        assert taken(other) == ([], [], [])
        await create(led, "api", replicas=4)
        assert taken(needs)[1] == [], "it has them"
        assert taken(other)[1] == [PLAIN]

    in_cluster(scenario)


def test_a_new_session_is_sent_them_again():
    async def scenario(led):
        led.join("n1")
        await create(led)
        session = led.join("n1")
        await led.leader.settled()
        kinds, payloads, _ = taken(session)
        assert kinds == ["welcome", "files", "assignments"]
        assert payloads == [PLAIN]

    in_cluster(scenario)


def test_they_are_withdrawn_with_the_last_task():
    async def scenario(led):
        session = led.join("n1")
        await create(led)
        taken(session)
        (task,) = led.leader.state.tasks.values()
        service = commands.find_service(led.leader.state, "web")
        await led.leader.perform(lambda s, now: commands.remove_service(s, service))
        await led.leader.settled()
        assert taken(session) == (["assignments"], [], []), "it still runs"
        led.report(session, TaskStatus(task.id, TaskState.SHUTDOWN))
        for _ in range(3):
            await led.leader.settled()
        assert taken(session)[2] == [("secret", "pw-id")]

    in_cluster(scenario)
