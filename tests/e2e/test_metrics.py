"""What all programs show of themselves over HTTP: metrics, health, readiness."""

import pytest
import requests

from tests.cluster import NotYetError, TestCluster
from tests.e2e.asking import create
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e


def test_metrics_show_leader_nodes_tasks_and_services(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=4)
    create(cluster, "no", images.sleeper("1.0"), "--constraint=node.labels.zone==a")
    cluster.wait_running("web", 4)
    leader = cluster.leader()
    for scheduler in cluster.schedulers:
        leads = scheduler is leader
        assert scheduler.metric("berth_leader") == leads
        assert scheduler.metric("swarm_manager_leader") == leads
        assert scheduler.metric("berth_store_state", state="ok") == 1
        assert ("berth_nodes" in scheduler.metrics()) == leads, "a sum over schedulers is true"
    assert leader.metric("berth_leader_epoch") == cluster.control.cluster().epoch
    expected = {
        ("berth_nodes", "state", "ready"): 3,
        ("swarm_manager_nodes", "state", "ready"): 3,
        ("berth_tasks", "state", "running"): 4,
        ("swarm_manager_tasks_total", "state", "running"): 4,
        ("berth_tasks", "state", "pending"): 1,
    }

    def counts() -> bool:
        found = {key: leader.metric(key[0], **{key[1]: key[2]}) for key in expected}
        if found != expected:
            raise NotYetError(f"metrics are {found}")
        return True

    cluster.wait_until("the metrics tell nodes and tasks", counts)
    assert leader.metric("swarm_manager_services_total") == 2
    assert leader.metric("berth_tasks_pending") == 1
    assert leader.metric("berth_agent_sessions") == 3
    assert leader.metric("berth_placements_total") >= 4
    assert leader.metric("berth_task_start_seconds_count") >= 4
    assert leader.metric("berth_store_commit_seconds_count") >= 1
    assert leader.metric("berth_elections_total", outcome="won") >= 1


def test_agents_show_their_session_tasks_and_engine_calls(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("metered"), replicas=3)
    cluster.wait_running("web", 3)
    for agent in cluster.agents:
        assert agent.metric("berth_agent_connected") == 1
        assert agent.metric("berth_agent_epoch") == cluster.control.cluster().epoch
        assert agent.metric("berth_agent_tasks", state="running") == 1
        assert agent.metric("berth_agent_engine_call_seconds_count", outcome="ok") > 0
        assert agent.metric("berth_agent_pulls_total", outcome="pulled") >= 1
        assert agent.metric("berth_agent_journal_write_seconds_count") >= 1


def test_every_program_is_healthy_and_ready(cluster: TestCluster) -> None:
    for program in [*cluster.schedulers, *cluster.agents]:
        health = requests.get(f"http://{program.http_address}/healthz", timeout=30)
        assert (health.status_code, health.json()["status"]) == (200, "ok")
        ready, words = program.readiness()
        assert ready, words
