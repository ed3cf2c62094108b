"""Nodes: availability, draining, labels, removal, and services with one task per node."""

import time

import pytest

from tests.cluster import TestCluster
from tests.e2e.asking import create, nodes_of, rows, wait_error
from tests.e2e.engines import running_processes, watch_containers
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e


def test_a_global_service_runs_once_on_each_active_node(
    cluster: TestCluster, images: ImageFactory
) -> None:
    cluster.berth("node", "update", "--availability=drain", "host-2")
    cluster.berth("service", "create", "-d", "--name=agent", "--mode=global", images.sleeper("1.0"))
    cluster.wait_running("agent", 2)
    assert nodes_of(cluster, "agent") == ["host-1", "host-3"]
    assert rows(cluster, "service", "ls")[0]["Replicas"] == "2/2"

    before = running_processes(cluster, "agent")
    cluster.berth("node", "activate", "host-2")
    cluster.wait_running("agent", 3)
    assert nodes_of(cluster, "agent") == ["host-1", "host-2", "host-3"]
    cluster.berth("service", "update", "-d", "--constraint-add=node.hostname!=host-3", "agent")
    cluster.wait_running("agent", 2)
    assert nodes_of(cluster, "agent") == ["host-1", "host-2"]
    cluster.berth("service", "rm", "agent")
    cluster.wait_until("no container runs", lambda: not cluster.containers("agent"))
    assert before


def test_draining_moves_a_single_replica_without_a_moment_of_absence(
    cluster: TestCluster, images: ImageFactory
) -> None:
    with watch_containers(cluster, "solo") as story:
        create(cluster, "solo", images.sleeper("1.0"), "--update-monitor=1s")
        (task,) = cluster.wait_running("solo", 1)
        began_s = time.time()
        cluster.berth("node", "drain", "--wait", task.node_name)
        print(f"drained {task.node_name} in {time.time() - began_s:.1f} s")
        (moved,) = cluster.wait_running("solo", 1)
        assert moved.node_name != task.node_name
        cluster.wait_until("one container runs", lambda: len(cluster.containers("solo")) == 1)
        assert story.fewest(since_s=began_s) == 1, f"it always ran somewhere\n{story}"


def test_a_drained_node_is_emptied_at_full_strength_and_nothing_else_moves(
    cluster: TestCluster, images: ImageFactory
) -> None:
    with watch_containers(cluster, "web") as story:
        create(cluster, "web", images.sleeper("1.0"), "--update-monitor=1s", replicas=6)
        cluster.wait_running("web", 6)
        before = running_processes(cluster, "web")
        began_s = time.time()
        cluster.berth("node", "drain", "--wait", "host-1")
        cluster.wait_running("web", 6)
        cluster.wait_until("six containers run", lambda: len(cluster.containers("web")) == 6)
        after = running_processes(cluster, "web")
        assert {process.host for process in after.values()} == {"host-2", "host-3"}
        elsewhere = {key: one for key, one in before.items() if one.host != "host-1"}
        assert elsewhere.items() <= after.items()
        assert story.fewest(since_s=began_s) == 6, f"never below strength\n{story}"
        (row,) = rows(cluster, "node", "ls", "--filter=name=host-1")
        assert (row["Availability"], row["Tasks"]) == ("Drain", "0")


def test_a_paused_node_keeps_its_tasks_and_gets_no_new_ones(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    cluster.berth("node", "pause", "host-3")
    cluster.berth("service", "scale", "-d", "web=6")
    cluster.wait_running("web", 6)
    assert before.items() <= running_processes(cluster, "web").items()
    assert nodes_of(cluster, "web").count("host-3") == 1


def test_tasks_wait_for_room_and_take_what_becomes_free(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    cpus = max(view.node.description.resources.nano_cpus / 1e9 for view in cluster.control.nodes())
    create(cluster, "big", image, f"--reserve-cpu={cpus}", replicas=3)
    cluster.wait_running("big", 3)
    create(cluster, "late", image, "--reserve-cpu=0.5")
    row = wait_error(cluster, "late", "cpu")
    assert "cpu" in row["Error"].lower()
    assert row["CurrentState"].startswith("Pending")
    cluster.berth("service", "scale", "-d", "big=2")
    cluster.wait_running("late", 1)


def test_a_node_is_removed_only_when_it_is_down_or_by_force_and_may_join_again(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("web", 3)
    refused = cluster.berth("node", "rm", "host-2", check=False)
    assert refused.exit_code == 1
    assert "host-2" in refused.stderr
    assert "force" in refused.stderr
    assert len(rows(cluster, "node", "ls")) == 3
    cluster.agent("host-2").stop()
    cluster.berth("node", "rm", "--force", "host-2")
    assert [row["Hostname"] for row in rows(cluster, "node", "ls")] == ["host-1", "host-3"]
    cluster.wait_running("web", 3)
    assert set(nodes_of(cluster, "web")) == {"host-1", "host-3"}
    cluster.agent("host-2").start()
    cluster.wait_nodes(3)
    cluster.wait_until(
        "host-2 has stopped what is not its task any more", lambda: len(cluster.containers()) == 3
    )
