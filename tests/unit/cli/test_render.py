from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from berth.errors import InvalidRequestError
from berth.model.ids import ClusterId, Epoch, NodeId, ServiceId, TaskId
from berth.model.instant import Timestamp
from berth.model.node import Availability, Node, NodeDescription, NodeSpec, NodeState
from berth.model.resources import NodeResources
from berth.model.service import (
    ContainerSpec,
    EndpointSpec,
    ModeKind,
    Placement,
    PortSpec,
    PublishMode,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
)
from berth.model.task import TaskState, TaskStatus
from berth.views import (
    ClusterView,
    ExplainedTask,
    Explanation,
    NodeView,
    ServiceView,
    TaskView,
)
from cli import render
from cli.output import print_table, table_lines
from cli.render_cluster import explanation_lines, status_lines, store_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (3600, "60 minutes"),
        (7200, "2 hours"),
        (86_400, "24 hours"),
        (172_800, "2 days"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert render.age_text(seconds) == text


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (f"docker.io/library/busybox:1@{DIGEST}", "busybox:1"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        (f"busybox@{DIGEST}", f"busybox@{DIGEST}"),
        ("NOT AN IMAGE", "NOT AN IMAGE"),
    ],
)
def test_images_are_named_as_people_do(image: str, text: str) -> None:
    assert render.image_text(image) == text
    assert render.image_text(image, is_full=True) == image


def test_ports_and_replicas() -> None:
    assert render.port_text(PortSpec("", "udp", 53, 5353)) == "*:5353->53/udp"
    assert render.port_text(PortSpec(target_port=80)) == "*:?->80/tcp"
    ingress = PortSpec("", "tcp", 80, 80, PublishMode.INGRESS)
    assert render.port_text(ingress) == "*:80->80/tcp (ingress)"
    spec = ServiceSpec(task=TaskSpec(placement=Placement(max_replicas_per_node=2)))
    service = ServiceView(ServiceId("s"), spec=spec, running_tasks=1, desired_tasks=3)
    assert render.replicas_text(service) == "1/3 (max 2 per node)"


def a_task(slot: int, **fields: Any) -> TaskView:
    status = TaskStatus(TaskId("t"), **{"state": TaskState.RUNNING, **fields.pop("status", {})})
    return TaskView(
        TaskId(f"{slot}".ljust(25, "t")),
        ServiceId("s"),
        fields.pop("node_id", NodeId("n1")),
        "web",
        slot,
        status=status,
        **fields,
    )


def test_tasks_are_ordered_by_slot_and_the_newest_first() -> None:
    tasks = [
        a_task(10),
        a_task(2, attempt=1, is_history=True),
        a_task(2, attempt=2),
        a_task(2, attempt=0, is_history=True),
    ]
    table = render.tasks_table(tasks)
    assert [row[1].text for row in table.rows] == ["web.2", r"\_ web.2", r"\_ web.2", "web.10"]
    assert [task.attempt for task in render.sorted_tasks(tasks)] == [2, 1, 0, 0]


def test_states_have_colours_and_long_errors_are_shortened() -> None:
    failed = a_task(1, status={"state": TaskState.FAILED, "error": "x" * 80, "state_age_s": 61})
    (row,) = render.tasks_table([failed]).rows
    assert (row[5].text, row[5].style) == ("Failed 1 minute ago", "red")
    assert row[6].text == "x" * 59 + "…"
    (row,) = render.tasks_table([failed], is_full=True).rows
    assert row[6].text == "x" * 80
    waiting = a_task(1, status={"state": TaskState.PENDING, "message": "no\nsuitable node"})
    assert render.task_error(waiting) == "no suitable node"
    running = a_task(1, status={"message": "started"})
    assert render.task_error(running) == ""


def test_digests_show_drift() -> None:
    drifted = a_task(1, status={"image_digest": DIGEST, "platform": "linux/arm64"}, is_drifted=True)
    table = render.tasks_table([drifted, a_task(2)], with_digests=True)
    assert table.headers[-3:] == ("DIGEST", "PLATFORM", "DRIFT")
    assert [cell.text for cell in table.rows[0][-3:]] == [DIGEST[:19], "linux/arm64", "drifted"]
    assert table.rows[1][-1].text == ""


def a_node(name: str, state: NodeState = NodeState.READY, **fields: Any) -> NodeView:
    description = NodeDescription(
        hostname=name,
        resources=NodeResources(nano_cpus=2 * 10**9, memory_bytes=2**30),
        agent_labels={"zone": "a"},
    )
    spec = NodeSpec(**fields)
    return NodeView(
        Node(NodeId(f"{name}id"), spec, description, state),
        tasks_running=3,
        reserved_nano_cpus=5 * 10**8,
        reserved_memory_bytes=2**29,
    )


def test_nodes_show_what_is_taken() -> None:
    nodes = [a_node("b", NodeState.DOWN, availability=Availability.DRAIN), a_node("a")]
    first, second = render.nodes_table(nodes).rows
    assert [cell.text for cell in first][1:7] == [
        "a", "Ready", "Active", "3", "0.5/2", "512MiB/1GiB",
    ]  # fmt: skip
    assert (second[2].style, second[3].style) == ("red", "yellow")


@pytest.mark.parametrize(
    ("state", "text"), [(NodeState.READY, "Departing"), (NodeState.DOWN, "Down")]
)
def test_a_machine_that_is_being_shut_down_is_shown_as_such(state: NodeState, text: str) -> None:
    view = a_node("a", state)
    view = replace(view, node=replace(view.node, is_departing=True))
    (row,) = render.nodes_table([view]).rows
    assert (row[2].text, row[3].text) == (text, "Active")


def test_columns_align_and_colours_are_for_terminals() -> None:
    table = render.make_table("A|LONGER", [["wide 漢字", render.Cell("x", "red")], ["b", ""]])
    assert [line.plain for line in table_lines(table)] == [
        "A           LONGER",
        "wide 漢字   x",
        "b",
    ]
    for is_terminal, has_colour in ((True, True), (False, False)):
        console = Console(force_terminal=is_terminal, no_color=None, record=True, width=200)
        with console.capture() as captured:
            print_table(console, table)
        assert ("\x1b[31m" in captured.get()) is has_colour


def test_rows_become_json_objects() -> None:
    table = render.make_table("ID|DESIRED STATE", [["1", "Running"]])
    assert render.table_rows(table) == [{"ID": "1", "DesiredState": "Running"}]


def test_json_has_words_and_times() -> None:
    view = ServiceView(
        ServiceId("s"),
        spec=ServiceSpec(name="web", mode=ServiceMode(ModeKind.GLOBAL)),
        created_at=Timestamp(0.0),
        updated_at=Timestamp(1.5),
    )
    document = render.to_json(view)
    assert document["spec"]["mode"]["kind"] == "global"
    assert document["created_at"] is None
    assert document["updated_at"] == "1970-01-01T00:00:01.500000Z"
    assert document["spec"]["task"]["container"]["env"] == []
    sparse = render.to_json(view, is_sparse=True)
    assert "env" not in sparse["spec"].get("task", {}).get("container", {})
    assert render.to_json({"state": TaskState.RUNNING, "data": b"x"}) == {
        "state": "running",
        "data": "x",
    }


def test_pretty_is_indented() -> None:
    document = {
        "name": "web",
        "mounts": [{"source": "/a", "target": "/b"}],
        "args": ["x", "y"],
        "limits": {"nano_cpus": 1},
    }
    assert render.pretty_lines(document) == [
        "Name: web",
        "Mounts:",
        " - Source: /a",
        "   Target: /b",
        "Args: x y",
        "Limits:",
        " Nano cpus: 1",
    ]


SERVICE = ServiceView(
    ServiceId("abc"),
    spec=ServiceSpec(
        name="web-1", labels={"tier": "front"}, task=TaskSpec(container=ContainerSpec(image="a"))
    ),
)


@pytest.mark.parametrize(
    ("filters", "is_wanted"),
    [
        ((), True),
        (("name=web",), True),
        (("id=ab",), True),
        (("label=tier",), True),
        (("label=tier=back",), False),
        (("label=tier=front", "name=db"), False),
        (("name=db", "name=web"), True),
        (("mode=global",), False),
    ],
)
def test_service_filters(filters: tuple[str, ...], is_wanted: bool) -> None:
    assert render.parse_filters(filters, render.SERVICE_FILTERS)(SERVICE) is is_wanted


@pytest.mark.parametrize(
    ("allowed", "item", "text"),
    [
        (render.TASK_FILTERS, a_task(1, node_name="n"), "node=n"),
        (render.TASK_FILTERS, a_task(1), "name=web.1"),
        (render.TASK_FILTERS, a_task(1), "id=1t"),
        (render.TASK_FILTERS, a_task(1), "desired-state=running"),
        (render.TASK_FILTERS, a_task(1), "current-state=running"),
        (render.NODE_FILTERS, a_node("a"), "name=a"),
        (render.NODE_FILTERS, a_node("a"), "id=aid"),
        (render.NODE_FILTERS, a_node("a"), "label=zone=a"),
        (render.NODE_FILTERS, a_node("a"), "status=ready"),
        (render.NODE_FILTERS, a_node("a"), "availability=active"),
    ],
)
def test_other_filters(
    allowed: dict[str, Callable[[Any, str], bool]], item: Any, text: str
) -> None:
    assert render.parse_filters([text], allowed)(item) is True
    assert render.parse_filters([f"{text}-not"], allowed)(item) is False


def test_an_unknown_filter_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidRequestError, match="one of id, name, label, mode"):
        render.parse_filters(["colour=red"], render.SERVICE_FILTERS)


def test_status_says_what_is_amiss() -> None:
    cluster = ClusterView(
        ClusterId("c"), Epoch(3), store_state="read-only", store_message="no quorum"
    )
    nodes = [a_node("a"), a_node("b", NodeState.DOWN, availability=Availability.DRAIN)]
    services = [ServiceView(ServiceId("s"), desired_tasks=3, running_tasks=1)]
    assert status_lines(cluster, nodes, services) == [
        "Leader:     none; shown is what the last one knew (epoch 3)",
        "Store:      read-only: no quorum",
        "Nodes:      2 (1 down, 1 ready; 1 not active)",
        "Services:   1 (0 with all tasks running)",
        "Tasks:      1 of 3 running",
    ]
    assert status_lines(cluster, [], [])[2:] == [
        "Nodes:      0",
        "Services:   0",
        "Tasks:      0 of 0 running",
    ]
    assert store_text(ClusterView(ClusterId("c"), Epoch(3))) == "unknown"


def test_an_explanation_tells_the_rollout_and_each_tasks_story() -> None:
    waiting = a_task(1, status={"state": TaskState.PENDING}, node_id=NodeId(""))
    running = a_task(2, status={"state_age_s": 120.0}, node_name="node-1")
    found = Explanation(
        ServiceId("s"),
        "web",
        nodes_total=3,
        nodes_fitting=1,
        tasks=(ExplainedTask(waiting, "waits", ("created",)), ExplainedTask(running)),
        summary="1 task waits",
        rollout=("waits for web.1",),
    )
    assert explanation_lines(found) == [
        "web: 1 task waits",
        "1 of 3 nodes fit",
        "",
        "Rollout:",
        "  waits for web.1",
        "",
        "web.1 (1ttttttttttt): pending",
        "  waits",
        "  - created",
        "",
        "web.2 (2ttttttttttt): running on node-1, for 2 minutes",
    ]


def test_endpoint_ports_are_listed() -> None:
    spec = ServiceSpec(
        name="a",
        endpoint=EndpointSpec(ports=(PortSpec("", "tcp", 80, 8080), PortSpec(target_port=1))),
    )
    (row,) = render.services_table([ServiceView(ServiceId("s"), spec=spec)]).rows
    assert row[5].text == "*:8080->80/tcp, *:?->1/tcp"
