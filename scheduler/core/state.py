"""The leader's whole memory, and the only functions that change it.

Duty: hold services, tasks and nodes with their indexes, and keep four things in step with every
change: the placement table (what is occupied), what must leave (`outgoing`: documents to write,
words to agents), what listeners are told (`chronicle`), and which slots must be looked at again
(`dirty`).
Not here: deciding anything (reconcile, rollout, liveness), I/O (scheduler.leader).

Sized for a million tasks: all is indexed and changed in place; a plan sees a slot or a service.

Invariants (scheduler.core.invariants): a task is in `tasks`, in its slot, and, once placed, in
`node_tasks`, exactly once each; it occupies its node in the table from placement to its end.
"""

from dataclasses import replace

from berth.model.ids import NodeId, ServiceId, TaskId, task_id
from berth.model.instant import NEVER, Instant, Timestamp, after
from berth.model.network import Network
from berth.model.node import Node
from berth.model.task import STATE_WORDS, FinishedTask, Task, TaskState, TaskStatus
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.events import note_node, note_service
from scheduler.core.history import entries_to_keep, finished_from, trim
from scheduler.core.liveness import NodeLiveness
from scheduler.core.now import Now
from scheduler.core.outgoing import Outgoing
from scheduler.core.placement.table import NodeTable
from scheduler.core.service_record import ServiceRecord, prune_templates
from scheduler.core.service_state import (
    ASSIGNED_TO,
    ServiceState,
    SlotKey,
    counts_as_running,
    history_shard,
    slot_of,
    strike,
)


class LeaderState(Outgoing):
    """See the module. Readers may look at every attribute; only methods here change them."""

    def __init__(self, cluster: ClusterRecord) -> None:
        super().__init__()
        self.cluster = cluster
        self.services: dict[ServiceId, ServiceState] = {}
        self.names: dict[str, ServiceId] = {}
        self.networks: dict[str, Network] = {}  # By name.
        self.tasks: dict[TaskId, Task] = {}
        self.nodes: dict[NodeId, Node] = {}
        self.node_changes = 0
        """Rises whenever `nodes` changes."""
        self.liveness: dict[NodeId, NodeLiveness] = {}
        self.expiry_at = NEVER
        """No node's deadline is before this."""
        self.globals: dict[ServiceId, None] = {}
        """The services that have a task per node: a change of any node concerns them."""
        self.table = NodeTable()
        self.dirty: dict[ServiceId, None] = {}
        self.waiting_services: dict[ServiceId, None] = {}
        self.newly_waiting: dict[ServiceId, None] = {}
        self.relief_tried = -1
        """The table's `relief` when everything that waits was last tried."""
        self.placed = 0
        """Tasks that got a node since this memory was made."""
        self.flapping: dict[NodeId, Instant] = {}
        """Until when nodes that were lost too often lately get no new tasks."""

    # -- services ---------------------------------------------------------------------------------

    def put_service(self, record: ServiceRecord) -> ServiceState:
        """Add a service, or replace its record; all of its slots are looked at again."""
        service = self.services.get(record.id)
        note_service(self.chronicle, None if service is None else service.record, record)
        if service is None:
            service = self.services[record.id] = ServiceState(record)
            service.is_fresh = False
        else:
            service.record = record
        if record.is_removing:
            if self.names.get(record.spec.name) == record.id:
                del self.names[record.spec.name]
        else:
            self.names[record.spec.name] = record.id
        if record.is_global:
            self.globals[record.id] = None
        service.is_all_dirty = True
        self.dirty[record.id] = None
        self.unsaved.services[record.id] = None
        return service

    def amend_service(self, record: ServiceRecord) -> None:
        """Replace a record whose tasks are unaffected (rollout progress, floor, templates)."""
        service = self.services[record.id]
        note_service(self.chronicle, service.record, record)
        service.record = record
        self.unsaved.services[record.id] = None

    def drop_service(self, service: ServiceState) -> None:
        """Forget a service that has no tasks left."""
        assert not service.slots, f"service {service.record.id} still has tasks"
        for slot in list(service.history):
            self.close_slot(service, slot)
        service.shed()
        key = service.record.id
        self.table.clear_penalties(key)
        for known in (self.services, self.globals, self.dirty):
            known.pop(key, None)
        self.unsaved.services[key] = None

    def mark_slot(self, service: ServiceId, slot: SlotKey) -> None:
        """Have one slot looked at again."""
        self.services[service].dirty_slots[slot] = None
        self.dirty[service] = None

    def mark_all(self, service: ServiceState) -> None:
        """Have every slot of a service looked at again."""
        service.is_all_dirty = True
        self.dirty[service.record.id] = None

    def mark_globals(self) -> None:
        """Have the services with a task per node looked at again: a node has changed."""
        for service in self.globals:
            self.mark_all(self.services[service])

    def close_slot(self, service: ServiceState, slot: SlotKey) -> None:
        """Forget a slot that is no longer wanted and has no tasks left."""
        if finished := service.history.pop(slot, None):
            self.unsaved.history[service.record.id, history_shard(slot)] = None
            self.unsaved.tasks[service.record.id] = None
            self._raise_floor(service, finished[-1].attempt)
            for entry in finished:
                self.chronicle.note_gone(service, entry, entry.state)
                if entry.node_id is not None:
                    self.purged.setdefault(entry.node_id, []).append(entry.id)
        service.slots.pop(slot, None)
        for notes in (service.begun, service.failed, service.handing_over, service.closing):
            strike(notes, slot)
        service.set_phase(slot, None)

    def _raise_floor(self, service: ServiceState, attempt: int) -> None:
        if attempt > service.record.attempt_floor:
            self.amend_service(replace(service.record, attempt_floor=attempt))

    # -- tasks ------------------------------------------------------------------------------------

    def add_task(
        self,
        service: ServiceState,
        slot: SlotKey,
        template_version: int,
        desired: TaskState,
        now: Now,
    ) -> Task:
        """Add a task that waits for a place."""
        home = None if isinstance(slot, int) else slot
        number = slot if isinstance(slot, int) else 0
        attempt = service.next_attempt(slot)
        task = Task(
            id=task_id(service.record.id, number, home, attempt),
            service_id=service.record.id,
            slot=number,
            home=home,
            attempt=attempt,
            template_version=template_version,
            desired=desired,
            created_at=now.timestamp,
            observed_since=now.instant,
            observed_at=now.timestamp,
        )
        self.load_task(service, task)
        self.chronicle.changes.append((service, task, None, None, task.observed, desired, None))
        service.waiting[task.id] = task
        self.waiting_services[service.record.id] = None
        self.newly_waiting[service.record.id] = None
        return task

    def load_task(self, service: ServiceState, task: Task) -> None:
        """Index a task; one that is placed occupies its node."""
        assert task.id not in self.tasks, f"task {task.id} exists"
        self.tasks[task.id] = task
        service.hold(task)
        if task.node_id is not None:
            self.node_tasks.setdefault(task.node_id, []).append(task)
            if task.is_alive:
                self.table.occupy(
                    task.node_id, service.demand(task.template_version), counted=task.is_wanted
                )
                if task.granted:
                    self.table.adopt_generic(task.node_id, task.granted)
                if counts_as_running(task):
                    service.count_running(task.node_id, 1)

    def bind(
        self,
        service: ServiceState,
        task: Task,
        node: NodeId,
        now: Now,
        reuse: tuple[tuple[str, tuple[str, ...]], ...] = (),
    ) -> None:
        """Give a waiting task its node, which the placement has occupied in the table already.

        Args:
            service: the task's service.
            task: it waits.
            node: where it goes.
            now: this turn's time.
            reuse: generic resources of a predecessor that is about to leave this very node.
        """
        demand = service.demand(task.template_version)
        service.waiting.pop(task.id, None)
        task.node_id = node
        task.reason = ""
        wish, to = task.desired, TaskState.ASSIGNED
        self.chronicle.changes.append((service, task, task.observed, wish, to, wish, None))
        task.observed = to
        task.observed_since, task.observed_at = now.instant, now.timestamp
        if demand.generic:
            task.granted = self.table.grant_generic(node, demand, reuse=reuse)
        self.node_tasks.setdefault(node, []).append(task)
        self.placed += 1
        self._tell(task)
        if len(service.slots[slot_of(task)]) > 1:
            self.mark_slot(task.service_id, slot_of(task))  # It may replace one that is lost.
        self.tell_story(service, task, now, f"{ASSIGNED_TO}{node}")

    def set_desired(self, task: Task, desired: TaskState, now: Now, reason: str = "") -> None:
        """Raise what is wanted of a task; lower or equal wishes change nothing."""
        if desired <= task.desired:
            return
        service = self.services[task.service_id]
        was_wanted, before = task.is_wanted, task.desired
        was_running = counts_as_running(task)
        task.desired = desired
        self._recount(service, task, was_running)
        if reason:
            task.reason = reason
        if desired > TaskState.COMPLETE:
            task.stop_since = task.stop_since or now.instant
            if task.node_id is None:
                self.drop_task(task)
                return
            if was_wanted and task.is_alive:
                self.table.uncount(task.node_id, service.demand(task.template_version))
        state = task.observed
        self.chronicle.changes.append((service, task, state, before, state, desired, None))
        self._tell(task)
        self.mark_slot(task.service_id, slot_of(task))
        self.tell_story(service, task, now, f"{desired.name.lower()} wanted: {reason or 'planned'}")

    def observe(self, task: Task, status: TaskStatus, now: Now) -> bool:
        """Fold a report into a task; returns whether its state rose. A lower one is late."""
        before, state = task.observed, status.state
        if state < before or before > TaskState.RUNNING:
            return False
        task.status = status
        task.encoded = b""
        task.cohort = None
        task.told = b""
        if state == before:
            return False
        since = after(now.instant, -status.state_age_s)
        service, wish = self.services[task.service_id], task.desired
        if state > TaskState.RUNNING:
            self._end_observed(task, state, since)
        self.chronicle.changes.append((service, task, before, wish, state, wish, status))
        was_running = counts_as_running(task)
        task.observed = state
        self._recount(service, task, was_running)
        task.observed_since = since
        task.observed_at = Timestamp(now.timestamp - status.state_age_s)
        if task.node_id is not None and task.node_id not in self.lagging:
            self.lagging[task.node_id] = now.instant
        if state >= TaskState.READY and state != TaskState.STARTING:
            self.mark_slot(task.service_id, slot_of(task))  # Nothing follows from the others.
        if state == TaskState.RUNNING:
            task.running_since = since
        self.tell_story(
            service, task, now, f"{STATE_WORDS[state]}: {status.error or status.message}"
        )
        return True

    def _recount(self, service: ServiceState, task: Task, was_running: bool) -> None:
        is_running = counts_as_running(task)
        if is_running != was_running and task.node_id is not None:
            service.count_running(task.node_id, 1 if is_running else -1)

    def _end_observed(self, task: Task, state: TaskState, since: Instant) -> None:
        if not state.is_terminal or task.node_id is None:
            return
        service = self.services[task.service_id]
        demand = service.demand(task.template_version)
        self.table.vacate(task.node_id, demand, counted=task.is_wanted)
        if task.granted:
            self.table.return_generic(task.node_id, task.granted)

    def finish_task(self, task: Task) -> FinishedTask:
        """Move an ended task into its slot's history, and let its agent forget it."""
        assert task.observed.is_terminal
        service = self.services[task.service_id]
        slot = slot_of(task)
        policy = service.record.templates[task.template_version].task.restart
        finished = finished_from(task, service.history.get(slot, ()), policy)
        self._unindex(service, task)
        kept = service.history.setdefault(slot, [])
        kept.append(finished)
        kept.sort(key=lambda entry: entry.attempt)
        # Its own template's policy counts further ends of it, also while a rollout is paused.
        templates = service.record.templates
        policies = (service.record.template, templates.get(task.template_version))
        keep = max(
            entries_to_keep(self.cluster.settings.task_history_limit, template.task.restart)
            for template in policies
            if template is not None
        )
        run_version = service.record.job.run_version if service.record.job is not None else 0
        service.history[slot] = left = trim(kept, keep, run_version)
        self.chronicle.note_trimmed(service, kept, left)
        self.unsaved.history[service.record.id, history_shard(slot)] = None
        return finished

    def drop_task(self, task: Task) -> None:
        """Forget a task without a trace: it was never placed, or its slot is closed."""
        service = self.services[task.service_id]
        self.chronicle.note_gone(service, task, task.observed)
        if task.node_id is not None:
            self._raise_floor(service, task.attempt)
            if task.is_alive:
                self._end_observed(task, TaskState.REMOVE, task.observed_since)
                if counts_as_running(task):
                    service.count_running(task.node_id, -1)
        self._unindex(service, task)
        self.mark_slot(task.service_id, slot_of(task))

    def _unindex(self, service: ServiceState, task: Task) -> None:
        del self.tasks[task.id]
        service.waiting.pop(task.id, None)
        strike(service.misplaced, task.id)
        service.let_go(task)
        if task.node_id is not None:
            self.node_tasks[task.node_id].remove(task)
            self.unsaved.placements[task.node_id] = None
            self.unsaved.tasks[task.service_id] = None
            self.forgotten.setdefault(task.node_id, []).append(task.id)

    def tell_again(self, service: ServiceState) -> None:
        """Have a service's nodes told again: what goes with its template has changed."""
        for tasks in service.slots.values():
            for task in tasks:
                if task.node_id is not None:
                    task.is_untold = True
                    self.untold[task.node_id] = None

    def _tell(self, task: Task) -> None:
        task.encoded = b""
        task.cohort = None
        task.told = b""
        if task.node_id is not None:
            self.unsaved.placements[task.node_id] = None
            self.unsaved.tasks[task.service_id] = None
            task.is_untold = True
            self.untold[task.node_id] = None

    def tell_story(self, service: ServiceState, task: Task, now: Now, words: str) -> None:
        """Keep one line of a task's story for `berth explain`."""
        service.tell((now.timestamp, slot_of(task), task.attempt, words))

    def prune_templates(self, service: ServiceState) -> None:
        """Let go of templates that no task has any more."""
        pruned = prune_templates(service.record, service.template_versions())
        if pruned is not service.record:
            self.amend_service(pruned)

    # -- nodes ------------------------------------------------------------------------------------

    def put_node(self, node: Node, *, accepting: bool, why_not: str, save: bool = True) -> None:
        """Add a node or replace what is known of it; the placement table follows."""
        note_node(self.chronicle, self.nodes.get(node.id), node)
        self.nodes[node.id] = node
        self.node_changes += 1
        self.node_tasks.setdefault(node.id, [])
        self.table.put_node(node, accepting=accepting, why_not=why_not)
        if save:
            self.unsaved.nodes[node.id] = None

    def drop_node(self, node: NodeId) -> None:
        """Forget a node that has no tasks left."""
        assert not self.node_tasks.get(node), f"node {node} still has tasks"
        note_node(self.chronicle, self.nodes.pop(node), None)
        self.node_changes += 1
        self.liveness.pop(node, None)
        self.flapping.pop(node, None)
        self.node_tasks.pop(node, None)
        self.table.remove_node(node)
        self.untold.pop(node, None)
        self.forgotten.pop(node, None)
        self.unsaved.nodes[node] = None
        self.unsaved.placements[node] = None
