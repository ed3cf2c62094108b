"""Say what a change would do, without doing it.

Duty: the lines that `--dry-run` prints: what differs, which slots would be replaced and how, where
new tasks would go now. Not here: validation (flows does it first, dry run or not).

Nothing is changed: the preview of placement takes places in the node table and gives them back
within one step of the event loop.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Final

from berth.model.defaults import (
    effective_completions,
    effective_concurrency,
    effective_replicas,
    effective_update,
)
from berth.model.duration import duration_text
from berth.model.ids import NodeId, ServiceId
from berth.model.schedule import is_scheduled
from berth.model.service import ModeKind, ServiceSpec
from scheduler.control.views import node_name
from scheduler.core.placement.demand import Demand, compile_demand
from scheduler.core.placement.explain import explain
from scheduler.core.placement.place import global_candidates, place, suits
from scheduler.core.reconcile_global import plan_global
from scheduler.core.rollout import active_policy
from scheduler.core.service_record import ServiceRecord
from scheduler.core.service_state import ServiceState, SlotKey
from scheduler.core.state import LeaderState

_NODES_SHOWN_MAX: Final = 10
_SLOTS_SHOWN_MAX: Final = 20
_CHANGES_SHOWN_MAX: Final = 30
_VALUE_LENGTH_MAX: Final = 80
_PREVIEW_MAX: Final = 2000
"""Of a larger service only so many tasks are placed on trial: a few milliseconds."""


def plan_create(state: LeaderState, service: ServiceId, spec: ServiceSpec) -> list[str]:
    """Return what creating `spec` would do."""
    demand = compile_demand(service, spec.task, spec.endpoint)
    lines = [f"create service {spec.name} with image {spec.task.container.image}"]
    if is_scheduled(spec.labels):
        return [*lines, "run nothing now: it has a schedule"]
    if spec.mode.kind is ModeKind.REPLICATED_JOB:
        total, at_once = effective_completions(spec.mode), effective_concurrency(spec.mode)
        lines.append(f"run it until {_times(total, 'slot')} completed, at most {at_once} at once")
        return [*lines, *_placement_lines(state, demand, min(total, at_once))]
    if spec.mode.kind.is_global:
        return [*lines, *_global_lines(state, demand, frozenset())]
    return [*lines, *_placement_lines(state, demand, effective_replicas(spec.mode))]


def plan_update(state: LeaderState, service: ServiceId, after: ServiceRecord) -> list[str]:
    """Return what replacing the service's record by `after` would do."""
    now = state.services[service]
    changes = list(_differences("", now.record.spec, after.spec))
    if not changes:
        return ["nothing would change"]
    lines = [f"change {change}" for change in changes[:_CHANGES_SHOWN_MAX]]
    if len(changes) > _CHANGES_SHOWN_MAX:
        lines.append(f"change {len(changes) - _CHANGES_SHOWN_MAX} more things")
    if after.job is not None:
        return [*lines, *_run_lines(now, after)]
    lines += _scale_lines(state, now, after)
    misplaced = _misplaced_slots(state, now, after)
    if misplaced:
        lines += _move_lines(state, after, misplaced)
    return [*lines, *_replace_lines(state, now, after, misplaced)]


def _run_lines(now: ServiceState, after: ServiceRecord) -> list[str]:
    before = now.record.job
    assert before is not None
    assert after.job is not None
    if after.job.run_version == before.run_version:
        return ["run nothing now: the change holds from the next due time on"]
    lines = [f"run the job anew, as run {after.job.iteration}"]
    tasks = sum(task.is_wanted for held in now.slots.values() for task in held)
    if before.is_under_way and tasks:
        lines.insert(0, f"stop {_times(tasks, 'task')} of run {before.iteration}")
    return lines


def plan_rollback(state: LeaderState, service: ServiceId, after: ServiceRecord) -> list[str]:
    """Return what rolling back to `after` would do."""
    return ["roll back to the previous spec", *plan_update(state, service, after)]


def preview(state: LeaderState, demand: Demand, count: int) -> tuple[Counter[NodeId], int, str]:
    """Return on which nodes `count` tasks would go now, how many would wait, and why these."""
    table = state.table
    relief = table.relief
    outcome = place(table, demand, count)
    waiting = count - len(outcome.nodes)
    # Asked while the others hold their places: they are part of the reason.
    why = explain(table, demand).short() if waiting else ""
    for node in outcome.nodes:
        table.vacate(node, demand)
    table.relief = relief  # Nothing was freed that was not free before.
    return Counter(outcome.nodes), waiting, why


def _placement_lines(state: LeaderState, demand: Demand, count: int) -> list[str]:
    if count <= 0:
        return ["place no task: 0 replicas"]
    tried = min(count, _PREVIEW_MAX)
    by_node, waiting, why = preview(state, demand, tried)
    lines = []
    if by_node:
        lines.append(f"place {_times(tried - waiting, 'task')}{_on_nodes(state, by_node)}")
    if waiting:
        lines.append(f"{_times(waiting, 'task')} would wait: {why}")
    if tried < count:
        lines.append(f"place {count - tried} more, which this preview did not try")
    return lines


def _global_lines(state: LeaderState, demand: Demand, held: frozenset[NodeId]) -> list[str]:
    plan = plan_global(global_candidates(state.table, demand), state.nodes, held)
    lines = []
    if plan.open_slots or not held:
        nodes = Counter(plan.open_slots)
        lines.append(f"place {_times(len(plan.open_slots), 'task')}{_on_nodes(state, nodes)}")
    if plan.close_slots:
        nodes = Counter(plan.close_slots)
        lines.append(f"remove {_times(len(plan.close_slots), 'task')}{_on_nodes(state, nodes)}")
    return lines


def _scale_lines(state: LeaderState, now: ServiceState, after: ServiceRecord) -> list[str]:
    demand = compile_demand(after.id, after.template.task, after.template.endpoint)
    if after.is_global:
        held = frozenset(
            slot for slot in now.phases if isinstance(slot, str) and slot not in now.closing
        )
        return _global_lines(state, demand, held)
    before_count = effective_replicas(now.record.spec.mode)
    after_count = effective_replicas(after.spec.mode)
    if after_count > before_count:
        return _placement_lines(state, demand, after_count - before_count)
    if after_count < before_count:
        return [f"remove {_times(before_count - after_count, 'task')}"]
    return []


def _misplaced_slots(
    state: LeaderState, now: ServiceState, after: ServiceRecord
) -> frozenset[SlotKey]:
    """Return the slots whose tasks must leave nodes that the new placement rules out.

    A rollout has no say in it: these tasks are stopped at once (membership.check_places). Those of
    a service with a task per node are told as removed.
    """
    if after.is_global or after.spec.task.placement == now.record.spec.task.placement:
        return frozenset()
    demand = compile_demand(after.id, after.template.task, after.template.endpoint)
    homes = {
        slot: {task.node_id for task in tasks if task.is_wanted and task.node_id is not None}
        for slot, tasks in now.slots.items()
        if slot not in now.closing
    }
    nodes = {node for held in homes.values() for node in held}
    ruled_out = {node for node in nodes if not suits(state.table, node, demand)}
    return frozenset(slot for slot, held in homes.items() if held & ruled_out)


def _move_lines(state: LeaderState, after: ServiceRecord, slots: frozenset[SlotKey]) -> list[str]:
    demand = compile_demand(after.id, after.template.task, after.template.endpoint)
    return [
        f"stop {_times(len(slots), 'task')} ({_slots_text(slots)}) at once: the new placement "
        "rules their nodes out",
        *_placement_lines(state, demand, len(slots)),
    ]


def _replace_lines(
    state: LeaderState, now: ServiceState, after: ServiceRecord, misplaced: frozenset[SlotKey]
) -> list[str]:
    slots = [
        slot
        for slot, tasks in now.slots.items()
        if slot not in now.closing
        and slot not in misplaced
        and any(t.is_wanted and not after.runs_current(t.template_version) for t in tasks)
    ]
    if not slots:
        return [] if misplaced else ["replace no task"]
    status = after.update_status
    is_rollback = status is not None and status.state.is_rollback
    policy = active_policy(after) if is_rollback else effective_update(after.spec.update)
    at_once = f"{policy.parallelism} at a time" if policy.parallelism else "all at once"
    lines = [
        f"replace {_times(len(slots), 'task')} ({_slots_text(slots)}): {at_once}, "
        f"{policy.order.value}, {duration_text(policy.delay_s)} between, each watched for "
        f"{duration_text(policy.monitor_s)}, on failure {policy.failure_action.value}"
    ]
    demand = compile_demand(after.id, after.template.task, after.template.endpoint)
    found = explain(state.table, demand)
    if found.candidates:
        fits = f"{found.candidates} of {_times(found.nodes, 'node')} could take a new task now"
        lines.append(fits)
    else:
        lines.append(
            f"{found.short()} beside the old tasks: a new task takes the place of its predecessor "
            "where it fits there"
        )
    return lines


def _slots_text(slots: Collection[SlotKey]) -> str:
    ordered = sorted(slots, key=lambda slot: (slot, "") if isinstance(slot, int) else (0, slot))
    shown = ", ".join(str(slot) for slot in ordered[:_SLOTS_SHOWN_MAX])
    more = len(ordered) - _SLOTS_SHOWN_MAX
    return f"slots {shown} and {more} more" if more > 0 else f"slots {shown}"


def _on_nodes(state: LeaderState, by_node: Counter[NodeId]) -> str:
    if not by_node:
        return ""
    named = sorted((node_name(state.nodes[node]), count) for node, count in by_node.items())
    shown = [f"{count} on {name}" if count > 1 else name for name, count in named]
    more = len(shown) - _NODES_SHOWN_MAX
    tail = f" and {more} more nodes" if more > 0 else ""
    return f": {', '.join(shown[:_NODES_SHOWN_MAX])}{tail}"


def _times(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _differences(path: str, before: object, after: object) -> Iterator[str]:
    """Yield "path: old -> new" for what differs between two specs."""
    if before == after:
        return
    if is_dataclass(before) and type(before) is type(after):
        for item in fields(before):
            inner = f"{path}.{item.name}" if path else item.name
            yield from _differences(inner, getattr(before, item.name), getattr(after, item.name))
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _differences(f"{path}[{key}]", before.get(key), after.get(key))
        return
    yield f"{path}: {_value_text(before)} -> {_value_text(after)}"


def _value_text(value: object) -> str:
    if value is None:
        return "(unset)"
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    text = text or "(empty)"
    return text if len(text) <= _VALUE_LENGTH_MAX else f"{text[: _VALUE_LENGTH_MAX - 1]}…"
