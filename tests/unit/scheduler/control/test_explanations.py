"""What `berth explain` says is what the scheduler would do."""

import re
from dataclasses import replace

import pytest

from berth.model.node import Availability, NodeSpec
from berth.model.service import FailureAction, UpdateOrder, UpdatePolicy
from berth.model.task import TaskState
from scheduler.control.explanations import explain_subject
from scheduler.control.lookup import find_subject
from scheduler.core import commands
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World

S = TaskState


@pytest.fixture
def world():
    return World()


def explained(world, name="web"):
    return explain_subject(world.state, find_subject(world.state, name), world.now)


def drain(world, node):
    known = world.state.nodes[node]
    spec = NodeSpec(known.spec.labels, Availability.DRAIN)
    commands.update_node(world.state, known, spec, 0, world.now)


def test_a_converged_service_is_as_wanted(world):
    world.create(a_spec(replicas=3))
    world.settle()
    answer = explained(world)
    assert answer.summary == "3 of 3 tasks run: all is as wanted"
    assert (answer.nodes_total, answer.nodes_fitting) == (3, 3)
    assert list(answer.tasks) == []
    assert list(answer.rollout) == []


def test_tasks_last_seen_on_a_lost_node_are_not_said_to_run(world):
    # Fenced, they stay wanted for a while: their agent may still be about to stop them.
    fence = {"berth.fence": "after:30s"}
    world.create(a_spec(replicas=2, constraints=("node.hostname==n1",), labels=fence))
    world.settle()
    world.cut("n1")
    world.pass_time(10)
    assert explained(world).summary.startswith("0 of 2 tasks run")


def test_waiting_tasks_come_with_exact_counts_and_what_would_help(world):
    drain(world, "n1")
    world.create(a_spec(replicas=2, cpus=3, constraints=("node.hostname!=n2",)))
    world.create(a_spec("full", replicas=1, cpus=3, constraints=("node.hostname==n3",)))
    world.settle()
    waiting = "web" if world.service("web").waiting else "full"
    answer = explained(world, waiting)
    assert (answer.nodes_total, answer.nodes_fitting) == (3, 0)
    by_name = {found.name: found for found in answer.filters}
    assert by_name["draining"].forbids_alone == 1
    assert by_name["cpu"].forbids_alone == 1
    assert by_name["cpu"].admits_if_dropped == 1
    assert "1 node more would fit" in by_name["cpu"].words
    assert by_name["cpu"].words.endswith(
        "; a task asks for 3 CPU; most is free on n2: 4 CPU of 4 CPU"
    )
    assert answer.tasks[0].task.status.error.startswith("no suitable node")
    assert "wait for a node" in answer.summary


def test_a_crash_loop_tells_when_the_next_attempt_comes(world):
    world.create(a_spec(restart=restart(delay_s=30)))
    world.settle()
    world.fail(world.running()[0], ran_s=1.5)
    world.settle()
    world.pass_time(4)
    answer = explained(world)
    (entry,) = answer.tasks
    assert "its restart delay lasts another 26.0 s" in entry.summary
    first = explained(world, f"{world.service().history[1][0].id}")
    summary = first.tasks[0].summary
    assert re.search(r"web.1 failed on n\d 4s ago .*exit code 1: boom", summary)
    assert "attempt 2 has taken its slot" in summary
    assert any("failed: boom" in line for line in first.tasks[0].story)
    assert first.tasks[0].story[0].endswith("Z created")


def test_a_slot_that_stays_empty_says_why(world):
    world.create(a_spec(restart=restart("none")))
    world.settle()
    world.fail(world.running()[0])
    world.settle()
    answer = explained(world)
    (entry,) = answer.tasks
    assert "no other attempt follows: restart condition is none" in entry.summary
    assert answer.summary == "0 of 1 tasks run; 1 ended and will not be restarted"


def test_a_stop_that_is_waited_for_has_its_limit(world):
    world.create(a_spec(image="old:1", grace_s=20.0))
    world.settle()
    world.stops_held.add("old:1")
    world.update("web", a_spec(image="new:1", grace_s=20.0))
    world.settle()
    world.pass_time(5)
    entries = {entry.task.attempt: entry.summary for entry in explained(world).tasks}
    assert "attempt 1 must stop first, at most 20 s more" in entries[2]
    old = explained(world, world.service().slots[1][0].id).tasks[0].summary
    assert "told to stop (a newer task replaces it) and is waited for another 20 s" in old


def test_a_fenced_task_of_a_lost_node_says_how_long_its_successor_waits(world):
    labels = {"berth.fence": "after:30s"}
    world.create(a_spec(labels=labels, constraints=("node.hostname==n1",), grace_s=10.0))
    world.settle()
    world.cut("n1")
    world.pass_time(6)
    summary = explained(world, "web.1").summary
    assert "its node is lost" in summary
    left_s = float(re.search(r"fence holds the replacement back for another (\d+) s", summary)[1])
    assert 42 <= left_s <= 45


def test_a_task_that_only_its_lost_node_can_take_says_what_it_waits_for(world):
    world.create(a_spec(constraints=("node.hostname==n1",)))
    world.settle()
    (lost,) = world.running()
    world.cut("n1")
    world.pass_time(6)
    summary = explained(world, lost.id).tasks[0].summary
    assert "its node is lost; it goes on if that is back before another attempt has" in summary
    assert explained(world).summary.startswith("0 of 1 tasks run")


def test_a_rollout_says_what_it_does_and_waits_for(world):
    world.create(a_spec(replicas=3))
    world.settle()
    policy = UpdatePolicy(parallelism=1, delay_s=60.0, order=UpdateOrder.START_FIRST)
    world.update("web", a_spec(replicas=3, image="slow:2", update=policy))
    world.settle()
    text = "\n".join(explained(world).rollout)
    assert "updating: update in progress" in text
    assert "of 3 slots 2 wait their turn and 1 are under way" in text
    assert "1 at a time, start-first, delay 1m" in text
    assert "slot 1: attempt 2 on n" in text
    assert "is preparing; it must run before the next slot is begun" in text
    world.slow_done = True
    world.settle()
    world.pass_time(20)
    text = "\n".join(explained(world).rollout)
    assert re.search(r"slot 1: attempt 2 on n\d runs, and must do so for another 40.0 s", text)


def test_the_end_of_a_rollout_is_watched(world):
    world.create(a_spec())
    world.settle()
    world.update("web", a_spec(image="app:2", update=UpdatePolicy(monitor_s=30.0)))
    world.settle()
    text = "\n".join(explained(world).rollout)
    assert "all slots are replaced; the last ones are watched for another 30.0 s" in text


def test_a_paused_rollout_says_what_it_waits_for(world):
    world.create(a_spec(replicas=2))
    world.settle()
    policy = UpdatePolicy(failure_action=FailureAction.PAUSE)
    world.update("web", a_spec(replicas=2, image="bad:2", update=policy))
    world.settle()
    answer = explained(world)
    assert "its rollout is paused and waits for an update or a rollback" in answer.summary
    text = "\n".join(answer.rollout)
    assert "paused: update paused: 1 new task of 2 failed" in text
    assert "nothing goes on until" in text


def test_a_task_on_a_draining_node_will_be_replaced(world):
    world.create(a_spec(image="slow:1", constraints=("node.hostname==n1",)))
    world.settle()
    drain(world, "n1")
    world.settle()
    waiting, leaving = explained(world).tasks
    assert waiting.summary == (
        "web.1 waits: no suitable node (constraint node.hostname==n1 not met on 2 nodes; "
        "1 node draining)"
    )
    assert leaving.summary.endswith("its node is draining, so it will be replaced")


def test_a_service_that_is_going_says_so(world):
    it = world.create(a_spec(image="old:1"))
    world.settle()
    world.stops_held.add("old:1")
    commands.remove_service(world.state, it)
    world.settle()
    answer = explain_subject(world.state, it, world.now)
    assert answer.summary == "it is being removed; 1 slots still have tasks"


def test_a_story_names_nodes_as_people_do(world):
    world.create(a_spec(replicas=1, constraints=("node.hostname==n1",)))
    world.settle()
    known = world.state.nodes["n1"]
    spec = replace(known.spec, name="kettle")
    commands.update_node(world.state, known, spec, 0, world.now)
    (task,) = explained(world, "web.1").tasks
    assert any(line.endswith(" assigned to kettle") for line in task.story), task.story
