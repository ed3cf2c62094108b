"""Events as Docker's clients read and filter them. Pure.

Duty: Docker's form of an event, Docker's filters, and the words for what a listener missed.
Not here: events as the cluster tells them (berth.client_events), listening (gateway.events).

Task events are beyond Swarm, which has none, and so is `gap`: it says that events of some kinds are
missing before it, for whoever asked for these kinds.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from berth.model.events import CREATE, REMOVE, UPDATE, ObjectEvent
from berth.model.task import TaskState
from berth.views import TaskEvent
from gateway.filters import Filters

TASK: Final = "task"
OBJECTS: Final = ("config", "network", "node", "secret", "service")
GAP: Final = "gap"
_DAEMON: Final = "daemon"
_ELSEWHERE: Final = ("container", "daemon", "image", "plugin", "volume")
"""Kinds of objects that single Engines tell about; asking for one of them yields nothing."""
EVENT_FILTERS: Final = ("event", "label", "scope", "type", *OBJECTS, TASK, *_ELSEWHERE)
_SCOPE: Final = "swarm"


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it is told; `missed` are the kinds of which a gap says that some are missing."""

    time_ns: int
    kind: str
    action: str
    id: str
    attributes: Mapping[str, str]
    missed: tuple[str, ...] = ()

    def written(self) -> dict[str, Any]:
        """Return it as Docker's clients read it."""
        return {
            "Type": self.kind,
            "Action": self.action,
            "Actor": {"ID": self.id, "Attributes": dict(self.attributes)},
            "scope": _SCOPE,
            "time": self.time_ns // 1_000_000_000,
            "timeNano": self.time_ns,
        }


def told(event: ObjectEvent | TaskEvent) -> Told:
    """Return an event of the cluster as it is told."""
    if isinstance(event, ObjectEvent):
        return Told(event.time_ns, event.kind, event.action, event.id, event.attributes)
    before, after = _facts(event.observed_before, event.desired_before), {}
    attributes = {
        "name": f"{event.name}.{event.id}",
        "service.id": event.service_id,
        "service.name": event.service_name,
        "node.id": event.node_id,
        "slot": str(event.slot) if event.is_numbered else "",
        "image": event.image,
    }
    if event.observed is None:
        action = REMOVE
    elif event.observed_before is None:
        action = CREATE
        attributes |= _facts(event.observed, event.desired)
    else:
        action = UPDATE
        after = _facts(event.observed, event.desired)
        for name in after:
            if before[name] != after[name]:
                attributes |= {f"{name}.old": before[name], f"{name}.new": after[name]}
    attributes["error"] = event.error
    attributes["exitcode"] = "" if event.exit_code is None else str(event.exit_code)
    known = {name: value for name, value in attributes.items() if value}
    return Told(event.time_ns, TASK, action, event.id, known)


def _facts(observed: TaskState | None, desired: TaskState | None) -> dict[str, str]:
    if observed is None or desired is None:
        return {}
    return {"state": observed.name.lower(), "desiredstate": desired.name.lower()}


def gap(time_ns: int, scheduler: str, missed: Collection[str], reason: str) -> Told:
    """Return the event that says that events of some kinds are missing before it."""
    attributes = {"name": scheduler, "missed": ",".join(missed), "reason": reason}
    return Told(time_ns, _DAEMON, GAP, scheduler, attributes, tuple(missed))


def wants_tasks(filters: Filters) -> bool:
    """Return whether any event of a task may be wanted."""
    kinds = [kind for kind in (*OBJECTS, *_ELSEWHERE) if filters.get(kind)]
    if not filters.exact("type", TASK) or any(kind in _ELSEWHERE for kind in kinds):
        return False
    # Who asks for a service's events gets those of its tasks by asking for tasks.
    return not kinds or (set(kinds) <= {"service", "node"} and bool(filters.get("type")))


def is_wanted(event: Told, filters: Filters) -> bool:
    """Return whether a client asked for `event`."""
    if event.missed:
        return any(filters.exact("type", kind) for kind in event.missed)
    return (
        filters.exact("event", event.action)
        and filters.exact("type", event.kind)
        and filters.exact("scope", _SCOPE)
        and filters.labels("label", event.attributes)
        and not any(filters.get(kind) for kind in _ELSEWHERE)
        and all(_is_named(event, kind, filters) for kind in (*OBJECTS, TASK) if filters.get(kind))
    )


def _is_named(event: Told, kind: str, filters: Filters) -> bool:
    attributes = event.attributes
    if event.kind == kind:
        return filters.prefix(kind, event.id, attributes.get("name", ""))
    if event.kind != TASK or not filters.get("type"):
        return False
    if kind == "service":
        return filters.prefix(kind, attributes["service.id"], attributes["service.name"])
    return kind == "node" and filters.prefix(kind, attributes.get("node.id", "") or "\0")
