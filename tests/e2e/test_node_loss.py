"""Machines that die, are cut off, and return: their work moves, and nothing is left twice."""

import time

import pytest

from tests.cluster import AgentProgram, NotYetError, TestCluster
from tests.e2e.asking import create, nodes_of, rows, steadiest_node
from tests.e2e.engines import running_processes, watch_containers
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

LOST_AFTER_S = 5.0


def wait_containers(cluster: TestCluster, service: str, count: int) -> None:
    """Wait until the Engines that are on run exactly `count` containers, one for each slot."""

    def claim() -> bool:
        found = cluster.containers(service)
        slots = [each["Config"]["Labels"]["berth.slot"] for _, each in found]
        if len(found) != count or len(set(slots)) != count:
            where = [(host.name, slot) for (host, _), slot in zip(found, slots, strict=True)]
            raise NotYetError(f"containers (host, slot): {where}")
        return True

    cluster.wait_until(f"{count} containers of {service} run, one a slot", claim)


def victim_of(cluster: TestCluster, service: str) -> AgentProgram:
    """Choose a node that runs tasks of the service."""
    return cluster.agent(steadiest_node(cluster, nodes_of(cluster, service)))


def test_the_tasks_of_a_dead_node_move_and_the_others_are_untouched(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=6)
    cluster.wait_running("web", 6)
    victim = victim_of(cluster, "web")
    before = running_processes(cluster, "web")
    others = {key: one for key, one in before.items() if one.host != victim.host.name}

    began_s = time.monotonic()
    cluster.power_off(victim.name)
    cluster.wait_node(victim.name, "down")
    down_s = time.monotonic() - began_s
    cluster.wait_until(
        "six tasks run on the other nodes",
        lambda: len([node for node in nodes_of(cluster, "web") if node != victim.name]) == 6,
    )
    took_s = time.monotonic() - began_s
    print(f"{victim.name}: down after {down_s:.1f} s, its tasks ran elsewhere after {took_s:.1f} s")
    assert down_s >= LOST_AFTER_S * 0.8
    wait_containers(cluster, "web", 6)
    assert others.items() <= running_processes(cluster, "web").items(), "nothing else moved"
    (row,) = rows(cluster, "node", "ls", f"--filter=name={victim.name}")
    assert row["Status"] == "Down"
    assert "not heard for" in cluster.control.node(victim.name).node.message

    settled = running_processes(cluster, "web")
    cluster.power_on(victim.name)
    cluster.wait_node(victim.name, "ready")
    wait_containers(cluster, "web", 6)
    assert running_processes(cluster, "web") == settled, "its return moves nothing"
    dead = [
        each
        for host, each in cluster.containers("web", running_only=False)
        if host is victim.host and each["State"]["Running"]
    ]
    assert dead == [], "what it ran before was not started again"


def test_a_node_that_was_cut_off_stops_what_was_replaced_meanwhile(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=6)
    cluster.berth("service", "create", "-d", "--name=each", "--mode=global", images.sleeper("1.0"))
    cluster.wait_running("web", 6)
    cluster.wait_running("each", 3)
    victim = victim_of(cluster, "web")
    each_before = running_processes(cluster, "each")
    victim.host.cut_link()
    cluster.wait_node(victim.name, "down")
    cluster.wait_until(
        "six tasks run on the other nodes",
        lambda: len([node for node in nodes_of(cluster, "web") if node != victim.name]) == 6,
    )
    assert len(cluster.containers("web")) == 8, "without a fence the cut-off node runs on"
    moved = {
        key: one
        for key, one in running_processes(cluster, "web").items()
        if one.host != victim.name
    }
    victim.host.restore_link()
    cluster.wait_node(victim.name, "ready", timeout_s=60)
    wait_containers(cluster, "web", 6)
    assert running_processes(cluster, "web") == moved, "the surplus is gone, the others stay"
    cluster.wait_running("each", 3)
    assert running_processes(cluster, "each") == each_before, "a global service never moved"
    cluster.wait_running("web", 6)


def test_what_only_the_lost_node_can_take_runs_on_when_it_is_back(
    cluster: TestCluster, images: ImageFactory
) -> None:
    node = cluster.agents[0].name
    create(cluster, "db", images.sleeper("1.0"), f"--constraint=node.hostname=={node}")
    cluster.wait_running("db", 1)
    before = running_processes(cluster, "db")
    victim = cluster.agent(node)
    victim.host.cut_link()
    cluster.wait_node(node, "down")
    cluster.wait_until(
        "a successor waits", lambda: any(not task.node_id for task in cluster.control.tasks("db"))
    )
    victim.host.restore_link()
    cluster.wait_node(node, "ready", timeout_s=60)
    cluster.wait_until("the successor is dropped", lambda: len(cluster.control.tasks("db")) == 1)
    cluster.wait_running("db", 1)
    assert running_processes(cluster, "db") == before


def test_a_short_cut_is_no_loss(cluster: TestCluster, images: ImageFactory) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("web", 3)
    cluster.control.change_settings(lost_after_s=15.0)
    before = running_processes(cluster, "web")
    losses = {view.node.id: len(view.node.lost_at) for view in cluster.control.nodes()}
    victim = victim_of(cluster, "web")
    victim.host.cut_link()
    time.sleep(2.0)  # Far below lost_after: the cut itself is what is tested.
    victim.host.restore_link()
    cluster.wait_until(
        "the node is heard again",
        lambda: (
            cluster.control.node(victim.name).heard_age_s < 1.5
            and cluster.control.node(victim.name).node.state == "ready"
        ),
    )
    assert running_processes(cluster, "web") == before
    assert {view.node.id: len(view.node.lost_at) for view in cluster.control.nodes()} == losses, (
        "no node was lost"
    )


def test_a_fenced_service_never_runs_twice_at_once(
    cluster: TestCluster, images: ImageFactory
) -> None:
    with watch_containers(cluster, "solo") as story:
        create(cluster, "solo", images.sleeper("1.0"), "--label=berth.fence=after:3s",
               "--stop-grace-period=1s")  # fmt: skip
        (task,) = cluster.wait_running("solo", 1)
        victim = cluster.agent(task.node_name)
        began_s = time.monotonic()
        victim.host.cut_link()
        cluster.wait_until(
            "the agent has stopped it by itself", lambda: not cluster.containers("solo")
        )
        fenced_s = time.monotonic() - began_s
        (moved,) = cluster.wait_until(
            "it runs on another node",
            lambda: [t for t in cluster.running_tasks("solo") if t.node_name != victim.name],
        )
        replaced_s = time.monotonic() - began_s
        print(f"fenced after {fenced_s:.1f} s (asked: 3 s), replaced after {replaced_s:.1f} s")
        victim.host.restore_link()
        cluster.wait_node(victim.name, "ready", timeout_s=60)
        wait_containers(cluster, "solo", 1)
        (only,) = cluster.wait_running("solo", 1)
        assert only.id == moved.id
        assert story.most() == 1, f"never two at once\n{story}"


def test_lost_after_is_a_setting_that_agents_and_leader_take_up_at_run_time(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("web", 3)
    cluster.berth("cluster", "update", "--lost-after=30s")
    info = cluster.berth("cluster", "info").stdout
    assert "30s" in info
    before = running_processes(cluster, "web")
    victim = victim_of(cluster, "web")
    victim.host.cut_link()
    time.sleep(LOST_AFTER_S + 2.0)  # Lost by the old setting, not by the new one.
    assert cluster.control.node(victim.name).node.state != "down"
    victim.host.restore_link()
    cluster.wait_node(victim.name, "ready")
    cluster.wait_running("web", 3)
    assert running_processes(cluster, "web") == before
