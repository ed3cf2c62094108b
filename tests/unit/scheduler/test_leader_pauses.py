"""A leader that did not run for a while must not take its own sleep for the nodes' silence."""

import asyncio

import pytest

from berth.model.node import NodeState
from scheduler.leader import TICK_S, TURN_PAUSE_S
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import leading


class StallingClock(VirtualClock):
    """A clock on which the whole process can be frozen while it sleeps."""

    stall_s = 0.0

    async def sleep(self, delay_s: float) -> None:
        if delay_s == TURN_PAUSE_S:
            delay_s, self.stall_s = delay_s + self.stall_s, 0.0
        await super().sleep(delay_s)


@pytest.mark.parametrize("stall_s", [0.0, 4.0, 60.0])
def test_a_pause_between_two_turns_costs_no_node(stall_s: float) -> None:
    async def main() -> NodeState:
        clock = StallingClock()
        async with leading(clock) as led:
            session = led.join("n1")
            await clock.sleep(TICK_S)
            clock.stall_s = stall_s
            await asyncio.sleep(stall_s + TICK_S)
            state: NodeState = led.leader.state.nodes[session.node].state
            return state

    assert run_virtually(main()) is NodeState.READY
