"""A commit of many nodes goes in slices: each could be the last, and all of it arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from berth.model.ids import NodeId, ServiceId
from berth.model.node import NodeState
from scheduler.commit_pace import NODES_PER_SLICE
from scheduler.core import commands
from scheduler.dispatch.desk import AgentSession
from tests.builders import a_spec
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import Leading, leading

NODES = 2 * NODES_PER_SLICE + 10


def told(session: AgentSession) -> tuple[set[str], list[bool]]:
    """Return the tasks that a session was told of, and which of its messages were complete."""
    tasks: set[str] = set()
    complete = []
    for message in session.outbox.take():
        if message.WhichOneof("body") == "assignments":
            tasks |= {task.task_id for task in message.assignments.tasks}
            complete.append(message.assignments.complete)
    return tasks, complete


def create(name: str, replicas: int):
    spec = a_spec(name, replicas=replicas)
    return lambda state, now: commands.create_service(state, ServiceId(name), spec, b"", now)


def test_every_node_is_told_and_stored_once_the_call_is_answered() -> None:
    async def main() -> None:
        clock = VirtualClock()
        async with leading(clock) as led:
            sessions = [led.join(f"n{number}") for number in range(NODES)]
            await clock.sleep(1)
            for session in sessions:
                session.outbox.take()
            await led.leader.perform(create("web", NODES))
            await clock.sleep(1)
            state = led.leader.state
            assert not state.unsaved
            for session in sessions:
                tasks, complete = told(session)
                assert tasks == {task.id for task in state.node_tasks[session.node]}
                assert complete == [False]

    run_virtually(main())


def test_a_node_that_joins_between_slices_gets_its_complete_set_first() -> None:
    async def main() -> None:
        clock = VirtualClock()
        async with leading(clock) as led:
            for number in range(NODES):
                led.join(f"n{number}")
            await clock.sleep(1)
            leader = led.leader
            turn = leader._commit_slice
            joined: list[AgentSession] = []

            def slice_then_join() -> bool:
                is_more = turn()
                if is_more and not joined:
                    joined.extend(led.join(f"n{number}") for number in range(NODES))
                return is_more

            leader._commit_slice = slice_then_join  # type: ignore[method-assign]
            await leader.perform(create("web", 3 * NODES))
            await clock.sleep(1)
            assert joined
            for session in joined:
                tasks, complete = told(session)
                assert tasks == {task.id for task in leader.state.node_tasks[session.node]}
                assert complete[0] is True

    run_virtually(main())


ROUND_S = 0.9
"""Less than what a leader takes for a pause of its own."""


class BusyClock(VirtualClock):
    """A clock on which a round of the loop, between two slices, takes its time once it is busy."""

    is_busy = False

    async def sleep(self, delay_s: float) -> None:
        await super().sleep(delay_s or (ROUND_S if self.is_busy else 0.0))


@asynccontextmanager
async def slowly_committing() -> AsyncIterator[tuple[BusyClock, Leading]]:
    """Lead as many nodes as take three slices; all but n0 were heard a moment ago."""
    clock = BusyClock()
    async with leading(clock) as led:
        sessions = [led.join(f"n{number}") for number in range(NODES)]
        await clock.sleep(4.0)
        for session in sessions[1:]:
            led.leader.desk.hear(session)
        clock.is_busy = True
        yield clock, led


def test_a_long_commit_is_no_pause_of_the_leader() -> None:
    async def main() -> None:
        async with slowly_committing() as (clock, led):
            before = dict(led.leader.state.liveness)
            await led.leader.perform(create("web", NODES))
            while led.leader.state.unsaved:
                await clock.sleep(0.1)
            del before[NodeId("n0")]
            assert before.items() <= led.leader.state.liveness.items()

    run_virtually(main())


def test_a_node_is_lost_though_a_commit_goes_on() -> None:
    async def main() -> None:
        async with slowly_committing() as (clock, led):
            state = led.leader.state
            changing = asyncio.ensure_future(led.leader.perform(create("web", NODES)))
            await clock.sleep(2.2)  # It was heard 6.2 s ago.
            assert state.unsaved.placements, "the commit must not be over yet"
            assert state.nodes[NodeId("n0")].state is NodeState.DOWN
            await changing
            (lost,) = state.node_tasks[NodeId("n0")]
            while lost.is_wanted:  # It is given up in the turn after its successor got a node.
                await clock.sleep(0.1)
            wanted = [task for task in state.tasks.values() if task.is_wanted]
            assert len(wanted) == NODES

    run_virtually(main())


def test_a_change_is_answered_with_the_slice_that_its_record_is_in() -> None:
    async def main() -> None:
        async with slowly_committing() as (clock, led):
            large = asyncio.ensure_future(led.leader.perform(create("large", NODES)))
            await clock.sleep(ROUND_S / 2)  # Its first turn is over, its commit has begun.
            await led.leader.perform(create("small", 1))
            assert len(led.leader.state.unsaved.placements) == NODES - NODES_PER_SLICE
            await large

    run_virtually(main())
