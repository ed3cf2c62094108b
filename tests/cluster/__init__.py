"""Whole clusters on the hosts of a lab: real etcd, schedulers, agents and the real `berth` CLI.

with lab(hosts=3) as it, running_cluster(it, schedulers=3) as cluster:
    image = it.images.sleeper("1.0")
    cluster.berth("service", "create", "--name", "web", "--replicas", "5", image)
    cluster.wait_running("web", 5)
    cluster.leader().kill()
    cluster.wait_leader()
"""

from tests.cluster.berth_cli import BerthCli, CliError, CliResult
from tests.cluster.cluster import TestCluster, running_cluster
from tests.cluster.control import ControlClient
from tests.cluster.docker_cli import DOCKER_CLIS, DockerCli
from tests.cluster.programs import (
    ETCDCTL_ENV,
    AgentProgram,
    EtcdMember,
    Program,
    SchedulerProgram,
)
from tests.cluster.waiting import NotYetError, WaitTimeoutError, wait_until

__all__ = [
    "DOCKER_CLIS",
    "ETCDCTL_ENV",
    "AgentProgram",
    "BerthCli",
    "CliError",
    "CliResult",
    "ControlClient",
    "DockerCli",
    "EtcdMember",
    "NotYetError",
    "Program",
    "SchedulerProgram",
    "TestCluster",
    "WaitTimeoutError",
    "running_cluster",
    "wait_until",
]
