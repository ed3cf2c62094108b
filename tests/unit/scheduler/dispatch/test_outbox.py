"""What waits for a node is merged, in order, and a complete set is the whole truth."""

import asyncio

import pytest

from berth.model.ids import Epoch, NodeId, Revision, ServiceId, TaskId
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from scheduler.dispatch.outbox import Outbox
from tests.fakes.virtual_time import run_virtually


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(NodeId("n1"), Epoch(7))


def put(
    outbox: Outbox,
    tasks: str = "",
    forgotten: str = "",
    *,
    revision: int = 1,
    templates: str = "",
    complete: bool = False,
) -> None:
    """Put tasks written as "a:512" (ID and desired state)."""
    assignments = {}
    for word in tasks.split():
        task_id, _, desired = word.partition(":")
        message = types_pb2.TaskAssignment(task_id=task_id, desired=int(desired))
        entry = pb.Assignments(tasks=[message])
        assignments[TaskId(task_id)] = entry.SerializeToString()
    gone = [TaskId(word) for word in forgotten.split()]
    known = {}
    for word in templates.split():
        template = types_pb2.TaskTemplate(service_id=word, version=1)
        entry = pb.Assignments(templates=[template])
        known[ServiceId(word), 1] = entry.SerializeToString()
    outbox.put(Revision(revision), assignments, known, gone, complete=complete)


def taken(outbox: Outbox) -> pb.SchedulerMessage:
    (message,) = outbox.take()
    return message


def tasks_of(message: pb.SchedulerMessage) -> dict[str, int]:
    return {task.task_id: task.desired for task in message.assignments.tasks}


def test_every_message_names_its_node_and_epoch(outbox: Outbox) -> None:
    outbox.put_message(pb.SchedulerMessage(settings=types_pb2.ClusterSettings()))
    put(outbox, "a:512", revision=9)
    settings, assignments = outbox.take()
    assert [(m.node_id, m.epoch) for m in (settings, assignments)] == [("n1", 7), ("n1", 7)]
    assert assignments.revision == 9


def test_of_several_wishes_for_a_task_the_newest_is_sent(outbox: Outbox) -> None:
    put(outbox, "a:384 b:512")
    put(outbox, "a:512")
    assert tasks_of(taken(outbox)) == {"a": 512, "b": 512}


def test_what_is_purged_is_told_once(outbox: Outbox) -> None:
    outbox.purge(Revision(7), ["a"])
    outbox.purge(Revision(8), ["b"])
    (message,) = outbox.take()
    assert (message.revision, list(message.assignments.purged)) == (8, ["a", "b"])
    assert outbox.take() == []


def test_a_task_that_is_forgotten_before_it_was_sent_is_not_sent(outbox: Outbox) -> None:
    put(outbox, "a:512 b:512")
    put(outbox, "", "a")
    message = taken(outbox)
    assert (tasks_of(message), list(message.assignments.forgotten)) == ({"b": 512}, ["a"])


def test_a_complete_set_drops_what_waited_before_it(outbox: Outbox) -> None:
    put(outbox, "a:512", "b")
    put(outbox, "c:512", complete=True)
    put(outbox, "d:512", "c")
    message = taken(outbox)
    assert message.assignments.complete
    assert (tasks_of(message), list(message.assignments.forgotten)) == ({"d": 512}, ["c"])
    put(outbox, "e:512")
    assert not taken(outbox).assignments.complete


def test_an_empty_complete_set_is_sent_as_well(outbox: Outbox) -> None:
    put(outbox, complete=True)
    message = taken(outbox)
    assert (message.assignments.complete, tasks_of(message)) == (True, {})


def test_templates_are_kept_over_a_complete_set_and_sent_once(outbox: Outbox) -> None:
    put(outbox, templates="web")
    put(outbox, templates="db", complete=True)
    assert [t.service_id for t in taken(outbox).assignments.templates] == ["web", "db"]
    put(outbox, "a:512")
    assert not taken(outbox).assignments.templates


def test_sequences_have_no_gaps_so_that_an_agent_sees_a_loss(outbox: Outbox) -> None:
    sequences = []
    for _ in range(3):
        put(outbox, "a:512")
        put(outbox, "b:512")
        outbox.put_message(pb.SchedulerMessage())
        sequences.append(outbox.take()[-1].assignments.sequence)
        assert outbox.take() == []
    assert sequences == [1, 2, 3]


def test_the_revision_never_goes_back(outbox: Outbox) -> None:
    put(outbox, "a:512", revision=9)
    put(outbox, "b:512", revision=4)
    assert taken(outbox).revision == 9


def test_a_writer_waits_until_there_is_something() -> None:
    async def story() -> list[str]:
        outbox = Outbox(NodeId("n1"), Epoch(7))
        seen: list[str] = []

        async def write() -> None:
            while not outbox.is_closed:
                await outbox.wait_ready()
                seen.append(f"{len(outbox.take())} messages")

        writer = asyncio.ensure_future(write())
        await asyncio.sleep(1)
        seen.append("put")
        put(outbox, "a:512")
        await asyncio.sleep(1)
        seen.append("close")
        outbox.put_message(pb.SchedulerMessage())
        outbox.close()
        await writer
        return seen

    assert run_virtually(story()) == ["put", "1 messages", "close", "1 messages"]
