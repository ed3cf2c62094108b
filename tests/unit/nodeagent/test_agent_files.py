"""Configs and secrets through the agent's whole shell, on virtual time."""

from dataclasses import replace

from berth.model.files import FileId, FileKind, FilePayload
from berth.model.ids import TaskId
from berth.model.service import ContainerSpec, FileReference, RestartPolicy, TaskSpec
from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from berth.wire.convert import to_proto
from tests.unit.nodeagent.bench import IMAGE, Bench, a_task, a_template, virtually

PAYLOAD = FilePayload(FileKind.SECRET, FileId("s1"), "pw", data=b"hunter2")
T1 = TaskId("task1")


def needy():
    container = ContainerSpec(image=IMAGE, secrets=(FileReference("s1", "pw", "pw"),))
    return replace(
        a_template(), task=TaskSpec(container=container, restart=RestartPolicy(delay_s=1.0))
    )


def send(bench):
    files = pb.Files(payloads=[to_proto(PAYLOAD)])
    bench.link.stream.say(pb.SchedulerMessage(epoch=bench.link.epoch, files=files))


async def running(bench):
    await bench.joined()
    send(bench)
    bench.link.assign(a_task(1), templates=(needy(),), is_complete=True)
    await bench.told("task1", TaskState.RUNNING)


@virtually
async def test_files_are_there_while_the_task_is_and_go_with_it():
    bench = Bench()
    async with bench.agent():
        await running(bench)
        assert bench.host.files == {T1: {"/run/secrets/pw": b"hunter2"}}
        bench.link.assign(a_task(1, TaskState.SHUTDOWN))
        await bench.told("task1", TaskState.SHUTDOWN)
        await bench.until(lambda: not bench.host.files, "no files")


@virtually
async def test_an_agent_that_restarts_alone_finds_its_files_and_restarts_containers():
    bench = Bench()
    async with bench.agent():
        await running(bench)
        await bench.clock.sleep(1)
    assert b"hunter2" not in repr(bench.journal.load()).encode()
    bench.link.leader = ""
    async with bench.agent():
        bench.host.exit_now(T1, 1)
        await bench.until(lambda: bench.host.starts_by_task()[T1] == 2, "another start")
        assert bench.host.files[T1]


@virtually
async def test_after_a_reboot_a_container_waits_for_a_leader_that_replaces_it():
    bench = Bench()
    async with bench.agent():
        await running(bench)
        await bench.clock.sleep(1)
    bench.host.power_off()
    bench.host.power_on()
    bench.link.leader = ""
    async with bench.agent() as agent:
        await bench.clock.sleep(60)
        assert bench.host.starts_by_task()[T1] == 1
        assert "lost when this machine restarted" in agent.state.tasks[T1].message
        bench.link.leader = "s1:1"
        await bench.joined()
        send(bench)
        bench.link.assign(a_task(1), a_task(2), templates=(needy(),), is_complete=True)
        await bench.told("task1", TaskState.FAILED)
        await bench.told("task2", TaskState.RUNNING)
        assert list(bench.host.files) == ["task2"]


@virtually
async def test_files_of_a_task_that_nobody_wants_any_more_are_removed():
    bench = Bench()
    async with bench.agent():
        await running(bench)
        await bench.clock.sleep(1)
    async with bench.agent():
        await bench.joined()
        bench.link.assign(is_complete=True)
        await bench.until(lambda: not bench.host.files, "no files")
        assert bench.host.running_tasks() == []
