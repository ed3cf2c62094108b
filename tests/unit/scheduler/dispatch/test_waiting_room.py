"""For how long an agent that looks for a leader is held, and by what it is let go."""

import asyncio
from collections.abc import Sequence

import pytest

from berth.model.ids import Epoch
from scheduler.directory import Directory
from scheduler.dispatch.waiting_room import HOLD_S, PROBE_S, WaitingRoom
from scheduler.election.port import LeaderInfo
from tests.fakes.virtual_time import VirtualClock, run_virtually

OURS, OTHER, THIRD = "s1:1", "s2:1", "s3:1"


class Room:
    """A waiting room at s1; the addresses in `listening` can be reached from there."""

    def __init__(self, leader: str = "") -> None:
        self.clock = VirtualClock()
        self.directory = Directory("s1", OURS)
        self.listening: set[str] = set()
        self.hanging: set[str] = set()
        self.probes: list[str] = []
        self.room = WaitingRoom(self.directory, self.can_reach, self.clock)
        self.observe(leader)

    def observe(self, leader: str) -> None:
        info = LeaderInfo(leader, leader, Epoch(1)) if leader else None
        self.directory.set_current(info, tuple)

    async def can_reach(self, address: str) -> bool:
        self.probes.append(address)
        if address in self.hanging:
            await asyncio.get_running_loop().create_future()
        return address in self.listening

    def begin(self, unreachable: Sequence[str] = ()) -> "asyncio.Future[float]":
        async def wait() -> float:
            began = self.clock.instant()
            await self.room.wait(unreachable)
            return self.clock.instant() - began

        return asyncio.ensure_future(wait())


@pytest.mark.parametrize(
    ("leader", "unreachable", "listening", "is_in_vain"),
    [
        pytest.param("", [], [], True, id="nobody leads"),
        pytest.param(OURS, [], [], True, id="we have won, and load"),
        pytest.param(OTHER, [], [], False, id="another leads, whom the agent has not tried"),
        pytest.param(OTHER, [THIRD], [], False, id="somebody else cannot be reached"),
        pytest.param(OTHER, [OTHER], [OTHER], False, id="only the agent does not reach the leader"),
        pytest.param(OTHER, [OTHER], [], True, id="nobody reaches the leader"),
    ],
)
def test_is_in_vain(
    leader: str, unreachable: list[str], listening: list[str], is_in_vain: bool
) -> None:
    async def main() -> bool:
        room = Room(leader)
        room.listening = set(listening)
        return await room.room.is_in_vain(unreachable)

    assert run_virtually(main()) is is_in_vain


def test_an_agent_is_let_go_once_another_leads() -> None:
    async def main() -> float:
        room = Room(OTHER)
        waiting = room.begin([OTHER])
        await room.clock.sleep(3)
        room.observe("")
        await room.clock.sleep(1)
        room.observe(THIRD)
        return await waiting

    assert run_virtually(main()) == pytest.approx(4.0)


def test_an_agent_is_let_go_once_the_leader_can_be_reached_again() -> None:
    async def main() -> float:
        room = Room(OTHER)
        waiting = room.begin([OTHER])
        await room.clock.sleep(3)
        room.listening.add(OTHER)
        return await waiting

    assert run_virtually(main()) == pytest.approx(4.0)  # Looked for every two seconds.


def test_nobody_is_held_for_ever() -> None:
    async def main() -> float:
        return await Room().begin()

    assert run_virtually(main()) == pytest.approx(HOLD_S)


def test_a_leader_that_does_not_answer_is_asked_once_for_all_who_wait() -> None:
    async def main() -> tuple[int, float]:
        room = Room(OTHER)
        room.hanging.add(OTHER)
        waiting = [room.begin([OTHER]) for _ in range(100)]
        await room.clock.sleep(PROBE_S + 0.1)
        probes = len(room.probes)
        room.observe(THIRD)
        return probes, max(await asyncio.gather(*waiting))

    probes, held_s = run_virtually(main())
    assert probes == 1
    assert held_s == pytest.approx(PROBE_S + 0.1)


def test_a_change_that_comes_while_a_leader_is_probed_is_not_missed() -> None:
    async def main() -> float:
        room = Room(OTHER)
        room.hanging.add(OTHER)
        waiting = room.begin([OTHER])
        await room.clock.sleep(PROBE_S / 2)
        room.observe(THIRD)
        return await waiting

    assert run_virtually(main()) == pytest.approx(PROBE_S)
