"""Short words for what nearly every end-to-end test asks of the `berth` command.

Duty: create a service without waiting, read listings as data.
Not here: waiting and what Engines say (tests.cluster, tests.e2e.engines).
"""

import json
from typing import Any

from berth.model.task import TaskState
from tests.cluster import NotYetError, TestCluster

QUICK_UPDATE = ("--update-delay=0s", "--update-monitor=1s")
"""Flags of a service whose updates a test does not want to wait for."""

QUICK_RESTART = ("--restart-delay=200ms",)


def create(
    cluster: TestCluster, name: str, image: str, *flags: str, replicas: int = 1, args: Any = ()
) -> None:
    """Create a replicated service and return at once."""
    cluster.berth(
        "service", "create", "--detach", f"--name={name}", f"--replicas={replicas}",
        *flags, image, *args,
    )  # fmt: skip


def rows(cluster: TestCluster, *argv: str) -> list[dict[str, str]]:
    """Return the rows of a listing command."""
    answer = cluster.berth(*argv, "--format=json")
    return [json.loads(line) for line in answer.stdout.splitlines()]


def task_rows(cluster: TestCluster, service: str, *flags: str) -> list[dict[str, str]]:
    """Return what `berth service ps` tells of a service, history included."""
    return rows(cluster, "service", "ps", *flags, service)


def wait_ends(
    cluster: TestCluster, service: str, count: int, *states: TaskState, timeout_s: float = 120.0
) -> list[dict[str, str]]:
    """Wait until `count` tasks of `service` have ended in one of `states`; return all its rows."""

    def claim() -> bool:
        found = [task.status.state for task in cluster.control.tasks(service, only_wanted=False)]
        if sum(state in states for state in found) < count:
            raise NotYetError(f"tasks are {[TaskState(state).name for state in found]}")
        return True

    names = " or ".join(state.name for state in states)
    cluster.wait_until(f"{count} tasks of {service} are {names}", claim, timeout_s)
    return task_rows(cluster, service, "--no-trunc")


def wait_error(cluster: TestCluster, service: str, words: str) -> dict[str, str]:
    """Wait until a task of `service` tells an error with these words; return its row."""
    cluster.wait_until(
        f'a task of {service} says "{words}"',
        lambda: any(
            words in f"{task.status.error} {task.status.message}".lower()
            for task in cluster.control.tasks(service, only_wanted=False)
        ),
    )
    return next(row for row in task_rows(cluster, service, "--no-trunc") if row["Error"])


def inspect_service(cluster: TestCluster, service: str) -> dict[str, Any]:
    """Return what `berth service inspect` tells."""
    found: list[dict[str, Any]] = json.loads(cluster.berth("service", "inspect", service).stdout)
    return found[0]


def nodes_of(cluster: TestCluster, service: str) -> list[str]:
    """Return the names of the nodes on which tasks of `service` run, one for each task."""
    return sorted(task.node_name for task in cluster.running_tasks(service))


def steadiest_node(cluster: TestCluster, among: list[str]) -> str:
    """Return the one of these nodes that was lost least often.

    A node that is lost three times within ten minutes is held back for a while; tests share nodes,
    so they take turns at hurting them.
    """
    losses = {
        view.node.description.hostname: len(view.node.lost_at) for view in cluster.control.nodes()
    }
    return min(among, key=lambda name: (losses[name], name))
