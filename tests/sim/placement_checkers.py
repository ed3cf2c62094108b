"""Where tasks may be placed, checked right after the turn that placed them.

Duty: each filter once more, in its plainest form, on the leader's memory as it then was.
Not here: anything that comes later (checkers).
"""

from berth.model.ids import ServiceId
from berth.model.node import Availability, Node, NodeState
from berth.model.task import Task, TaskState
from scheduler.core.service_record import Template
from scheduler.core.service_state import SlotKey, slot_of
from scheduler.core.state import LeaderState
from tests.fakes.naive_placement import satisfies
from tests.sim.history import History


def check_placement(history: History, state: LeaderState, task: Task) -> None:
    """Check a task that was placed in this turn."""
    assert task.node_id is not None
    node, service = state.nodes[task.node_id], state.services[task.service_id]
    template = service.record.templates[task.template_version]
    words = f"{words_of(state, task)} on {node.description.hostname}"
    rule = "a task is placed only where every filter lets it"
    is_open = node.spec.availability is Availability.ACTIVE and node.state is NodeState.READY
    history.check(is_open, rule, f"{words}: {node.state.value}, {node.spec.availability.value}")
    unmet = [text for text in template.task.placement.constraints if not satisfies(node, text)]
    history.check(not unmet, rule, f"{words}: {unmet}")
    _check_room(history, state, task, node, words)
    ports = {port.published_port for port in template.endpoint.ports}
    for other in _alive_on(state, node):
        same_slot = (other.service_id, slot_of(other)) == (task.service_id, slot_of(task))
        template_of_other = _template(state, other)
        taken = {port.published_port for port in template_of_other.endpoint.ports} & ports
        history.check(not taken or same_slot, rule, f"{words}: port {taken} is held by {other.id}")
    most = template.task.placement.max_replicas_per_node
    slots = {
        slot_of(other)
        for other in _alive_on(state, node)
        if other.service_id == task.service_id and other.is_wanted
    }
    history.check(
        not most or len(slots) <= most or task.template_version != service.record.template_version,
        rule,
        f"{words}: {len(slots)}, at most {most} a node",
    )


def _check_room(history: History, state: LeaderState, task: Task, node: Node, words: str) -> None:
    """Sum up what is reserved; of a slot that is handed over in place only the larger."""
    key = task.service_id, slot_of(task)
    is_added = task.desired == TaskState.RUNNING  # Beside its predecessor, if there is one.
    slots: dict[tuple[ServiceId, SlotKey], list[Task]] = {}
    for other in _alive_on(state, node):
        slots.setdefault((other.service_id, slot_of(other)), []).append(other)
    for what in ("nano_cpus", "memory_bytes"):
        used = sum(
            (sum if is_added and slot == key else max)(
                getattr(_template(state, other).task.reservation, what) for other in tasks
            )
            for slot, tasks in slots.items()
        )
        offered = getattr(node.description.resources, what)
        history.check(
            used <= offered or not getattr(_template(state, task).task.reservation, what),
            "no node is given more than it has",
            f"{words}: {used:,} of {offered:,} {what}",
        )


def _alive_on(state: LeaderState, node: Node) -> list[Task]:
    return [task for task in state.node_tasks[node.id] if task.is_alive]


def _template(state: LeaderState, task: Task) -> Template:
    return state.services[task.service_id].record.templates[task.template_version]


def words_of(state: LeaderState, task: Task) -> str:
    home = "" if task.home is None else state.nodes[task.home].description.hostname
    return f"{name_of(state, task.service_id)}.{home or task.slot}.{task.attempt}"


def name_of(state: LeaderState, service: ServiceId) -> str:
    return state.services[service].record.spec.name
