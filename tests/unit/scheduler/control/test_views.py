"""What users are shown of services, tasks and nodes."""

from dataclasses import replace

import pytest

from berth.model.ids import NodeId, TaskId
from berth.model.service import UpdatePolicy
from berth.model.task import TaskState, TaskStatus
from scheduler.control.lookup import find_subject, find_task
from scheduler.control.views import (
    TaskFilter,
    TaskViewer,
    iter_services,
    iter_tasks,
    node_view,
    nodes_by_name,
    running_on_lost_nodes,
    service_view,
    task_name,
)
from scheduler.core import membership
from tests.builders import a_spec, restart
from tests.unit.scheduler.control.harness import DIGEST_A, DIGEST_B
from tests.unit.scheduler.core.world import World

S = TaskState


@pytest.fixture
def world():
    return World()


def tasks(world, **wanted):
    viewer = TaskViewer(world.state, world.now)
    found = iter_tasks(world.state, TaskFilter(**wanted), viewer)
    return [view for view in found if view is not None]


def service(world, name="web"):
    it = world.service(name)
    return service_view(it, running_on_lost_nodes(world.state)[it.record.id])


def report(world, task, **status):
    node = world.nodes[task.node_id]
    membership.report(
        world.state, node.id, node.session, [TaskStatus(task.id, **status)], world.now
    )


def test_a_service_counts_what_is_wanted_and_what_runs(world):
    world.create(a_spec(replicas=4, image=f"app:1@{DIGEST_A}"))
    assert (service(world).desired_tasks, service(world).running_tasks) == (4, 0)
    world.settle()
    view = service(world)
    assert (view.desired_tasks, view.running_tasks) == (4, 4)
    assert view.image_digest == DIGEST_A
    assert view.spec.mode.replicas == 4
    assert not view.HasField("previous_spec")
    assert not view.HasField("update_status")


def test_a_service_whose_tasks_are_on_a_lost_node_does_not_count_them(world):
    world.create(a_spec(replicas=3, constraints=("node.hostname==n1",)))
    world.settle()
    world.cut("n1")
    world.pass_time(10)
    view = service(world)
    assert (view.desired_tasks, view.running_tasks) == (3, 0)


def test_a_global_service_wants_one_task_per_node_that_can_take_one(world):
    world.create(a_spec(is_global=True))
    world.settle()
    assert (service(world).desired_tasks, service(world).running_tasks) == (3, 3)
    world.cut("n2")
    world.pass_time(10)
    assert service(world).running_tasks == 2


def test_a_finished_one_shot_counts_as_completed(world):
    world.create(a_spec(replicas=2, restart=restart("none")))
    world.settle()
    for task in world.running():
        world.fail(task, S.COMPLETE, ran_s=1.0)
    world.settle()
    view = service(world)
    assert (view.completed_tasks, view.running_tasks) == (2, 0)


def test_an_update_shows_its_status_and_the_previous_spec(world):
    world.create(a_spec())
    world.settle()
    world.update("web", a_spec(image="app:2", update=UpdatePolicy(monitor_s=0.0)))
    world.settle()
    view = service(world)
    assert view.previous_spec.task.container.image == "app:1"
    assert view.update_status.state == "completed"
    assert view.update_status.completed_at > 0


def test_lists_are_sorted_by_name_slot_and_newest_attempt(world):
    world.create(a_spec("web", 12))
    world.create(a_spec("api", 1))
    world.settle()
    world.fail(next(t for t in world.running("web") if t.slot == 2))
    world.settle()
    names = [view.spec.name for view in iter_services(world.state, world.state.services.values())]
    assert names == ["api", "web"]
    listed = [(v.service_name, v.slot, v.attempt, v.is_history) for v in tasks(world)]
    assert listed[:4] == [
        ("api", 1, 1, False),
        ("web", 1, 1, False),
        ("web", 2, 2, False),
        ("web", 2, 1, True),
    ]
    assert [slot for _, slot, _, _ in listed[4:]] == list(range(3, 13))


def test_a_waiting_task_says_why_in_short(world):
    world.create(a_spec(replicas=2, cpus=100))
    world.settle()
    (first, _) = tasks(world)
    assert first.status.state == S.PENDING
    assert first.status.error == "no suitable node (insufficient CPU on 3 nodes)"
    assert first.node_id == ""


def test_a_task_of_now_shows_state_age_and_the_end_that_was_told(world):
    world.create(a_spec(image="slow:1"))
    world.settle()
    world.pass_time(7)
    (view,) = tasks(world)
    assert view.status.state == S.PREPARING
    assert view.status.state_age_s == pytest.approx(7)
    world.slow_done = True
    world.settle()
    (task,) = world.running()
    world.fail(task, ran_s=2.5)
    world.settle()
    finished = next(view for view in tasks(world) if view.is_history)
    assert finished.status.error == "boom"
    assert finished.status.exit_code == 1
    assert finished.status.ran_s == 2.5
    assert finished.is_current


def test_drift_is_a_running_digest_that_is_not_the_pinned_one(world):
    world.create(a_spec(replicas=3, image=f"app:1@{DIGEST_A}"))
    world.settle()
    one, two, _ = world.running()
    for task, digest in ((one, DIGEST_A), (two, DIGEST_B)):
        report(world, task, state=S.RUNNING, image_digest=digest)
    assert [view.is_drifted for view in tasks(world)] == [False, True, False]


def test_what_has_an_old_template_is_not_current(world):
    world.create(a_spec(replicas=2))
    world.settle()
    world.update("web", a_spec(replicas=2, image="slow:2"))
    world.settle()
    assert [(view.attempt, view.is_current) for view in tasks(world)][:2] == [(2, True), (1, False)]
    assert {view.attempt for view in tasks(world, up_to_date=True)} == {2}


def test_filters_narrow(world):
    web, _ = world.create(a_spec("web", 3)), world.create(a_spec("api", 3))
    world.settle()
    one = world.running("web")[0]
    assert {view.service_name for view in tasks(world, services=[web])} == {"web"}
    assert {view.node_id for view in tasks(world, nodes={"n2"})} == {"n2"}
    assert [view.id for view in tasks(world, id_prefixes=(one.id[:10],))] == [one.id]
    world.fail(one)
    world.settle()
    assert len(tasks(world, services=[web])) == 4
    assert len(tasks(world, services=[web], only_wanted=True)) == 3


def looked_at(world, **wanted):
    viewer = TaskViewer(world.state, world.now)
    return len(list(iter_tasks(world.state, TaskFilter(**wanted), viewer)))


def test_who_asks_for_a_nodes_tasks_has_no_others_looked_at(world):
    world.create(a_spec(replicas=30))
    world.create(a_spec("everywhere", is_global=True))
    world.create(a_spec("nowhere", is_global=True, cpus=1000))  # Its tasks wait on their nodes.
    world.settle()
    assert looked_at(world) == 36
    assert looked_at(world, nodes={"n2"}, only_wanted=True) == 12
    world.fail(next(it for it in world.running("web") if it.node_id == "n2"))
    world.settle()
    for only_wanted in (False, True):
        shown = tasks(world, nodes={"n2"}, only_wanted=only_wanted)
        everywhere = tasks(world, only_wanted=only_wanted)
        assert shown == [view for view in everywhere if view.node_id == "n2"]


def test_a_task_that_goes_while_a_list_is_made_is_left_out(world):
    it = world.create(a_spec(replicas=3))
    world.settle()
    listing = iter_tasks(world.state, TaskFilter(), TaskViewer(world.state, world.now))
    assert next(listing).slot == 1
    for task in world.running():
        world.state.drop_task(task)
    assert list(listing) == []
    assert it.slots == {}


def test_a_node_shows_what_is_reserved_on_it_and_since_when_it_is_silent(world):
    world.create(a_spec(replicas=3, cpus=1.5, memory=2**30))
    world.settle()
    world.cut("n3")
    world.pass_time(3)
    views = {
        view.node.id: view
        for view in (
            node_view(world.state, node, world.now, connected=True)
            for node in nodes_by_name(world.state.nodes.values())
        )
    }
    assert list(views) == ["n1", "n2", "n3"]
    assert views["n1"].tasks_running == 1
    assert views["n1"].reserved_nano_cpus == 1_500_000_000
    assert views["n1"].reserved_memory_bytes == 2**30
    assert views["n1"].heard_age_s < 1
    assert views["n3"].heard_age_s == pytest.approx(3, abs=0.6)
    assert views["n1"].connected


def running_by_node(world: World) -> dict[str, int]:
    return {
        node.id: node_view(world.state, node, world.now, connected=True).tasks_running
        for node in nodes_by_name(world.state.nodes.values())
    }


def test_of_a_lost_node_no_task_counts_as_running(world):
    world.create(a_spec(replicas=6))
    world.settle()
    assert running_by_node(world) == {"n1": 2, "n2": 2, "n3": 2}
    world.cut("n1")
    world.pass_time(10)
    assert running_by_node(world) == {"n1": 0, "n2": 3, "n3": 3}
    assert len(world.state.node_tasks[NodeId("n1")]) == 2  # Not known to have ended.
    world.join("n1")
    world.settle()
    assert sum(running_by_node(world).values()) == 6


def test_a_task_that_is_being_stopped_does_not_count_as_running(world):
    world.create(a_spec(image="stubborn", replicas=3))
    world.settle()
    world.stops_held.add("stubborn")
    world.update("web", a_spec(image="stubborn", replicas=1))
    world.settle()
    assert sum(running_by_node(world).values()) == 1
    stopping = [task for tasks in world.state.node_tasks.values() for task in tasks]
    assert [task.observed for task in stopping] == [S.RUNNING] * 3


def test_subjects_are_found_by_service_slot_name_and_task_id(world):
    web = world.create(a_spec("web", 2))
    world.create(a_spec("all", is_global=True))
    world.settle()
    task = world.running("web")[1]
    assert find_subject(world.state, "web") is web
    assert find_subject(world.state, "web.2").task is task
    assert find_subject(world.state, task.id).task is task
    assert find_subject(world.state, task.id[:12]).task is task
    assert find_subject(world.state, "all.n2").task.node_id == "n2"
    world.fail(task)
    world.settle()
    assert find_subject(world.state, "web.2").task.attempt == 2
    assert find_task(world.state, task.id).task.state == S.FAILED
    assert task_name(web, find_task(world.state, task.id).task) == "web.2"
    assert find_task(world.state, "") is None
    assert find_task(world.state, TaskId("zzz")) is None
    with pytest.raises(Exception, match="no service or task"):
        find_subject(world.state, "web.9")


def test_granted_resources_and_told_reasons_are_shown(world):
    world.create(a_spec(image="slow:1"))
    world.settle()
    (task,) = world.tasks()
    task.granted = (("gpu", ("g0", "g1")),)
    world.state.set_desired(task, S.SHUTDOWN, world.now, "the slot is closed")
    view = tasks(world)[0]
    assert [(g.kind, list(g.units)) for g in view.granted] == [("gpu", ["g0", "g1"])]
    assert view.status.message == "the slot is closed"
    assert view.desired == S.SHUTDOWN
    task.granted = ()


def test_history_of_a_forgotten_template_still_shows(world):
    world.create(a_spec())
    world.settle()
    (task,) = world.running()
    world.fail(task)
    world.settle()
    record = world.service().record
    entry = world.service().history[1][0]
    world.service().history[1][0] = replace(entry, template_version=99)
    finished = next(view for view in tasks(world) if view.is_history)
    assert (finished.image, finished.is_current) == ("", False)
    assert 99 not in record.templates
