"""The cluster as Docker's /info, /version and /swarm tell it. Pure."""

import platform
from collections.abc import Iterable, Sequence
from typing import Any, Final

from berth.model.node import NodeState
from berth.views import ClusterView, NodeView
from gateway.translate.nodes import machine_architecture
from gateway.translate.writing import ZERO_TIME, nanoseconds, time_text
from gateway.versioning import VERSION_MAX, VERSION_MIN

SCHEDULER_PREFIX: Final = "scheduler:"
"""Begins what /info gives as the ID of "this node": a scheduler, which is none."""
_SNAPSHOT_INTERVAL: Final = 10_000
_CERT_EXPIRY_NS: Final = 90 * 24 * 3600 * 10**9


def write_version(software_version: str, system: str, architecture: str) -> dict[str, Any]:
    """Return /version.

    Args:
        software_version: Berth's.
        system: as Go names it, such as linux.
        architecture: as Go names it, such as amd64.
    """
    details = {
        "ApiVersion": str(VERSION_MAX),
        "Arch": architecture,
        "MinAPIVersion": str(VERSION_MIN),
        "Os": system,
    }
    python = f"python{platform.python_version()}"
    return {
        "Platform": {"Name": f"Berth {software_version}"},
        "Components": [
            {
                # The docker CLI shows the component of this name first.
                "Name": "Engine",
                "Version": software_version,
                "Details": {**details, "Experimental": "false", "GoVersion": python},
            }
        ],
        "Version": software_version,
        "ApiVersion": str(VERSION_MAX),
        "MinAPIVersion": str(VERSION_MIN),
        "GitCommit": "",
        "GoVersion": python,
        "Os": system,
        "Arch": architecture,
        "BuildTime": "",
    }


def write_swarm(cluster: ClusterView) -> dict[str, Any]:
    """Return /swarm. There are no join tokens: agents join by certificate."""
    return {
        **write_cluster(cluster),
        "JoinTokens": {"Worker": "", "Manager": ""},
    }


def write_cluster(cluster: ClusterView) -> dict[str, Any]:
    """Return the cluster's ID and settings in Swarm's words."""
    settings = cluster.settings
    # 0 lets the leader choose by the size of the cluster; never slower than this.
    period_s = settings.heartbeat_period_s or settings.lost_after_s / 3
    return {
        "ID": cluster.id,
        "Version": {"Index": cluster.version},
        "CreatedAt": time_text(cluster.created_at),
        "UpdatedAt": time_text(cluster.created_at),
        "Spec": {
            "Name": "default",
            "Labels": {},
            "Orchestration": {"TaskHistoryRetentionLimit": settings.task_history_limit},
            "Raft": {
                "SnapshotInterval": _SNAPSHOT_INTERVAL,
                "KeepOldSnapshots": 0,
                "LogEntriesForSlowFollowers": 500,
                "ElectionTick": 10,
                "HeartbeatTick": 1,
            },
            "Dispatcher": {"HeartbeatPeriod": nanoseconds(period_s)},
            "CAConfig": {"NodeCertExpiry": _CERT_EXPIRY_NS},
            "TaskDefaults": {},
            "EncryptionConfig": {"AutoLockManagers": False},
        },
        "TLSInfo": {},
        "RootRotationInProgress": False,
        "DefaultAddrPool": [],
        "SubnetSize": 0,
        "DataPathPort": 0,
    }


def write_info(
    cluster: ClusterView,
    nodes: Sequence[NodeView],
    *,
    scheduler: str,
    software_version: str,
    now_text: str = ZERO_TIME,
) -> dict[str, Any]:
    """Return /info: the cluster as if it were one Engine, with its Swarm part.

    Args:
        cluster: settings and schedulers.
        nodes: all of them; what they offer is summed up.
        scheduler: name of the one that answers.
        software_version: Berth's.
        now_text: the time, in RFC 3339.
    """
    ready = [view for view in nodes if view.node.state is NodeState.READY]
    offered = [view.node.description for view in ready]
    first = offered[0] if offered else None
    warnings = []
    if cluster.store_state not in ("", "ok"):
        warnings.append(f"WARNING: the store is {cluster.store_state}: {cluster.store_message}")
    return {
        "ID": cluster.id,
        "Name": scheduler,
        "ServerVersion": software_version,
        "OperatingSystem": "Berth",
        "OSType": (first.platform.os if first else "") or "linux",
        "Architecture": machine_architecture(first.platform.architecture if first else "")
        or platform.machine(),
        "KernelVersion": "",
        "NCPU": sum(each.resources.nano_cpus for each in offered) // 10**9,
        "MemTotal": sum(each.resources.memory_bytes for each in offered),
        "Containers": sum(view.tasks_running for view in nodes),
        "ContainersRunning": sum(view.tasks_running for view in nodes),
        "ContainersPaused": 0,
        "ContainersStopped": 0,
        "Images": 0,
        "Driver": "",
        "DriverStatus": [],
        "Plugins": {
            "Volume": _each_once(node.volume_plugins for node in offered),
            "Network": _each_once(node.network_plugins for node in offered),
            "Authorization": [],
            "Log": _each_once(node.log_plugins for node in offered),
        },
        "SystemTime": now_text,
        "Labels": [],
        "ExperimentalBuild": False,
        "SecurityOptions": [],
        "Warnings": warnings,
        "Swarm": _swarm_info(cluster, nodes, scheduler),
    }


def _each_once(plugins: Iterable[Sequence[str]]) -> list[str]:
    """Return what any node has; Portainer lets its users choose among these."""
    return sorted({name for names in plugins for name in names})


def _swarm_info(cluster: ClusterView, nodes: Sequence[NodeView], scheduler: str) -> dict[str, Any]:
    own = next((each for each in cluster.schedulers if each.name == scheduler), None)
    address = own.address if own is not None else cluster.leader_address
    return {
        "NodeID": f"{SCHEDULER_PREFIX}{scheduler}",
        "NodeAddr": address.rpartition(":")[0],
        "LocalNodeState": "active",
        "ControlAvailable": True,
        "Error": "",
        "RemoteManagers": [
            {"NodeID": f"{SCHEDULER_PREFIX}{each.name}", "Addr": each.address}
            for each in cluster.schedulers
        ],
        "Nodes": len(nodes),
        "Managers": len(cluster.schedulers),
        "Cluster": write_cluster(cluster),
        "Warnings": [],
    }
