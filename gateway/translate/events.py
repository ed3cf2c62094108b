"""What happened between two looks at the cluster, as Docker's events. Pure.

Duty: facts of services, nodes, configs, secrets, networks and tasks; their difference as events
with Swarm's attributes.
Not here: looking (gateway.events), which events a client wants (routes.events).

Task events are beyond Swarm, which has none.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from berth.model.defaults import effective_replicas
from berth.model.instant import Timestamp
from berth.model.network import NetworkSpec
from berth.model.service import ModeKind
from berth.views import FileView, NetworkView, NodeView, ServiceView, TaskView
from gateway.translate.nodes import WORKER
from gateway.translate.tasks import desired_state, task_name

Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """One object at one look: its version, what never matters alone, and what is compared."""

    version: int
    fixed: Facts
    """Attributes that every event of it bears."""
    facts: Facts
    """Attributes of which a change is told as ``.old`` and ``.new``."""


@dataclass(frozen=True, slots=True)
class Look:
    """The cluster at one moment: subjects by type and ID; None = was not looked at."""

    services: Mapping[str, Subject] = field(default_factory=dict)
    nodes: Mapping[str, Subject] = field(default_factory=dict)
    tasks: Mapping[str, Subject] | None = None
    configs: Mapping[str, Subject] = field(default_factory=dict)
    secrets: Mapping[str, Subject] = field(default_factory=dict)
    networks: Mapping[str, Subject] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """One event."""

    kind: str
    action: str
    id: str
    attributes: Facts

    def written(self, at: Timestamp) -> dict[str, Any]:
        """Return it as Docker's clients read it."""
        time_ns = round(at * 1_000_000_000)
        return {
            "Type": self.kind,
            "Action": self.action,
            "Actor": {"ID": self.id, "Attributes": dict(self.attributes)},
            "scope": "swarm",
            "time": time_ns // 1_000_000_000,
            "timeNano": time_ns,
        }


def take_look(
    services: Iterable[ServiceView],
    nodes: Iterable[NodeView],
    tasks: Iterable[TaskView] | None,
    configs: Iterable[FileView] = (),
    secrets: Iterable[FileView] = (),
    networks: Iterable[NetworkView] = (),
) -> Look:
    """Return what is compared of the cluster."""
    return Look(
        services={service.id: _service(service) for service in services},
        nodes={view.node.id: _node(view) for view in nodes},
        tasks=None if tasks is None else {task.id: _task(task) for task in tasks},
        configs={file.id: _file(file) for file in configs},
        secrets={file.id: _file(file) for file in secrets},
        networks={view.network.id: _network(view.network.spec) for view in networks},
    )


def _service(service: ServiceView) -> Subject:
    facts = {"image": service.spec.task.container.image}
    if service.spec.mode.kind is ModeKind.REPLICATED:
        facts["replicas"] = str(effective_replicas(service.spec.mode))
    facts["updatestate"] = service.update_status.state if service.update_status else ""
    return Subject(service.version, {"name": service.spec.name}, facts)


def _node(view: NodeView) -> Subject:
    facts = {
        "availability": view.node.spec.availability.value,
        "role": WORKER,
        "state": view.node.state.value,
    }
    return Subject(view.node.version, {"name": view.node.description.hostname}, facts)


def _file(file: FileView) -> Subject:
    return Subject(file.version, {"name": file.name}, {})


def _network(spec: NetworkSpec) -> Subject:
    return Subject(0, {"name": spec.name, "type": spec.driver}, {})


def _task(task: TaskView) -> Subject:
    fixed = {
        "name": task_name(task),
        "service.id": task.service_id,
        "service.name": task.service_name,
        "node.id": task.node_id,
        "slot": str(task.slot),
        "image": task.image,
    }
    facts = {"state": task.status.state.name.lower(), "desiredstate": desired_state(task)}
    return Subject(0, fixed, facts)


def events_between(before: Look, after: Look) -> list[ClusterEvent]:
    """Return what happened, objects that others rest on first."""
    events = list(_differences("node", before.nodes, after.nodes))
    events += _differences("config", before.configs, after.configs)
    events += _differences("secret", before.secrets, after.secrets)
    events += _differences("network", before.networks, after.networks)
    events += _differences("service", before.services, after.services)
    if before.tasks is not None and after.tasks is not None:
        events += _differences("task", before.tasks, after.tasks)
    return events


def _differences(
    kind: str, before: Mapping[str, Subject], after: Mapping[str, Subject]
) -> Iterator[ClusterEvent]:
    for key, new in after.items():
        old = before.get(key)
        if old is None:
            told = new.facts if kind == "task" else {}
            yield ClusterEvent(kind, "create", key, {**new.fixed, **told})
        elif (old.version, old.facts) != (new.version, new.facts):
            yield ClusterEvent(kind, "update", key, {**new.fixed, **_changes(old, new)})
    for key, old in before.items():
        if key not in after:
            yield ClusterEvent(kind, "remove", key, old.fixed)


def _changes(old: Subject, new: Subject) -> dict[str, str]:
    changes: dict[str, str] = {}
    for name, value in new.facts.items():
        before = old.facts.get(name, "")
        if before != value:
            changes |= {f"{name}.old": before} if before else {}
            changes |= {f"{name}.new": value} if value else {}
    return changes
