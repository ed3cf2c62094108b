"""A machine that was cloned, the agent's state directory and certificate included."""

import shutil
import time
from collections.abc import Iterator

import pytest

from tests.cluster import AgentProgram, TestCluster, running_cluster
from tests.e2e.asking import create
from tests.e2e.engines import running_processes
from tests.hosts import lab

pytestmark = pytest.mark.e2e


@pytest.fixture
def cluster() -> Iterator[TestCluster]:
    """An agent on one of two hosts, on which no other cluster is; the other is to be its clone."""
    with lab(hosts=2) as it, running_cluster(it, schedulers=2, agents=1) as found:
        yield found


def a_clone(cluster: TestCluster) -> AgentProgram:
    """Make the second host a clone of the first: one more agent with all that its disk holds."""
    original, host = cluster.agents[0], cluster.lab.hosts[1]
    state_dir = cluster.folder / "clone"
    shutil.copytree(original.state_dir, state_dir)
    return AgentProgram(
        host,
        schedulers=[scheduler.grpc_address for scheduler in cluster.schedulers],
        http_port=7703,
        state_dir=state_dir,
        files_dir=original.files_dir.with_name("clone"),
        tls=original.tls,
        flags=(),
        env={},
        log_path=cluster.folder / "clone.log",
    )


def test_a_clone_runs_nothing_says_so_and_disturbs_nobody(cluster: TestCluster) -> None:
    create(cluster, "web", cluster.lab.images.sleeper("1.0"), replicas=4)
    cluster.wait_running("web", 4)
    before = running_processes(cluster, "web")
    clone = a_clone(cluster)
    clone.start()
    try:
        cluster.wait_until(
            "the clone says what it is", lambda: "is a copy of it" in clone.readiness()[1]
        )
        ready, words = clone.readiness()
        print(words)
        assert not ready
        assert "delete its state directory" in words
        # Beyond the time after which an agent that is cut off acts alone.
        for _ in range(50):
            cluster.wait_nodes(1)
            assert running_processes(cluster, "web") == before
            time.sleep(0.2)
        assert clone.log().count("node_disowned") == 1
        (told,) = [line for line in cluster.leader().log().splitlines() if "twin" in line]
        assert "host-1" in told
    finally:
        clone.kill()
