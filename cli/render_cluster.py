"""Make text of the cluster's state and of explanations. Pure.

Not here: tables of services, tasks and nodes (cli.render).
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence

from berth.model.duration import duration_text
from berth.model.task import TaskState
from berth.views import ClusterView, Explanation, NodeView, ServiceView
from cli.render import Cell, Table, age_text, make_table, short


def cluster_lines(cluster: ClusterView) -> list[str]:
    """Return who leads, how the store fares, and the settings."""
    lines = [
        f"Cluster:    {cluster.id}",
        f"Leader:     {leader_text(cluster)}",
        f"Store:      {store_text(cluster)}",
        "Settings:",
    ]
    for field in dataclasses.fields(cluster.settings):
        value = getattr(cluster.settings, field.name)
        name = field.name.removesuffix("_s").replace("_", "-")
        is_duration = field.name.endswith("_s")
        shown = duration_text(value) if is_duration else str(value)
        if field.name == "heartbeat_period_s" and value == 0:
            shown = "chosen by the leader"
        lines.append(f"  {name + ':':<22} {shown}")
    return lines


def leader_text(cluster: ClusterView) -> str:
    """Return the leader's name, address and epoch; without one, what is shown instead."""
    if not cluster.leader_name:
        return f"none; shown is what the last one knew (epoch {cluster.epoch})"
    return f"{cluster.leader_name} at {cluster.leader_address} (epoch {cluster.epoch})"


def store_text(cluster: ClusterView) -> str:
    """Return the store's state and what it says about it."""
    state = cluster.store_state or "unknown"
    return f"{state}: {cluster.store_message}" if cluster.store_message else state


def schedulers_table(cluster: ClusterView) -> Table:
    """List the scheduler processes."""
    return make_table(
        "SCHEDULER|ADDRESS|DOCKER API|ROLE",
        (
            [
                scheduler.name,
                scheduler.address,
                scheduler.http_address,
                Cell("leader", "green") if scheduler.is_leader else "standby",
            ]
            for scheduler in sorted(cluster.schedulers, key=lambda found: found.name)
        ),
    )


def status_lines(
    cluster: ClusterView, nodes: Sequence[NodeView], services: Sequence[ServiceView]
) -> list[str]:
    """Return the cluster in four lines: leader, store, nodes, services."""
    states = Counter(view.node.state.value for view in nodes)
    drained = sum(view.node.spec.availability.value != "active" for view in nodes)
    whole = sum(service.running_tasks >= service.desired_tasks for service in services)
    by_state = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return [
        f"Leader:     {leader_text(cluster)}",
        f"Store:      {store_text(cluster)}",
        f"Nodes:      {len(nodes)}"
        + (f" ({by_state}" if nodes else "")
        + (f"; {drained} not active" if drained else "")
        + (")" if nodes else ""),
        f"Services:   {len(services)}" + (f" ({whole} with all tasks running)" if services else ""),
        f"Tasks:      {sum(service.running_tasks for service in services)} of "
        f"{sum(service.desired_tasks for service in services)} running",
    ]


def explanation_lines(found: Explanation) -> list[str]:
    """Return why the tasks are where they are, in order of use: summary, rollout, tasks."""
    lines = [f"{found.service_name or found.service_id}: {found.summary}".rstrip(": ")]
    lines.append(f"{found.nodes_fitting} of {found.nodes_total} nodes fit")
    if found.rollout:
        lines += ["", "Rollout:", *(f"  {line}" for line in found.rollout)]
    for explained in found.tasks:
        task = explained.task
        state = task.status.state
        where = task.node_name or short(task.node_id) or "no node"
        lines += [
            "",
            f"{task.name} ({short(task.id)}): {state.name.lower()} on {where}, "
            f"for {age_text(task.status.state_age_s)}"
            if state > TaskState.PENDING
            else f"{task.name} ({short(task.id)}): {state.name.lower()}",
        ]
        if explained.summary:
            lines.append(f"  {explained.summary}")
        lines += [f"  - {line}" for line in explained.story]
    return lines


def filters_table(found: Explanation) -> Table:
    """List what each filter forbids alone, and what dropping it would admit."""
    return make_table(
        "FILTER|FORBIDS ALONE|ADMITS IF DROPPED|WHAT IT SAYS",
        (
            [
                one.name,
                _of(one.forbids_alone, found.nodes_total),
                Cell(str(one.admits_if_dropped), "green" if one.admits_if_dropped else ""),
                one.words,
            ]
            for one in found.filters
        ),
    )


def _of(count: int, total: int) -> str:
    return f"{count} of {total}"
