"""etcd that is lost as a whole comes back from a snapshot, under agents that run on.

With Debian 12's etcd 3.4; with 3.5, tests/systemd/test_guide.py does it.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster import ETCDCTL_ENV, EtcdMember, TestCluster
from tests.e2e.asking import create, rows
from tests.e2e.engines import running_processes
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e


def etcdctl(*argv: str) -> str:
    done = subprocess.run(
        ["etcdctl", *argv], capture_output=True, text=True,
        env=ETCDCTL_ENV,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def revision(member: EtcdMember) -> int:
    (status,) = json.loads(
        etcdctl(f"--endpoints={member.url}", "endpoint", "status", "--write-out=json")
    )
    return int(status["Status"]["header"]["revision"])


def restore(cluster: TestCluster, snapshot: Path) -> None:
    """Give each member an empty folder and the snapshot."""
    members = ",".join(f"{each.name}={each.place.peer_url}" for each in cluster.etcds)
    for member in cluster.etcds:
        lost = member.place.data_dir
        shutil.move(lost, lost.with_suffix(".lost"))
        etcdctl(
            "snapshot", "restore", str(snapshot), f"--data-dir={lost}", f"--name={member.name}",
            f"--initial-advertise-peer-urls={member.place.peer_url}",
            f"--initial-cluster={members}",
        )  # fmt: skip
        member.start()
    for member in cluster.etcds:
        cluster.wait_until(f"{member.name} is healthy", member.is_healthy)


def raise_revision(member: EtcdMember, beyond: int) -> None:
    """Write until etcd's revision is beyond `beyond`: what --bump-revision does from 3.5.10 on."""
    while (present := revision(member)) <= beyond:
        for _ in range(beyond + 1 - present):
            etcdctl(f"--endpoints={member.url}", "put", "/bump", "")


def test_a_restored_etcd_finds_its_containers_running(
    cluster: TestCluster, images: ImageFactory, tmp_path: Path
) -> None:
    image = images.sleeper("1.0")
    create(cluster, "web", image, replicas=3)
    cluster.wait_running("web", 3)
    snapshot = tmp_path / "berth.db"
    etcdctl(f"--endpoints={cluster.etcds[0].url}", "snapshot", "save", str(snapshot))
    create(cluster, "late", image)
    cluster.wait_running("late", 1)
    for scheduler in cluster.schedulers:  # Agents then obey an epoch that the snapshot lacks.
        scheduler.restart()
    cluster.wait_leader()
    cluster.wait_nodes(3)
    before = running_processes(cluster, "web")

    epoch, last = cluster.control.cluster().epoch, revision(cluster.etcds[0])
    for scheduler in cluster.schedulers:
        scheduler.stop()
    for member in cluster.etcds:
        member.kill()
    restore(cluster, snapshot)
    assert revision(cluster.etcds[0]) < epoch, "without a bump agents would refuse every leader"
    raise_revision(cluster.etcds[0], last)
    for scheduler in cluster.schedulers:
        scheduler.start()
    cluster.wait_leader()
    cluster.wait_nodes(3)

    cluster.wait_running("web", 3)
    assert [row["Name"] for row in rows(cluster, "service", "ls")] == ["web"]
    cluster.wait_until(
        "what began after the snapshot is stopped", lambda: not cluster.containers("late")
    )
    assert running_processes(cluster, "web") == before, "they ran on and were adopted"
    cluster.berth("service", "scale", "-d", "web=4")
    cluster.wait_running("web", 4)
    assert before.items() <= running_processes(cluster, "web").items()
