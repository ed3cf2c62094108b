"""The leader's memory -> what users are shown (control.proto). Pure.

Duty: services, tasks, nodes and the cluster as messages; which tasks a request asks for. Lists are
iterators, so that the caller can build a hundred thousand tasks in slices; what vanishes between
two slices is left out.
Not here: when an answer may leave (scheduler.control.service), reasons at length (explanations).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from berth.model.ids import NodeId, ServiceId
from berth.model.instant import Timestamp
from berth.model.node import Node, NodeState
from berth.model.schedule import is_scheduled
from berth.model.task import FinishedTask, Task, TaskState
from berth.v1 import control_pb2 as pb
from berth.wire.convert import write_proto
from scheduler.census import is_drifted, pinned_digest, wanted_tasks
from scheduler.control.endpoints import network_note, published_at
from scheduler.control.view_memory import ViewMemory
from scheduler.core.job_schedule import next_due
from scheduler.core.now import Now
from scheduler.core.placement.explain import explain
from scheduler.core.reconcile import Phase
from scheduler.core.service_record import ServiceRecord
from scheduler.core.service_state import (
    ServiceState,
    SlotKey,
    counts_as_running,
    shown_slot,
    slot_of,
)
from scheduler.core.state import LeaderState


def running_on_lost_nodes(state: LeaderState) -> Counter[ServiceId]:
    """Count per service the tasks that were running on nodes that are down now."""
    counts: Counter[ServiceId] = Counter()
    for node in state.nodes.values():
        if node.state is NodeState.DOWN:
            counts.update(
                task.service_id
                for task in state.node_tasks.get(node.id, ())
                if counts_as_running(task)
            )
    return counts


def service_view(
    service: ServiceState,
    running_lost: int,
    runs_as_of: Timestamp | None = None,
    memory: ViewMemory | None = None,
) -> pb.Service:
    """Return a service as users see it.

    Args:
        service: the service.
        running_lost: how many of its tasks were running on nodes that are down.
        runs_as_of: the time, to tell past and coming runs of a job too; None leaves them out.
        memory: of messages made before.
    """
    memory = memory or ViewMemory()
    record = service.record
    view = pb.Service(
        id=record.id,
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
        desired_tasks=wanted_tasks(service),
        running_tasks=service.running - running_lost,
        completed_tasks=completed_tasks(service),
        template_version=record.template_version,
        image_digest=pinned_digest(record.spec.task.container.image),
    )
    memory.write(record.id, record.spec, view.spec)
    if record.previous_spec is not None:
        memory.write(f"{record.id} before", record.previous_spec, view.previous_spec)
    status = record.update_status
    if status is not None:
        view.update_status.state = status.state.value
        view.update_status.message = status.message
        view.update_status.started_at = status.started_at
        if status.completed_at is not None:
            view.update_status.completed_at = status.completed_at
    if record.job is not None:
        _add_job(view.job, record, runs_as_of)
    return view


def _add_job(view: pb.JobStatus, record: ServiceRecord, runs_as_of: Timestamp | None) -> None:
    job = record.job
    assert job is not None
    view.iteration = job.iteration
    view.is_under_way = job.is_under_way
    view.last_execution = job.began_at
    is_coming = record.template_version > job.run_version
    view.awaits_schedule = is_coming and is_scheduled(record.spec.labels)
    if runs_as_of is None:
        return
    for run in job.runs:
        write_proto(run, view.runs.add())
    due_at = next_due(record, runs_as_of)
    if due_at is not None:
        view.next_due_at = due_at


def completed_tasks(service: ServiceState) -> int:
    """Count the slots whose last task completed and that are not filled again."""
    if service.record.job is not None:
        return len(service.in_phase(Phase.DONE))
    return sum(
        1
        for slot in service.in_phase(Phase.ENDED)
        if (finished := service.history.get(slot)) and finished[-1].state == TaskState.COMPLETE
    )


def iter_services(
    state: LeaderState, services: Collection[ServiceState], memory: ViewMemory | None = None
) -> Iterator[pb.Service]:
    """Yield views of `services`, by name."""
    lost = running_on_lost_nodes(state)
    for service in sorted(services, key=_by_name):
        view = service_view(service, lost[service.record.id], memory=memory)
        view.published_at.extend(published_at(state, service))
        yield view


def _by_name(service: ServiceState) -> tuple[str, str]:
    return service.record.spec.name, service.record.id


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks are asked for; an empty collection asks for all."""

    services: Sequence[ServiceState] = ()
    nodes: Collection[NodeId] = ()
    id_prefixes: tuple[str, ...] = ()
    only_wanted: bool = False
    up_to_date: bool = False


@dataclass(slots=True)
class TaskViewer:
    """Makes views of tasks; what many of them share is found once.

    Make a new one for each answer: reasons and digests are as of when they were first needed.
    """

    state: LeaderState
    now: Now
    _reasons: dict[tuple[ServiceId, int], tuple[str, str]] = field(default_factory=dict)
    _images: dict[tuple[ServiceId, int], tuple[str, str]] = field(default_factory=dict)
    _current: dict[tuple[ServiceId, int], bool] = field(default_factory=dict)
    _network_notes: dict[tuple[ServiceId, int], str] = field(default_factory=dict)

    def live(self, service: ServiceState, task: Task) -> pb.Task:
        """Return a task of now."""
        record = service.record
        view = self._begin(record, task)
        view.desired = task.desired
        view.state_at = task.observed_at
        view.is_current = self.is_current(record, task.template_version)
        for kind, units in task.granted:
            view.granted.add(kind=kind, units=units)
        status = view.status
        if task.status is not None:
            write_proto(task.status, status)
        status.task_id = task.id
        status.state = task.observed
        status.state_age_s = max(self.now.instant - task.observed_since, 0.0)
        if task.node_id is None:
            status.message, status.error = self.why_waiting(service, task)
        elif task.reason and not status.message:
            status.message = task.reason
        elif task.observed == TaskState.RUNNING and not status.error:
            # Of a running task `docker service ps` shows nothing but this; clients that wait go by
            # the state. Before it runs they would show it in the place of how far the task is.
            status.error = self._network_note(record, task.template_version)
        view.is_drifted = task.observed == TaskState.RUNNING and is_drifted(
            task, self._image(record, task.template_version)[1]
        )
        return view

    def finished(self, service: ServiceState, task: FinishedTask) -> pb.Task:
        """Return a task of the history."""
        view = self._begin(service.record, task)
        view.desired = task.desired
        view.state_at = task.finished_at
        view.is_history = True
        view.is_current = self.is_current(service.record, task.template_version)
        status = view.status
        status.task_id = task.id
        status.state = task.state
        status.state_age_s = max(self.now.timestamp - task.finished_at, 0.0)
        status.message, status.error = task.message, task.error
        status.container_id, status.ran_s = task.container_id, task.ran_s
        if task.exit_code is not None:
            status.exit_code = task.exit_code
        return view

    def is_current(self, record: ServiceRecord, version: int) -> bool:
        """Return whether tasks of `version` run what the newest spec says."""
        key = (record.id, version)
        if key not in self._current:
            # A version that is not kept any more was of tasks that ended long ago.
            self._current[key] = version in record.templates and record.runs_current(version)
        return self._current[key]

    def why_waiting(self, service: ServiceState, task: Task) -> tuple[str, str]:
        """Return message and error of a task without a node."""
        if task.home is not None:
            return ("waits for its node", task.reason) if task.reason else ("waits for a place", "")
        key = (task.service_id, task.template_version)
        if key not in self._reasons:
            found = explain(self.state.table, service.demand(task.template_version))
            fits = bool(found.candidates)
            self._reasons[key] = (
                "waits for a place" if fits else "waits for a suitable node",
                "" if fits else found.short(),
            )
        return self._reasons[key]

    def _begin(self, record: ServiceRecord, task: Task | FinishedTask) -> pb.Task:
        node = self.state.nodes.get(task.node_id) if task.node_id is not None else None
        is_job = record.job is not None
        return pb.Task(
            id=task.id,
            service_id=record.id,
            service_name=record.spec.name,
            slot=shown_slot(task, is_job=is_job),
            is_numbered=task.home is None,
            job_iteration=task.template_version - 1 if is_job else None,
            node_id=task.node_id or task.home or "",
            node_name=node_name(node) if node is not None else "",
            attempt=task.attempt,
            template_version=task.template_version,
            created_at=task.created_at,
            image=self._image(record, task.template_version)[0],
        )

    def _network_note(self, record: ServiceRecord, version: int) -> str:
        key = (record.id, version)
        if key not in self._network_notes:
            template = record.templates.get(version)
            self._network_notes[key] = network_note(template.task) if template else ""
        return self._network_notes[key]

    def _image(self, record: ServiceRecord, version: int) -> tuple[str, str]:
        key = (record.id, version)
        if key not in self._images:
            image = record.image(version)
            self._images[key] = image, pinned_digest(image)
        return self._images[key]


def iter_tasks(
    state: LeaderState, wanted: TaskFilter, viewer: TaskViewer
) -> Iterator[pb.Task | None]:
    """Yield views by service name, slot, newest attempt first; None where one was filtered out.

    The Nones let a caller that works in slices count what was looked at, not what was found.
    """
    services = wanted.services or list(state.services.values())
    accepts, on_nodes = acceptance(wanted, viewer), _slots_on(state, wanted.nodes)
    for service in sorted(services, key=_by_name):
        # Numbers are in order by themselves; a hundred thousand of them hold everybody up.
        order = _slot_order(state) if service.record.is_global else None
        slots: list[Any] = sorted(_slots_to_look_at(service, wanted, on_nodes), key=order)
        for slot in slots:
            tasks: list[Task | FinishedTask] = [*service.slots.get(slot, ())]
            if not wanted.only_wanted:
                tasks += service.history.get(slot, ())
            tasks.sort(key=lambda task: -task.attempt)
            for task in tasks:
                if isinstance(task, Task) and task.id not in state.tasks:
                    continue  # It went while the caller paused.
                if not accepts(service, task):
                    yield None
                elif isinstance(task, Task):
                    yield viewer.live(service, task)
                else:
                    yield viewer.finished(service, task)


def _slots_on(
    state: LeaderState, nodes: Collection[NodeId]
) -> Mapping[ServiceId, Collection[SlotKey]]:
    """Return by service which slots have tasks on `nodes`.

    A node has a handful: who asks for them must not have all tasks of the cluster looked at.
    """
    found: dict[ServiceId, set[SlotKey]] = {}
    for node in nodes:
        for task in state.node_tasks.get(node, ()):
            found.setdefault(task.service_id, set()).add(slot_of(task))
    return found


def _slots_to_look_at(
    service: ServiceState, wanted: TaskFilter, on_nodes: Mapping[ServiceId, Collection[SlotKey]]
) -> set[SlotKey]:
    """Return the slots of a service that may have tasks which are asked for."""
    ended = () if wanted.only_wanted else service.history
    if not wanted.nodes:
        return {*service.slots, *ended}
    # The slot of a global service's task is its node, also while it waits there.
    homes = wanted.nodes if service.record.is_global else ()
    return {*on_nodes.get(service.record.id, ()), *ended, *homes}


def acceptance(
    wanted: TaskFilter, viewer: TaskViewer
) -> Callable[[ServiceState, Task | FinishedTask], bool]:
    """Return what tells whether a task is asked for."""

    def accepts(service: ServiceState, task: Task | FinishedTask) -> bool:
        if wanted.nodes and task.node_id not in wanted.nodes and task.home not in wanted.nodes:
            return False
        if wanted.id_prefixes and not task.id.startswith(wanted.id_prefixes):
            return False
        if wanted.only_wanted and not (isinstance(task, Task) and task.is_wanted):
            return False
        return not wanted.up_to_date or viewer.is_current(service.record, task.template_version)

    return accepts


def _slot_order(state: LeaderState) -> Callable[[SlotKey], tuple[int, str, str]]:
    def order(slot: SlotKey) -> tuple[int, str, str]:
        if isinstance(slot, int):
            return slot, "", ""
        node = state.nodes.get(slot)
        return 0, "" if node is None else node.description.hostname, slot

    return order


def had_container(task: FinishedTask) -> bool:
    """Return whether a finished task ever had a container, whose logs may still be there."""
    return bool(task.container_id) or task.ran_s > 0


def task_name(service: ServiceState, task: Task | FinishedTask) -> str:
    """Return ``web.3``, or ``web.NODE`` for a task of a global service."""
    is_job = service.record.job is not None
    slot = shown_slot(task, is_job=is_job) if task.home is None else task.home
    return f"{service.record.spec.name}.{slot}"


def node_name(node: Node) -> str:
    """Return what people call a node."""
    return node.spec.name or node.description.hostname or node.id


def node_view(
    state: LeaderState,
    node: Node,
    now: Now,
    *,
    connected: bool,
    memory: ViewMemory | None = None,
) -> pb.NodeView:
    """Return a node as users see it.

    Args:
        state: the memory.
        node: which.
        now: for ages.
        connected: whether it has a session with this leader.
        memory: of messages made before.
    """
    table, row = state.table, state.table.row_of(node.id)
    # What a lost node was last seen to run is counted nowhere: it is replaced elsewhere.
    is_down = node.state is NodeState.DOWN
    tasks = () if is_down else state.node_tasks.get(node.id, ())
    liveness = state.liveness.get(node.id)
    view = pb.NodeView(
        tasks_running=sum(counts_as_running(task) for task in tasks),
        connected=connected,
        heard_age_s=0.0 if liveness is None else max(now.instant - liveness.heard_at, 0.0),
    )
    if row is not None:
        for name, amounts in (
            ("reserved_nano_cpus", table.cpu),
            ("reserved_memory_bytes", table.memory),
        ):
            setattr(view, name, int(amounts.capacity.values[row] - amounts.free.values[row]))
    (memory or ViewMemory()).write(node.id, node, view.node)
    return view


def nodes_by_name(nodes: Collection[Node]) -> list[Node]:
    """Return nodes in the order in which they are listed."""
    return sorted(nodes, key=lambda node: (node_name(node), node.id))
