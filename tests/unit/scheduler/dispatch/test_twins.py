"""A second machine with a node's ID: told from a restarted agent, disowned before it does harm."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from berth.v1 import dispatcher_pb2 as pb
from berth.wire.convert import to_proto
from scheduler.directory import Directory
from scheduler.dispatch.session import serve_agent
from scheduler.dispatch.twins import Verdict, judge
from scheduler.dispatch.waiting_room import WaitingRoom
from tests.builders import a_description
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import leading

T = TypeVar("T")


@pytest.mark.parametrize(
    ("signs", "heard_for_s", "silent_s", "verdict"),
    [
        pytest.param(0, 0.0, 0.0, Verdict.UNCLEAR, id="nothing yet"),
        pytest.param(2, 16.0, 0.5, Verdict.UNCLEAR, id="what waited unread, perhaps"),
        pytest.param(9, 14.0, 0.1, Verdict.UNCLEAR, id="what a slow leader reads late, perhaps"),
        pytest.param(2, 0.5, 6.1, Verdict.RESTARTED, id="its last words"),
        pytest.param(0, 0.0, 6.1, Verdict.RESTARTED, id="silent for longer than it ever is"),
        pytest.param(3, 15.0, 0.1, Verdict.TWIN, id="it speaks on"),
    ],
)
def test_judge(signs: int, heard_for_s: float, silent_s: float, verdict: Verdict) -> None:
    assert judge(signs, heard_for_s, silent_s, period_s=5.0) is verdict


class PlayedAgent:
    """One process with node n1's ID, and what the leader said to it."""

    def __init__(self, clock: VirtualClock, room: WaitingRoom, boot_id: str) -> None:
        self.clock = clock
        self.says: asyncio.Queue[pb.AgentMessage | None] = asyncio.Queue()
        self.heard: list[tuple[float, pb.SchedulerMessage]] = []
        hello = pb.Hello(description=to_proto(a_description("n1")), boot_id=boot_id, can_wait=True)
        self.say(pb.AgentMessage(node_id="n1", hello=hello))
        self.began = clock.instant()
        self.serving = asyncio.ensure_future(serve_agent(room, clock, self))
        self.beating: asyncio.Future[None] | None = None
        self.was_superseded = False

    async def read(self) -> pb.AgentMessage | None:
        return await self.says.get()

    async def write(self, message: pb.SchedulerMessage) -> None:
        self.heard.append((self.clock.instant() - self.began, message))

    def say(self, message: pb.AgentMessage | None) -> None:
        self.says.put_nowait(message)

    def beat_on(self) -> None:
        async def beat() -> None:
            while True:
                self.say(pb.AgentMessage(node_id="n1", heartbeat=pb.Heartbeat()))
                await self.clock.sleep(1.0)

        self.beating = asyncio.ensure_future(beat())

    def fall_silent(self) -> None:
        assert self.beating is not None
        self.beating.cancel()

    def end(self) -> None:
        self.say(None)

    def kinds(self) -> list[str | None]:
        return [message.WhichOneof("body") for _, message in self.heard]


def played(
    second_boot: str, meanwhile: Callable[[PlayedAgent, VirtualClock], T]
) -> tuple[PlayedAgent, PlayedAgent]:
    """Let a process that beats hold n1's session, and another one come; return both."""

    async def main() -> tuple[PlayedAgent, PlayedAgent]:
        clock = VirtualClock()
        async with leading(clock) as led:
            directory = Directory("s1", "s1:1")
            directory.set_local(led.leader)

            async def nobody(address: str) -> bool:
                return False

            room = WaitingRoom(directory, nobody, clock)
            first = PlayedAgent(clock, room, "boot1")
            first.beat_on()
            await clock.sleep(10.2)
            second = PlayedAgent(clock, room, second_boot)
            meanwhile(first, clock)
            await clock.sleep(20)
            first.fall_silent()
            first.was_superseded = first.serving.done()
            for each in (first, second):
                each.end()
            await asyncio.gather(first.serving, second.serving)
        return first, second

    return run_virtually(main())


def test_a_twin_is_disowned_and_the_node_notices_nothing() -> None:
    first, second = played("boot2", lambda first, clock: None)
    assert not first.was_superseded
    assert second.kinds() == ["waiting", "refused"]
    at_s, message = second.heard[-1]
    assert 15.0 <= at_s < 17.0
    assert message.refused.disowned
    assert message.epoch > 0, "so that a deposed leader is not heeded"
    assert "copy" in message.refused.reason
    assert "delete its state directory" in message.refused.reason


def test_one_process_may_come_again_at_any_time() -> None:
    first, second = played("boot1", lambda first, clock: None)
    assert second.kinds()[0] == "welcome"
    assert second.heard[0][0] == pytest.approx(0.0)
    assert first.was_superseded


def test_a_restarted_agent_is_welcome_as_soon_as_the_session_before_it_ends() -> None:
    def end_soon(first: PlayedAgent, clock: VirtualClock) -> None:
        first.fall_silent()
        asyncio.get_running_loop().call_later(0.4, first.end)

    _, second = played("boot2", end_soon)
    assert second.kinds()[:2] == ["waiting", "welcome"]
    assert second.heard[1][0] == pytest.approx(0.5, abs=0.15)


def test_after_a_power_cut_a_node_is_welcome_once_what_was_before_is_silent() -> None:
    _, second = played("boot2", lambda first, clock: first.fall_silent())
    assert second.kinds()[:2] == ["waiting", "welcome"]
    assert second.heard[1][0] <= 2.25, "a heartbeat's period and a second"


def test_an_agent_that_is_stopping_is_not_waited_for() -> None:
    def say_goodbye(first: PlayedAgent, clock: VirtualClock) -> None:
        first.fall_silent()
        first.say(pb.AgentMessage(node_id="n1", goodbye=pb.Goodbye(reason="upgrade")))

    _, second = played("boot2", say_goodbye)
    assert "welcome" in second.kinds()
    assert next(at for at, it in second.heard if it.HasField("welcome")) <= 0.25
