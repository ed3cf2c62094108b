"""Docker's form of events, Docker's filters, and those of tasks."""

import pytest

from berth.model.events import ObjectEvent
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.task import TaskState
from berth.views import TaskEvent
from gateway.filters import Filters
from gateway.translate.events import EVENT_FILTERS, Told, gap, is_wanted, told, wants_tasks

S = TaskState
NODE = ObjectEvent(12_500_000_000, "node", "update", "n1", {"name": "host-1"})
WEB = ObjectEvent(13_000_000_000, "service", "create", "s1", {"name": "web"})


def a_task(
    before: TaskState | None, after: TaskState | None, *, desired: TaskState = S.RUNNING, **fields
) -> Told:
    return told(
        TaskEvent(
            14,
            TaskId("t1"),
            ServiceId("s1"),
            "web",
            3,
            True,
            NodeId("n1"),
            "app:1",
            observed_before=before,
            desired_before=None if before is None else S.RUNNING,
            observed=after,
            desired=None if after is None else desired,
            **fields,
        )
    )


FIXED = {
    "name": "web.3.t1", "service.id": "s1", "service.name": "web", "node.id": "n1", "slot": "3",
    "image": "app:1",
}  # fmt: skip


def test_the_form_of_an_event() -> None:
    assert told(NODE).written() == {
        "Type": "node",
        "Action": "update",
        "Actor": {"ID": "n1", "Attributes": {"name": "host-1"}},
        "scope": "swarm",
        "time": 12,
        "timeNano": 12_500_000_000,
    }


@pytest.mark.parametrize(
    ("event", "action", "attributes"),
    [
        pytest.param(
            a_task(None, S.PENDING),
            "create",
            {"state": "pending", "desiredstate": "running"},
            id="new",
        ),
        pytest.param(
            a_task(S.STARTING, S.RUNNING),
            "update",
            {"state.old": "starting", "state.new": "running"},
            id="a state",
        ),
        pytest.param(
            a_task(S.RUNNING, S.RUNNING, desired=S.SHUTDOWN),
            "update",
            {"desiredstate.old": "running", "desiredstate.new": "shutdown"},
            id="a wish",
        ),
        pytest.param(
            a_task(S.RUNNING, S.FAILED, error="boom", exit_code=0),
            "update",
            {"state.old": "running", "state.new": "failed", "error": "boom", "exitcode": "0"},
            id="an end",
        ),
        pytest.param(a_task(S.FAILED, None), "remove", {}, id="gone"),
    ],
)
def test_events_of_tasks(event: Told, action: str, attributes: dict[str, str]) -> None:
    assert (event.kind, event.action, event.id) == ("task", action, "t1")
    assert event.attributes == FIXED | attributes


def test_a_task_of_a_global_service_has_its_nodes_name_and_no_slot() -> None:
    event = told(
        TaskEvent(1, TaskId("t"), ServiceId("s"), "all", 0, False, NodeId("n1"), "", None, None)
    )
    assert event.attributes["name"] == "all.n1.t"
    assert "slot" not in event.attributes


def filters(**wanted: str) -> Filters:
    return Filters({key: (value,) for key, value in wanted.items()})


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        pytest.param({}, "node service task", id="all"),
        pytest.param({"type": "task"}, "task", id="a type"),
        pytest.param({"event": "create"}, "service", id="an action"),
        pytest.param({"scope": "swarm"}, "node service task", id="the scope"),
        pytest.param({"scope": "local"}, "", id="another scope"),
        pytest.param({"service": "web"}, "service", id="a service by its name"),
        pytest.param({"service": "s"}, "service", id="by the beginning of its ID"),
        pytest.param({"service": "other"}, "", id="another service"),
        pytest.param({"node": "host"}, "node", id="a node"),
        pytest.param({"type": "task", "service": "web"}, "task", id="a service's tasks"),
        pytest.param({"type": "task", "service": "x"}, "", id="another service's tasks"),
        pytest.param({"type": "task", "node": "n1"}, "task", id="a node's tasks"),
        pytest.param({"task": "web.3"}, "task", id="a task by its name"),
        pytest.param({"label": "name=web"}, "service", id="an attribute"),
        pytest.param({"label": "state.new"}, "task", id="an attribute of any value"),
        pytest.param({"container": "web"}, "", id="what Engines tell of"),
    ],
)
def test_filters(wish: dict[str, str], found: str) -> None:
    events = [told(NODE), told(WEB), a_task(S.STARTING, S.RUNNING)]
    wanted = filters(**wish)
    assert set(wish) <= set(EVENT_FILTERS)
    assert [event.kind for event in events if is_wanted(event, wanted)] == found.split()
    # Tasks are asked for exactly when one could be wanted.
    assert wants_tasks(wanted) or "task" not in found


@pytest.mark.parametrize(
    ("wish", "are_wanted"),
    [
        ({}, True),
        ({"type": "task"}, True),
        ({"type": "service"}, False),
        ({"service": "web"}, False),
        ({"config": "web"}, False),
        ({"type": "task", "config": "web"}, False),
        ({"image": "app"}, False),
        ({"task": "web.1"}, True),
    ],
)
def test_who_does_not_ask_for_tasks_does_not_cost_them(
    wish: dict[str, str], are_wanted: bool
) -> None:
    assert wants_tasks(filters(**wish)) is are_wanted


@pytest.mark.parametrize(
    ("wish", "is_told"),
    [
        ({}, True),
        ({"type": "task"}, True),
        ({"type": "service"}, False),
        ({"type": "task", "event": "create", "task": "web"}, True),
    ],
)
def test_who_asked_for_what_is_missing_is_told(wish: dict[str, str], is_told: bool) -> None:
    missing = gap(5, "s1", ("task",), "the leader has changed")
    assert is_wanted(missing, filters(**wish)) is is_told
    assert missing.written()["Actor"] == {
        "ID": "s1",
        "Attributes": {"name": "s1", "missed": "task", "reason": "the leader has changed"},
    }
