"""One cluster for all end-to-end tests, brought back to new after each of them.

Duty: the fixtures `cluster` (shared: three etcd members, three schedulers, three agents on three
Engines), `images` and `cli`; the state of the cluster in the report of a test that failed.
Not here: programs and hosts (tests.cluster, tests.hosts), what Engines tell (tests.e2e.engines).
Invariant: a test gets a cluster without services, all of whose programs run and whose nodes are
ready, active and without labels, whatever the test before did to it.
"""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from berth.model.cluster import ClusterSettings
from berth.v1 import control_pb2 as pb
from berth.wire.convert import to_proto
from tests.cluster import DOCKER_CLIS, DockerCli, TestCluster, running_cluster
from tests.hosts import ImageFactory, Lab

_LEASE_TTL_S = 5  # The default; the promises of the failure model are made for it.
_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let `cluster` know that its test failed, while everything still is as it was."""
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def shared_cluster(lab3: Lab) -> Iterator[TestCluster]:
    """The cluster; ask for `cluster` instead, which heals."""
    with running_cluster(lab3, schedulers=3, etcds=3, lease_ttl_s=_LEASE_TTL_S) as it:
        yield it


@pytest.fixture
def cluster(shared_cluster: TestCluster, request: pytest.FixtureRequest) -> Iterator[TestCluster]:
    """Three of everything, healed after the test."""
    yield shared_cluster
    if request.node.stash.get(_FAILED, False):
        print(shared_cluster.describe())
    heal(shared_cluster)


@pytest.fixture
def images(lab3: Lab) -> ImageFactory:
    """The factory that fills the registry of the shared cluster."""
    return lab3.images


def heal(cluster: TestCluster) -> None:
    """Bring hosts, programs, nodes and settings back to new, and remove all services."""
    for agent in cluster.agents:
        host = agent.host
        host.restore_link()
        if not host.is_on:
            host.power_on(start_engine=False)
        if not host.engine.is_running:
            host.start_engine(live_restore=False)
        elif host.engine.live_restore:
            host.stop_engine()
            host.start_engine(live_restore=False)
        else:
            host.engine.daemon.resume()
    cluster.heal()
    for view in cluster.control.nodes():
        spec = view.node.spec
        if spec.labels or spec.availability != "active":
            request = pb.UpdateNodeRequest(
                name=view.node.id, availability="active", labels_remove=list(spec.labels)
            )
            cluster.control.call("UpdateNode", request)
    for network in cluster.control.call("ListNetworks", pb.ListNetworksRequest()).networks:
        name = network.network.spec.name
        cluster.control.call("RemoveNetwork", pb.RemoveNetworkRequest(name=name))
    wanted = to_proto(ClusterSettings())
    if cluster.control.cluster().settings != wanted:
        cluster.control.call("UpdateCluster", pb.UpdateClusterRequest(settings=wanted))


@pytest.fixture(params=sorted(DOCKER_CLIS))
def cli(request: pytest.FixtureRequest, cluster: TestCluster, tmp_path: Path) -> DockerCli:
    """A docker CLI, connected to a scheduler that does not lead."""
    host = cluster.standbys()[0].docker_host
    return DockerCli(DOCKER_CLIS[request.param], lambda: host, tmp_path)
