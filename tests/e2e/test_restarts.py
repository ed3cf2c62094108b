"""Agents, Engines and schedulers that come back: containers stayed, or follow their policy."""

import contextlib

import pytest

from tests.cluster import AgentProgram, TestCluster
from tests.e2e.asking import create, nodes_of, steadiest_node
from tests.e2e.engines import running_processes, watch_containers
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def patience(cluster: TestCluster) -> None:
    """A node is not lost while its agent or its Engine starts, which takes long on a busy machine.

    Who is lost has its tasks started elsewhere, which is another case than these.
    """
    cluster.control.change_settings(lost_after_s=60.0)


def victim_of(cluster: TestCluster, service: str) -> AgentProgram:
    """Choose a node that runs tasks of the service."""
    return cluster.agent(steadiest_node(cluster, nodes_of(cluster, service)))


def wait_connected(cluster: TestCluster, name: str) -> None:
    """Wait until the node is ready and has a session."""
    cluster.wait_until(
        f"{name} is ready and connected",
        lambda: (
            cluster.control.node(name).connected
            and cluster.control.node(name).node.state == "ready"
        ),
    )


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_an_agent_that_restarts_adopts_its_containers(
    cluster: TestCluster, images: ImageFactory, how: str
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=6)
    cluster.wait_running("web", 6)
    before = running_processes(cluster, "web")
    tasks = {task.id for task in cluster.running_tasks("web")}
    victim = victim_of(cluster, "web")
    if how == "SIGKILL":
        victim.kill()
    else:
        assert victim.stop() == 0, "it ends in good order"
    assert running_processes(cluster, "web") == before, "containers do not end with their agent"
    cluster.wait_until(
        "the leader has noticed", lambda: not cluster.control.node(victim.name).connected
    )
    victim.start()
    wait_connected(cluster, victim.name)
    cluster.wait_running("web", 6)
    assert running_processes(cluster, "web") == before
    assert {task.id for task in cluster.running_tasks("web")} == tasks, "no task was replaced"
    cluster.berth("service", "scale", "-d", "web=9")
    cluster.wait_running("web", 9)
    cluster.berth("service", "rm", "web")
    cluster.wait_until("it stops them, too", lambda: not cluster.containers("web"))


def test_a_container_that_died_while_its_agent_was_away_is_replaced(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), "--restart-delay=300ms", replicas=3)
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    victim = victim_of(cluster, "web")
    victim.kill()
    gone = next(key for key, one in before.items() if one.host == victim.name)
    with contextlib.closing(victim.host.engine.client()) as client:
        client.api.kill(gone)
    victim.start()
    wait_connected(cluster, victim.name)
    cluster.wait_until("the dead one is replaced", lambda: len(cluster.containers("web")) == 3)
    cluster.wait_running("web", 3)
    after = running_processes(cluster, "web")
    assert gone not in after
    assert len(before.items() & after.items()) == 2


def test_with_live_restore_an_engine_restarts_without_its_containers_noticing(
    cluster: TestCluster, images: ImageFactory
) -> None:
    host = cluster.agent(steadiest_node(cluster, ["host-1", "host-2", "host-3"])).host
    host.stop_engine()
    host.start_engine(live_restore=True)
    create(cluster, "web", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    assert host.name in nodes_of(cluster, "web")
    host.restart_engine()
    cluster.wait_until(
        "the agent is ready again",
        lambda: (
            cluster.agent(host.name).readiness()[0]
            and cluster.control.node(host.name).node.state == "ready"
        ),
    )
    cluster.wait_running("web", 3)
    assert running_processes(cluster, "web") == before
    cluster.berth("service", "rm", "web")
    cluster.wait_until("its containers still obey", lambda: not cluster.containers("web"))


def test_without_live_restore_containers_of_a_restarted_engine_follow_their_policy(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), "--restart-delay=500ms", replicas=3)
    create(cluster, "once", images.sleeper("1.0"), "--restart-condition=none", replicas=3)
    cluster.wait_running("web", 3)
    cluster.wait_running("once", 3)
    before = running_processes(cluster, "web")
    host = victim_of(cluster, "web").host
    host.restart_engine()
    cluster.wait_until(
        "three containers run again",
        lambda: (
            len(cluster.containers("web")) == 3
            and len(before.items() & running_processes(cluster, "web").items()) == 2
        ),
    )
    cluster.wait_running("web", 3)
    kept = before.items() & running_processes(cluster, "web").items()
    assert len(kept) == 2, "those on other nodes did not move"
    assert len(running_processes(cluster, "once")) == 2, "its policy forbids another attempt"


def test_while_no_scheduler_runs_agents_restart_what_crashes_and_all_is_told_later(
    cluster: TestCluster, images: ImageFactory
) -> None:
    cluster.control.change_settings(lost_after_s=15.0)  # Then an agent begins to act alone.
    with watch_containers(cluster, "web") as story:
        create(cluster, "web", images.sleeper("1.0"), "--restart-delay=500ms", replicas=3)
        cluster.wait_running("web", 3)
        before = running_processes(cluster, "web")
        for scheduler in cluster.schedulers:
            scheduler.kill()
        cluster.wait_until(
            "the agents notice that they are alone",
            lambda: all(agent.metric("berth_agent_connected") == 0 for agent in cluster.agents),
        )
        assert running_processes(cluster, "web") == before, "containers run on"
        victim, process = next(iter(before.items()))
        agent = cluster.agent(process.host)
        with contextlib.closing(agent.host.engine.client()) as client:
            client.api.kill(victim)
        cluster.wait_until(
            "the agent has restarted it by itself",
            lambda: (
                len(running_processes(cluster, "web")) == 3
                and agent.metric("berth_agent_restarts_total") >= 1
            ),
        )
        alone = running_processes(cluster, "web")
        for scheduler in cluster.schedulers:
            scheduler.start()
        cluster.wait_leader()
        cluster.wait_nodes(3)
        cluster.wait_running("web", 3)
        assert running_processes(cluster, "web") == alone, "the next leader takes it as it is"
        assert story.most() == 3, f"never one too many\n{story}"
        restarts = [t.status.local_restarts for t in cluster.running_tasks("web")]
        assert sorted(restarts) == [0, 0, 1], "what the agent did is told"
    create(cluster, "next", images.sleeper("1.0"))
    cluster.wait_running("next", 1)


def test_the_whole_cluster_may_be_switched_off_and_on(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    programs = [*cluster.agents, *cluster.schedulers, *cluster.etcds]
    for program in programs:
        program.kill()
    assert running_processes(cluster, "web") == before
    for program in reversed(programs):
        program.start()
    cluster.wait_leader()
    cluster.wait_nodes(3)
    cluster.wait_running("web", 3)
    assert running_processes(cluster, "web") == before
