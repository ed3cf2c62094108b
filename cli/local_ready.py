"""Find out how far a starting cluster has come.

Duty: ask etcd and the schedulers; one look each, no waiting.
Not here: the waiting and what is shown of it (cli.local_cluster).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
import requests

from berth.v1 import control_pb2 as pb
from berth.v1.control_pb2_grpc import ControlStub
from berth.wire.channel import open_channel
from berth.wire.tls import TlsSettings
from cli.local_processes import uninterrupted

_ASK_TIMEOUT_S = 3.0
_READY = "ready"


@dataclass(frozen=True, slots=True)
class Progress:
    """What the cluster says of itself."""

    cluster_id: str = ""
    leader: str = ""
    leader_address: str = ""
    schedulers: frozenset[str] = frozenset()
    ready_nodes: tuple[str, ...] = ()
    problem: str = ""


def etcd_is_healthy(url: str) -> bool:
    """Tell whether the etcd at `url` has a leader and takes writes."""
    try:
        answer = requests.get(f"{url}/health", timeout=_ASK_TIMEOUT_S)
        said: object = answer.json().get("health")
    except (requests.RequestException, ValueError):
        return False
    return answer.status_code == requests.codes.ok and said == "true"


def look(addresses: Sequence[str], tls: TlsSettings) -> Progress:
    """Ask the schedulers, the first that answers, who leads and which nodes are ready.

    Signals wait for the look's end, a few seconds at most: an exception that a handler raises while
    grpcio makes a channel ends the process with SIGSEGV (tests/e2e/test_local_cluster.py).
    """
    with uninterrupted():
        return asyncio.run(_look(addresses, tls))


async def _look(addresses: Sequence[str], tls: TlsSettings) -> Progress:
    problem = "no scheduler was asked"
    for address in addresses:
        async with open_channel(address, tls) as channel:
            stub = ControlStub(channel)
            try:
                return await _ask(stub)
            except grpc.aio.AioRpcError as error:
                problem = f"{address}: {error.details() or error.code().name}"
    return Progress(problem=problem)


async def _ask(stub: ControlStub) -> Progress:
    cluster = await stub.GetCluster(pb.GetClusterRequest(), timeout=_ASK_TIMEOUT_S)
    if not cluster.leader_name:
        return Progress(cluster.id, problem="no scheduler leads yet")
    nodes = await stub.ListNodes(pb.ListNodesRequest(), timeout=_ASK_TIMEOUT_S)
    ready = sorted(
        view.node.spec.name or view.node.description.hostname
        for view in nodes.nodes
        if view.node.state == _READY
    )
    schedulers = frozenset(scheduler.name for scheduler in cluster.schedulers)
    return Progress(
        cluster.id, cluster.leader_name, cluster.leader_address, schedulers, tuple(ready)
    )
