"""An agent's session as the leader serves it: how long it waits, and what it sends together."""

import asyncio
from collections.abc import Sequence

import pytest

from berth.model.ids import NodeId, Revision, TaskId
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from berth.wire.convert import to_proto
from scheduler.directory import Directory
from scheduler.dispatch.session import TURN_PATIENCE_S, serve_agent
from scheduler.dispatch.turnstile import Turnstile
from scheduler.dispatch.waiting_room import HOLD_S, WaitingRoom
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

    def kinds(self) -> list[str | None]:
        return [message.WhichOneof("body") for _, message in self.written]

    def say_hello(self, *, can_wait: bool = False, unreachable: Sequence[str] = ()) -> None:
        hello = pb.Hello(
            description=to_proto(a_description("n1")),
            boot_id="boot",
            can_wait=can_wait,
            unreachable=unreachable,
        )
        self.says.put_nowait(pb.AgentMessage(node_id="n1", hello=hello))


async def nobody_listens(address: str) -> bool:
    return False


def a_room(clock: VirtualClock, directory: Directory | None = None) -> WaitingRoom:
    return WaitingRoom(directory or Directory("s1", "s1:1"), nobody_listens, clock)


def test_who_does_not_say_hello_is_let_go_after_ten_seconds() -> None:
    async def main() -> float:
        clock = VirtualClock()
        began = clock.instant()
        with pytest.raises(TimeoutError):
            await serve_agent(a_room(clock), clock, HandPlayed(clock))
        return clock.instant() - began

    assert run_virtually(main()) == pytest.approx(10.0)


def test_a_late_hello_is_in_time() -> None:
    async def main() -> list[str | None]:
        clock = VirtualClock()
        stream = HandPlayed(clock)
        asyncio.get_running_loop().call_later(9.9, stream.say_hello)
        await serve_agent(a_room(clock), clock, stream)
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
            serving = asyncio.ensure_future(serve_agent(a_room(clock, directory), clock, stream))
            await clock.sleep(1)
            stream.written.clear()
            began = clock.instant()
            outbox = led.leader.sessions["n1"].outbox
            for name, pause_s in (("t1", 0.009), ("t2", 0.009), ("t3", 0.009), ("t4", 1)):
                entry = pb.Assignments(tasks=[types_pb2.TaskAssignment(task_id=name)])
                outbox.put(Revision(9), {TaskId(name): entry.SerializeToString()}, {}, [])
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


def test_an_agent_that_can_wait_is_held_where_nobody_leads_and_joins_once_we_do() -> None:
    async def main() -> tuple[list[str | None], list[str | None], float]:
        clock = VirtualClock()
        stream = HandPlayed(clock)
        stream.say_hello(can_wait=True)
        directory = Directory("s1", "s1:1")
        serving = asyncio.ensure_future(serve_agent(a_room(clock, directory), clock, stream))
        await clock.sleep(5)
        before = stream.kinds()
        async with leading(clock) as led:
            directory.set_local(led.leader)
            await clock.sleep(1)
            stream.says.put_nowait(None)
            await serving
        return before, stream.kinds(), stream.written[0][1].waiting.within_s

    before, kinds, within_s = run_virtually(main())
    assert before == ["waiting"]
    assert kinds[:2] == ["waiting", "welcome"]
    assert within_s > HOLD_S


def test_who_was_held_in_vain_is_refused_in_the_end() -> None:
    async def main() -> tuple[list[str | None], float]:
        clock = VirtualClock()
        stream = HandPlayed(clock)
        stream.say_hello(can_wait=True)
        began = clock.instant()
        await serve_agent(a_room(clock), clock, stream)
        return stream.kinds(), clock.instant() - began

    kinds, took_s = run_virtually(main())
    assert kinds == ["waiting", "refused"]
    assert took_s == pytest.approx(HOLD_S)


@pytest.mark.parametrize(
    ("message", "heard"),
    [
        pytest.param(
            pb.AgentMessage(status=pb.StatusBatch()), [True, False], id="it waits, but is heard"
        ),
        pytest.param(
            pb.AgentMessage(heartbeat=pb.Heartbeat()), [True, True], id="has no work to wait for"
        ),
    ],
)
def test_a_message_is_a_sign_of_life_before_its_turn(
    message: pb.AgentMessage, heard: list[bool]
) -> None:
    """Where thousands join, it had waited behind all of them, until its node was lost."""

    async def main() -> list[bool]:
        clock = VirtualClock()
        stream = HandPlayed(clock)
        stream.say_hello()
        async with leading(clock) as led:
            directory = Directory("s1", "s1:1")
            directory.set_local(led.leader)
            led.leader.desk.turnstile = crowd = Crowd()
            crowd.is_gone.set()
            serving = asyncio.ensure_future(serve_agent(a_room(clock, directory), clock, stream))
            await clock.sleep(1)
            crowd.is_gone.clear()
            found = []
            for _ in range(2):
                await clock.sleep(1)
                said_at = clock.instant()
                stream.says.put_nowait(message)
                await clock.sleep(0.1)
                found.append(led.leader.state.liveness[NodeId("n1")].heard_at >= said_at)
            serving.cancel()
            await asyncio.wait({serving})
            return found

    assert run_virtually(main()) == heard


@pytest.mark.parametrize("can_wait", [True, False])
def test_who_waits_long_for_its_turn_to_join_is_told_to_be_patient(can_wait: bool) -> None:
    """Else it gives up after 5 s, comes again, and is the last of all."""

    async def main() -> tuple[list[str | None], list[str | None], list[str | None]]:
        clock = VirtualClock()
        stream = HandPlayed(clock)
        async with leading(clock) as led:
            directory = Directory("s1", "s1:1")
            directory.set_local(led.leader)
            led.leader.desk.turnstile = crowd = Crowd()
            stream.say_hello(can_wait=can_wait)
            serving = asyncio.ensure_future(serve_agent(a_room(clock, directory), clock, stream))
            await clock.sleep(TURN_PATIENCE_S - 0.1)
            soon = stream.kinds()
            await clock.sleep(0.2)
            late = stream.kinds()
            crowd.is_gone.set()
            await clock.sleep(1)
            stream.says.put_nowait(None)
            await serving
        return soon, late, stream.kinds()

    soon, late, in_the_end = run_virtually(main())
    assert soon == []
    assert late == (["waiting"] if can_wait else [])
    assert in_the_end[: len(late) + 1] == [*late, "welcome"]


class Crowd(Turnstile):
    """Lets nobody in until the crowd is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.is_gone = asyncio.Event()

    async def enter(self, units: int = 1) -> None:
        await self.is_gone.wait()
