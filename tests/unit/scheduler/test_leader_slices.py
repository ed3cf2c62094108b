"""A commit of many nodes goes in slices: each could be the last, and all of it arrives."""

from berth.model.ids import ServiceId
from scheduler.commit_pace import NODES_PER_SLICE
from scheduler.core import commands
from scheduler.dispatch.desk import AgentSession
from tests.builders import a_spec
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import leading

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
