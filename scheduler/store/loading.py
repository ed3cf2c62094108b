"""Build the leader's memory from a snapshot of the store: what a new leader does first.

Nothing is decided here. What agents can re-tell (heartbeats, observed states) is presumed to be as
last written until they do; nodes that are not down are UNKNOWN until they are heard.
"""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from typing import Final

from berth.model.ids import NodeId, ServiceId
from berth.model.instant import NEVER
from berth.model.node import NodeState
from berth.model.task import FinishedTask, Task
from scheduler.core import liveness
from scheduler.core.adoption import Adoption
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.membership import check_places_of, put_node, watch
from scheduler.core.now import Now
from scheduler.core.service_state import ServiceState
from scheduler.core.state import LeaderState
from scheduler.store import keys
from scheduler.store.event_records import decode_events
from scheduler.store.file_records import decode_file
from scheduler.store.records import (
    decode_cluster,
    decode_history,
    decode_network,
    decode_node,
    decode_placements,
    decode_service,
)

TASKS_PER_STEP: Final = 20_000
"""Half a second. Between two steps waits whatever else the loop has to do, and thousands of agents
look for the new leader by then: so there are few."""


def load_state(entries: Mapping[str, bytes], cluster: ClusterRecord, now: Now) -> LeaderState:
    """Return the memory that `entries` (relative key -> value) describe, built at once."""
    building = build_state(entries, cluster, now)
    while True:
        try:
            next(building)
        except StopIteration as done:
            state: LeaderState = done.value
            return state


def build_state(
    entries: Mapping[str, bytes],
    cluster: ClusterRecord,
    now: Now,
    tasks_per_step: int = TASKS_PER_STEP,
) -> Generator[None, None, LeaderState]:
    """Build the memory that `entries` describe; yields about every `tasks_per_step` tasks.

    A million tasks take longer than a lease, which ends when the event loop stands still.

    Args:
        entries: the whole store.
        cluster: what to use where the store has no cluster record yet: a new cluster.
        now: the take-over; timers of nodes and tasks that are not known begin here.
        tasks_per_step: how many tasks are made at once.

    Raises:
        InternalError: a record is of a schema that this version does not read.
    """
    stored = entries.get(keys.CLUSTER)
    state = LeaderState(cluster if stored is None else decode_cluster(stored))
    state.unsaved.cluster = stored is None
    for prefix in keys.FILES.values():
        for _, value in _under(entries, prefix):
            state.files.put(decode_file(value))
    _load_nodes(state, entries, now)
    for _, value in _under(entries, keys.NETWORKS):
        network = decode_network(value)
        state.networks[network.spec.name] = network
    for _, value in _under(entries, keys.SERVICES):
        record = decode_service(value)
        service = ServiceState(record)
        state.services[record.id] = service
        if record.is_global:
            state.globals[record.id] = None
        if not record.is_removing:
            state.names[record.spec.name] = record.id
        state.dirty[record.id] = None
    finished = _load_history(state, entries)
    yield
    loaded = 0
    adoption = Adoption(state, now)
    for key, value in _under(entries, keys.PLACEMENTS):
        node = NodeId(key.removeprefix(keys.PLACEMENTS))
        tasks = decode_placements(node, value)
        known = [task for task in tasks if _is_known(state, task, finished)]
        if len(known) < len(tasks):
            # Written again without them; its agent learns from the complete set that they must go.
            state.unsaved.placements[node] = None
        if known:
            adoption.adopt(node, known)
        loaded += len(tasks)
        if loaded >= tasks_per_step:
            loaded = 0
            yield
    adoption.finish()
    yield
    for service in state.services.values():
        for attempts in service.history.values():
            attempts.sort(key=lambda entry: entry.attempt)
        check_places_of(state, service)
    yield
    told = [decode_events(value) for _, value in _under(entries, keys.EVENTS)]
    state.chronicle.load(told, now.timestamp)
    return state


def _under(entries: Mapping[str, bytes], prefix: str) -> Iterable[tuple[str, bytes]]:
    return [(key, entries[key]) for key in sorted(entries) if key.startswith(prefix)]


def _load_nodes(state: LeaderState, entries: Mapping[str, bytes], now: Now) -> None:
    for _, value in _under(entries, keys.NODES):
        node = decode_node(value)
        if node.state is NodeState.DOWN:
            state.liveness[node.id] = liveness.NodeLiveness(
                NodeState.DOWN, heard_at=now.instant, deadline=NEVER, down_at=now.instant
            )
        else:
            node = replace(node, state=NodeState.UNKNOWN, message="not heard by this leader yet")
            watch(state, node.id, liveness.unheard(now.instant, state.cluster.settings))
        put_node(state, node, now, save=False)


def _load_history(state: LeaderState, entries: Mapping[str, bytes]) -> dict[str, FinishedTask]:
    finished: dict[str, FinishedTask] = {}
    for key, value in _under(entries, keys.HISTORY):
        service_text, _, shard = key.removeprefix(keys.HISTORY).partition("/")
        service_id = ServiceId(service_text)
        service = state.services.get(service_id)
        if service is None:
            state.unsaved.history[service_id, int(shard)] = None  # Removed with its service.
            continue
        for entry in decode_history(service_id, value):
            finished[entry.id] = entry
            slot = entry.home if entry.home is not None else entry.slot
            service.history.setdefault(slot, []).append(entry)
    return finished


def _is_known(state: LeaderState, task: Task, finished: Mapping[str, FinishedTask]) -> bool:
    """Return whether a stored task is still one: not ended, and what it belongs to is there."""
    service = state.services.get(task.service_id)
    if service is None or task.template_version not in service.record.templates:
        return False
    return task.id not in finished and task.node_id in state.nodes
