"""etcd that loses a member, its leader, its quorum, or its disk space."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.cluster import ETCDCTL_ENV, EtcdMember, NotYetError, TestCluster, running_cluster
from tests.e2e.asking import create, inspect_service, rows
from tests.e2e.engines import running_processes
from tests.hosts import ImageFactory, Lab

pytestmark = pytest.mark.e2e

_QUOTA_BYTES = 16 * 1024**2


def etcdctl(member: EtcdMember, *argv: str, stdin: bytes = b"") -> str:
    """Run etcdctl against one member."""
    done = subprocess.run(
        ["etcdctl", f"--endpoints={member.url}", *argv],
        input=stdin, capture_output=True, env=ETCDCTL_ENV,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def leading_member(cluster: TestCluster) -> EtcdMember:
    """Return the member that leads etcd."""
    for member in cluster.etcds:
        (status,) = json.loads(etcdctl(member, "endpoint", "status", "--write-out=json"))
        if status["Status"]["leader"] == status["Status"]["header"]["member_id"]:
            return member
    raise NotYetError("no member leads etcd")


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_the_loss_of_a_member_has_no_visible_effect(
    cluster: TestCluster, images: ImageFactory, role: str
) -> None:
    image = images.sleeper("1.0")
    create(cluster, "web", image, replicas=3)
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    leader, epoch = cluster.leader(), cluster.control.cluster().epoch
    head = leading_member(cluster)
    victim = head if role == "leader" else next(m for m in cluster.etcds if m is not head)
    victim.kill()
    slowest_s = 0.0
    for number in range(3):
        began_s = time.monotonic()
        create(cluster, f"n{number}", image)
        slowest_s = max(slowest_s, time.monotonic() - began_s)
    print(f"slowest of 3 creates after the {role} of etcd was killed: {slowest_s:.1f} s")
    for number in range(3):
        cluster.wait_running(f"n{number}", 1)
    assert running_processes(cluster, "web") == before
    cluster.wait_nodes(3)
    assert (cluster.leader(), cluster.control.cluster().epoch) == (leader, epoch)
    victim.start()
    cluster.wait_until("the member is back", victim.is_healthy)


def test_without_quorum_containers_run_on_and_the_cluster_is_read_only_and_says_so(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    create(cluster, "web", image, replicas=3)
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    for member in cluster.etcds[:2]:
        member.kill()

    def all_say_so() -> list[str]:
        said = []
        for scheduler in cluster.schedulers:
            ready, words = scheduler.readiness()
            if ready:
                raise NotYetError(f"{scheduler.name} claims to be ready")
            said.append(json.loads(words)["reason"])
        return said

    reasons = cluster.wait_until("no scheduler is ready", all_say_so)
    assert any("read-only" in reason and "quorum" in reason for reason in reasons), reasons
    refused = cluster.berth(
        "--call-timeout=15s", "service", "create", "-d", "--name=no", image, check=False
    )
    print(f"refused: {refused.stderr.strip()}")
    assert refused.exit_code == 1
    assert "read-only" in refused.stderr
    assert "no quorum" in refused.stderr
    # By now every lease has run out, and nobody leads: what was known last can still be read.
    assert [row["Name"] for row in rows(cluster, "service", "ls")] == ["web"]
    assert len(rows(cluster, "service", "ps", "web")) == 3
    status = cluster.berth("status")
    assert "quorum" in status.stdout, status.stdout
    assert "Leader:     none; shown is what the last one knew" in status.stdout, status.stdout
    for scheduler in cluster.schedulers:
        assert status.stdout.count(f"\n{scheduler.name} ") == 1
    # And nobody may stop a thing.
    assert running_processes(cluster, "web") == before, "containers run on"

    for member in cluster.etcds[:2]:
        member.start()
    cluster.wait_until(
        "all schedulers are ready",
        lambda: all(scheduler.readiness()[0] for scheduler in cluster.schedulers),
        timeout_s=60,
    )
    cluster.wait_leader()
    cluster.wait_nodes(3)
    create(cluster, "yes", image)
    cluster.wait_running("yes", 1)
    assert [row["Name"] for row in rows(cluster, "service", "ls")] == ["web", "yes"]
    assert running_processes(cluster, "web") == before


@pytest.fixture
def small(one_host: Lab) -> Iterator[TestCluster]:
    """One scheduler, one agent, and one etcd that may hold but little."""
    flags = [f"--quota-backend-bytes={_QUOTA_BYTES}"]
    with running_cluster(one_host, schedulers=1, etcds=1, etcd_flags=flags) as it:
        yield it
    one_host.heal()


def store_state(cluster: TestCluster) -> str:
    """Return the state of the store as the metrics tell it."""
    states = cluster.schedulers[0].metrics()["berth_store_state"]
    return next(labels["state"] for labels, value in states if value == 1)


def test_a_full_etcd_is_said_and_recovers_once_there_is_room(
    small: TestCluster, one_host: Lab
) -> None:
    cluster, member = small, small.etcds[0]
    image = one_host.images.sleeper("1.0")
    create(cluster, "web", image, replicas=2)
    cluster.wait_running("web", 2)
    before = running_processes(cluster, "web")
    filling = b"x" * (1024**2)
    for number in range(20):
        done = subprocess.run(
            ["etcdctl", f"--endpoints={member.url}", "put", f"/other/{number}"],
            input=filling, capture_output=True, env=ETCDCTL_ENV,
        )  # fmt: skip
        if done.returncode != 0:
            break
    assert b"space exceeded" in done.stderr, "etcd is full now"

    # One that was asked for before anybody knew; it waits for the store, which may yet take it.
    caught = cluster.berth.popen("service", "create", "-d", "--name=caught", image)
    try:
        read_only_until_mended(cluster, member)
        said, _ = caught.communicate(timeout=60)
    finally:
        caught.kill()
        caught.wait()
    print(f"the one that was caught: exit code {caught.returncode}, {said.strip()}")
    if caught.returncode != 0 and "may still take effect" not in said:
        assert "the cluster is read-only" in said, "it came after somebody knew"
        assert [row["Name"] for row in rows(cluster, "service", "ls")] == ["web"]
    cluster.wait_until("the metric says so", lambda: store_state(cluster) == "ok")
    cluster.berth("service", "scale", "-d", "web=3")
    cluster.wait_running("web", 3)
    assert before.items() <= running_processes(cluster, "web").items()
    assert inspect_service(cluster, "web")["spec"]["mode"]["replicas"] == 3


def read_only_until_mended(cluster: TestCluster, member: EtcdMember) -> None:
    """Check that a full etcd is told everywhere; then do what its operator is told to do."""
    before = running_processes(cluster, "web")
    cluster.wait_until("metrics say so", lambda: store_state(cluster) != "ok")
    ready, words = cluster.schedulers[0].readiness()
    assert not ready
    assert "space" in words
    refused = cluster.berth("service", "scale", "-d", "web=5", check=False)
    print(f"refused: {refused.stderr.strip()}")
    assert refused.exit_code == 1
    assert "read-only" in refused.stderr
    assert "space" in refused.stderr
    assert rows(cluster, "service", "ls"), "it can be read meanwhile"
    assert running_processes(cluster, "web") == before

    etcdctl(member, "del", "--prefix", "/other/")
    (status,) = json.loads(etcdctl(member, "endpoint", "status", "--write-out=json"))
    etcdctl(member, "compact", str(status["Status"]["header"]["revision"]), "--physical")
    etcdctl(member, "defrag")
    etcdctl(member, "alarm", "disarm")
    cluster.wait_until("the scheduler is ready", lambda: cluster.schedulers[0].readiness()[0], 60)
