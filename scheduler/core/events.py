"""Which changes of objects are events, and what is told of them: Swarm's attributes.

Duty: compare an object before and after a change, and note the difference in the chronicle.
Not here: keeping it (chronicle), tasks, whose changes are noted where they are made (state).

A node that a new leader has not heard yet is UNKNOWN to that leader and to nobody else: what was
told of it last still holds, and its return to that state is no event.
"""

from berth.model.defaults import effective_replicas
from berth.model.events import CREATE, REMOVE, UPDATE
from berth.model.files import FileKind
from berth.model.network import Network
from berth.model.node import Node, NodeState
from berth.model.service import ModeKind
from scheduler.core.chronicle import Chronicle
from scheduler.core.files import FileRecord
from scheduler.core.service_record import ServiceRecord


def note_service(chronicle: Chronicle, before: ServiceRecord | None, after: ServiceRecord) -> None:
    """Note what a service's new record changes; to its users one that is being removed is gone."""
    name = {"name": after.spec.name}
    if before is None:
        chronicle.note("service", CREATE, after.id, name)
    elif after.is_removing:
        if not before.is_removing:
            chronicle.note("service", REMOVE, after.id, name)
    elif after.version != before.version or _rollout(after) != _rollout(before):
        chronicle.note("service", UPDATE, after.id, {**name, **_service_changes(before, after)})


def _rollout(record: ServiceRecord) -> str:
    return record.update_status.state.value if record.update_status is not None else ""


def _service_changes(before: ServiceRecord, after: ServiceRecord) -> dict[str, str]:
    old, new = before.spec, after.spec
    changes = _change("image", old.task.container.image, new.task.container.image)
    if old.mode.kind is new.mode.kind is ModeKind.REPLICATED:
        was, now = effective_replicas(old.mode), effective_replicas(new.mode)
        changes |= _change("replicas", str(was), str(now))
    return changes | _change("updatestate", _rollout(before), _rollout(after))


def _change(name: str, old: str, new: str) -> dict[str, str]:
    if old == new:
        return {}
    told = {f"{name}.old": old, f"{name}.new": new}
    return {key: value for key, value in told.items() if value}


def note_node(chronicle: Chronicle, before: Node | None, after: Node | None) -> None:
    """Note that a node came, changed or went (`after` is None)."""
    if after is None:
        if before is not None:
            chronicle.note("node", REMOVE, before.id, {"name": _node_name(before)})
        return
    name = {"name": _node_name(after)}
    if before is None:
        chronicle.note("node", CREATE, after.id, name)
        return
    if after.state is NodeState.UNKNOWN:
        return
    was = _told_state(chronicle, before)
    changes = _change("state", was, after.state.value)
    if not changes and before.spec == after.spec and before.description == after.description:
        return
    availability = before.spec.availability.value, after.spec.availability.value
    changes |= _change("availability", *availability)
    changes |= _change("role", before.spec.role, after.spec.role)
    chronicle.note("node", UPDATE, after.id, {**name, **changes})


def _told_state(chronicle: Chronicle, node: Node) -> str:
    if node.state is not NodeState.UNKNOWN:
        return node.state.value
    return chronicle.node_states.get(node.id, NodeState.READY.value)


def _node_name(node: Node) -> str:
    return node.spec.name or node.description.hostname


def note_file(chronicle: Chronicle, action: str, record: FileRecord) -> None:
    """Note that a config or secret came, changed or went."""
    kind = "config" if record.kind is FileKind.CONFIG else "secret"
    chronicle.note(kind, action, record.id, {"name": record.name})


def note_network(chronicle: Chronicle, action: str, network: Network) -> None:
    """Note that a network came or went."""
    chronicle.note("network", action, network.id, {"name": network.spec.name})
