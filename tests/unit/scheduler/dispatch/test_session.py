"""An agent's session as the leader serves it: how long it waits, and what it sends together."""

import asyncio

import pytest

from berth.model.ids import Revision, TaskId
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from berth.wire.convert import to_proto
from scheduler.directory import Directory
from scheduler.dispatch.session import serve_agent
from scheduler.dispatch.told_tasks import told
from tests.builders import a_description
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import leading


class HandPlayed:
    """An agent's stream; what the test says is read, what was written is kept with its time."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.says: asyncio.Queue[pb.AgentMessage | None] = asyncio.Queue()
        self.written: list[tuple[float, pb.SchedulerMessage]] = []

    async def read(self) -> pb.AgentMessage | None:
        return await self.says.get()

    async def write(self, message: pb.SchedulerMessage) -> None:
        self.written.append((self.clock.instant(), message))

    def say_hello(self) -> None:
        hello = pb.Hello(description=to_proto(a_description("n1")), boot_id="boot")
        self.says.put_nowait(pb.AgentMessage(node_id="n1", hello=hello))


def test_who_does_not_say_hello_is_let_go_after_ten_seconds() -> None:
    async def main() -> float:
        clock = VirtualClock()
        began = clock.instant()
        with pytest.raises(TimeoutError):
            await serve_agent(Directory("s1", "s1:1"), clock, HandPlayed(clock))
        return clock.instant() - began

    assert run_virtually(main()) == pytest.approx(10.0)


def test_a_late_hello_is_in_time() -> None:
    async def main() -> list[str | None]:
        clock = VirtualClock()
        stream = HandPlayed(clock)
        asyncio.get_running_loop().call_later(9.9, stream.say_hello)
        await serve_agent(Directory("s1", "s1:1"), clock, stream)
        return [message.WhichOneof("body") for _, message in stream.written]

    assert run_virtually(main()) == ["refused"]  # Nobody leads here.


def test_the_first_message_leaves_at_once_and_what_soon_follows_travels_together() -> None:
    async def main() -> list[tuple[float, list[str]]]:
        clock = VirtualClock()
        stream = HandPlayed(clock)
        stream.say_hello()
        async with leading(clock) as led:
            directory = Directory("s1", "s1:1")
            directory.set_local(led.leader)
            serving = asyncio.ensure_future(serve_agent(directory, clock, stream))
            await clock.sleep(1)
            stream.written.clear()
            began = clock.instant()
            outbox = led.leader.sessions["n1"].outbox
            for name, pause_s in (("t1", 0.009), ("t2", 0.009), ("t3", 0.009), ("t4", 1)):
                entry = told(types_pb2.TaskAssignment(task_id=name))
                outbox.put(Revision(9), {TaskId(name): entry}, [], [])
                await clock.sleep(pause_s)
            await clock.sleep(1)
            stream.says.put_nowait(None)
            await serving
        return [
            (at - began, [task.task_id for task in message.assignments.tasks])
            for at, message in stream.written
        ]

    times, sent = zip(*run_virtually(main()), strict=True)
    assert sent == (["t1"], ["t2", "t3"], ["t4"])
    assert times == pytest.approx((0.0, 0.02, 0.04))
