"""Alerts fire by the real fault, on a live cluster, and lead to the runbook.

Each test hurts what the alert speaks of, from outside: programs are killed and frozen, a machine
loses its power, syncs to etcd's disk are held up, a container is replaced behind the agent's back.
"""

import contextlib
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth.certificates import issue, load_authority
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.model.instant import Timestamp
from berth.v1 import control_pb2 as pb
from berth.wire.tls import Role
from tests.cluster import NotYetError, TestCluster
from tests.e2e.asking import create, steadiest_node
from tests.e2e.watching import watched
from tests.hosts import ImageFactory, Lab, Prometheus

pytestmark = pytest.mark.e2e

RUNBOOK_URL = "https://docs.example.com/berth/runbook.md"  # As prometheus-docker.yml says.
RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text("utf-8")


@pytest.fixture
def prometheus(cluster: TestCluster, tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus that has scraped everything at least twice."""
    with watched(cluster, tmp_path / "prometheus") as it:
        cluster.wait_until(
            "all targets are scraped", lambda: len(it.query("up == 1")) == len(cluster.programs)
        )
        time.sleep(1.5)
        yield it


def expect(cluster: TestCluster, prometheus: Prometheus, *names: str, **labels: str) -> None:
    """Wait until all these alerts fire, one of each with these labels; check their texts."""

    def claim() -> bool:
        alerts = prometheus.alerts()
        firing = {
            each["labels"]["alertname"]: each
            for each in alerts
            if each["state"] == "firing" and labels.items() <= each["labels"].items()
        }
        missing = set(names) - firing.keys()
        if missing:
            told = [f"{a['labels']} {a['state']}" for a in alerts]
            raise NotYetError(f"{missing} do not fire; alerts are {told}")
        for name in names:
            texts = firing[name]["annotations"]
            assert texts["runbook_url"] == f"{RUNBOOK_URL}#{name.lower()}"
            assert f"\n## {name}\n" in RUNBOOK
            assert not re.search(r"\{\{|NaN|<no value>|error", texts["description"]), texts
        return True

    cluster.wait_until(f"{', '.join(names)} fire", claim, 45.0)


def firing(prometheus: Prometheus) -> set[str]:
    return {a["labels"]["alertname"] for a in prometheus.alerts() if a["state"] == "firing"}


def test_a_healthy_cluster_is_quiet(
    cluster: TestCluster, images: ImageFactory, prometheus: Prometheus
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("web", 3)
    # Commits and syncs to disk may be slow for real where tests share a machine.
    slow = {"BerthCommitSlow", "BerthEtcdFsyncSlow", "BerthEventLoopLag"}
    # Counts are up to ten seconds old, and the waits are shortened: the start itself may be told.
    cluster.wait_until(
        "all services are counted as converged",
        lambda: prometheus.query('sum(berth_services{convergence="converged"})')[0][1] >= 1,
    )
    cluster.wait_until("no alert fires", lambda: firing(prometheus) <= slow)
    time.sleep(4)
    assert firing(prometheus) <= slow


def test_services_that_cannot_run_are_told(
    cluster: TestCluster, images: ImageFactory, prometheus: Prometheus
) -> None:
    create(cluster, "stuck", images.sleeper("1.0"), "--update-delay=10m", replicas=2)
    cluster.wait_running("stuck", 2)
    cluster.berth("service", "update", "--detach", f"--image={images.sleeper('1.1')}", "stuck")
    expect(cluster, prometheus, "BerthRolloutStuck")
    create(cluster, "homeless", images.sleeper("1.0"), "--constraint=node.labels.zone==a")
    expect(cluster, prometheus, "BerthTasksPending", reason="constraint")
    expect(cluster, prometheus, "BerthServiceBelowReplicas")
    create(cluster, "broken", images.sleeper("1.0"), "--update-monitor=2s")
    cluster.wait_running("broken", 1)
    cluster.berth("service", "update", "--detach", "--update-failure-action=pause",
                  f"--image={images.crasher('1.0')}", "broken")  # fmt: skip
    expect(cluster, prometheus, "BerthRolloutPaused", state="paused")
    create(cluster, "loop", images.crasher("1.0"), "--restart-delay=100ms", replicas=3)
    expect(cluster, prometheus, "BerthCrashLoop")


def test_a_node_that_dies_with_the_leader_is_told_as_lost_and_late(
    cluster: TestCluster, prometheus: Prometheus
) -> None:
    leader = cluster.leader()
    victim = steadiest_node(cluster, [agent.name for agent in cluster.agents])
    leader.kill()
    cluster.power_off(victim)
    expect(cluster, prometheus, "BerthSchedulerDown", instance=leader.http_address)
    expect(cluster, prometheus, "BerthAgentDown", instance=cluster.agent(victim).http_address)
    expect(cluster, prometheus, "BerthNodeLost", "BerthDetectionLate")


def test_a_leader_that_changes_again_and_again_is_told(
    cluster: TestCluster, prometheus: Prometheus
) -> None:
    for _ in range(4):
        leader = cluster.wait_leader()
        time.sleep(2.5)  # Seen by a scrape and by a look at the rules.
        leader.stop()
        cluster.wait_leader(other_than=leader)
        leader.start()
    expect(cluster, prometheus, "BerthLeaderFlapping")


def test_etcd_without_quorum_leaves_no_leader_and_agents_alone(
    cluster: TestCluster, prometheus: Prometheus
) -> None:
    for member in cluster.etcds[:2]:
        member.kill()
    expect(cluster, prometheus, "BerthEtcdMemberDown", "BerthStoreNotOk", "BerthNoLeader",
           "BerthAgentCutOff")  # fmt: skip


def test_pauses_of_a_program_and_of_etcd_are_told(
    cluster: TestCluster, prometheus: Prometheus
) -> None:
    agent = cluster.agents[0]
    for number in range(6):
        agent.pause()
        time.sleep(0.6)
        agent.resume()
        for member in cluster.etcds:
            member.pause()
        waking = threading.Timer(0.7, lambda: [member.resume() for member in cluster.etcds])
        waking.start()
        request = pb.UpdateNodeRequest(name=agent.name, labels_add={f"n{number}": "1"})
        cluster.control.call("UpdateNode", request)  # Answered once it is durable.
        waking.join()
        time.sleep(0.7)
    expect(cluster, prometheus, "BerthEventLoopLag", instance=agent.http_address)
    expect(cluster, prometheus, "BerthCommitSlow")


def test_etcd_whose_quota_is_nearly_used_up_is_told(lab3: Lab, tmp_path: Path) -> None:
    # A new database has 20 KiB: 62 % of this quota.
    flags = ["--quota-backend-bytes=32768"]
    small = TestCluster(lab3, schedulers=1, etcds=1, agents=0, etcd_flags=flags)
    with contextlib.closing(small):
        for program in small.programs:
            program.start()
        small.wait_leader()
        with watched(small, tmp_path / "prometheus") as it:
            expect(small, it, "BerthEtcdSpaceLow")


def test_an_etcd_that_waits_for_its_disk_is_told(
    cluster: TestCluster, prometheus: Prometheus
) -> None:
    member, agent = cluster.etcds[0], cluster.agents[0]
    slow = ["strace", "--follow-forks", f"--attach={member.handle.pid}", "--quiet=all"]
    slow += ["--trace=fdatasync,fsync", "--inject=fdatasync,fsync:delay_enter=300ms"]
    disk = cluster.lab.processes.start(slow)
    try:
        for number in range(5):  # Each is a sync of every member.
            request = pb.UpdateNodeRequest(name=agent.name, labels_add={f"s{number}": "1"})
            cluster.control.call("UpdateNode", request)
        instance = member.url.removeprefix("http://")
        expect(cluster, prometheus, "BerthEtcdFsyncSlow", instance=instance)
    finally:
        disk.stop()  # It lets go of etcd, which runs on.
    assert "(DELAYED)" in disk.log()
    assert member.is_running


def test_a_container_that_was_replaced_behind_the_agents_back_is_told(
    cluster: TestCluster, images: ImageFactory, prometheus: Prometheus
) -> None:
    create(cluster, "web", images.sleeper("1.0"))
    (task,) = cluster.wait_running("web", 1)
    agent = cluster.agent(task.node_name)
    agent.stop()  # As during an upgrade; what updates images by itself now does its work.
    swap_image(cluster, "web", images.sleeper("1.1").pinned)
    agent.start()
    expect(cluster, prometheus, "BerthImageDrift")
    assert cluster.running_tasks("web")[0].id == task.id, "it is still the same task"


def swap_image(cluster: TestCluster, service: str, image: str) -> None:
    """Replace a service's only container by one of another image: same name, labels, network."""
    ((host, old),) = cluster.containers(service)
    with contextlib.closing(host.engine.client()) as client:
        client.images.pull(image)
        client.api.remove_container(old["Id"], force=True)
        config = {**old["Config"], "Image": image, "HostConfig": old["HostConfig"]}
        made = client.api.create_container_from_config(config, name=old["Name"].lstrip("/"))
        client.api.start(made["Id"])


def test_an_engine_that_stays_away_is_told(
    cluster: TestCluster, images: ImageFactory, prometheus: Prometheus
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("web", 3)
    agent = cluster.agents[1]
    agent.host.stop_engine()
    expect(cluster, prometheus, "BerthEngineDown", instance=agent.http_address)
    assert "the Docker Engine does not answer" in agent.readiness()[1]
    gone = cluster.wait_node(agent.name, "disconnected", 20.0)
    assert gone.node.message == "its Docker Engine does not answer"
    gone = cluster.wait_node(agent.name, "down", 45.0)
    assert gone.node.message.startswith("its Docker Engine does not answer; not heard for")
    running = cluster.wait_running("web", 3)
    assert agent.name not in {task.node_name for task in running}
    cut_off = {a["labels"].get("instance") for a in prometheus.alerts()
               if a["labels"]["alertname"] == "BerthAgentCutOff"}  # fmt: skip
    assert agent.http_address not in cut_off
    agent.host.start_engine(live_restore=False)
    cluster.wait_node(agent.name, "ready")
    cluster.wait_until("it is well", lambda: "BerthEngineDown" not in firing(prometheus))


def test_a_journal_that_cannot_be_written_is_told(
    cluster: TestCluster, images: ImageFactory, prometheus: Prometheus
) -> None:
    agent = cluster.agents[0]
    in_the_way = agent.state_dir / "journal.json.new"  # A write begins with a file of this name.
    in_the_way.mkdir()
    try:
        create(cluster, "web", images.sleeper("1.0"), replicas=3)
        cluster.wait_running("web", 3)
        expect(cluster, prometheus, "BerthJournalNotWritten", instance=agent.http_address)
        assert "the journal cannot be written" in agent.readiness()[1]
    finally:
        in_the_way.rmdir()
    cluster.wait_until("it is written again", lambda: agent.readiness()[0])
    told = [line for line in agent.log().splitlines() if "journal_not_written" in line]
    assert len(told) == 1, "once for each reason"


def test_settings_that_a_reload_refused_are_told(
    cluster: TestCluster, prometheus: Prometheus
) -> None:
    agent, folder = cluster.agents[0], cluster.folder / "tls"
    key = folder / f"{agent.name}.key"
    good = key.read_bytes()
    key.write_text("broken")
    try:
        agent.handle.signal(signal.SIGHUP)
        expect(cluster, prometheus, "BerthReloadRefused", instance=agent.http_address)
        assert agent.metric("berth_agent_connected") == 1, "it runs on with what it had"
    finally:
        key.write_bytes(good)
    agent.handle.signal(signal.SIGHUP)
    cluster.wait_until("it is well again", lambda: "BerthReloadRefused" not in firing(prometheus))


class _MonthsAgo(SystemClock):
    """A clock by which a certificate that is issued now ends within days."""

    def timestamp(self) -> Timestamp:
        return Timestamp(super().timestamp() - 360 * 86400)


def test_a_certificate_that_ends_soon_is_told(cluster: TestCluster, prometheus: Prometheus) -> None:
    agent, folder = cluster.agents[0], cluster.folder / "tls"
    agent.stop()
    issue(load_authority(folder), Role.AGENT, agent.name, [agent.host.address], folder,
          clock=_MonthsAgo(), entropy=SystemEntropy())  # fmt: skip
    agent.start()
    try:
        expect(cluster, prometheus, "BerthCertificateExpiring",
               instance=agent.http_address, certificate="own")  # fmt: skip
        assert agent.metric("berth_agent_connected") == 1, "it is good until it ends"
    finally:
        agent.stop()
        cluster.certificate(Role.AGENT, agent.name, agent.host.address)
        agent.start()
